"""Whatever the bytes of a result file, it is trusted and printed in a report, or rejected with its reason."""

from __future__ import annotations

import copy
import io
import json
import os
import re
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from rich.console import Console
from support.hostile import ODD_BYTES, Splice, explore, no_code_runs, spliced, splices
from support.unprivileged import OBEDIENT

from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import configuration, file_name, run_id
from benchmarks.ner.experiments.result_reader import RejectedResult, finished_result, load, read_results
from benchmarks.ner.report.blocks import Figure, markdown, terminal
from benchmarks.ner.report.document import report
from benchmarks.ner.report.html_page import to_html

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "benchmarks" / "results"
RESULT = json.loads(min(COMMITTED.glob("static-*.json")).read_text(encoding="utf-8"))
FOUND = RESULT["quality"]
PREDICTED, GOLD = FOUND["test_entities_predicted"], FOUND["test_entities_gold"]
RESULT["quality"]["test_sentences"] = {
    "correct": [round(FOUND["test_f1"] * (PREDICTED + GOLD) / 2), 0, 0],
    "predicted": [PREDICTED - 1, 1, 0],
    "gold": [GOLD - 1, 0, 1],
    "documents": [2, 1],
}

HOSTILE_TEXTS = ("", "[red]", "[/red]", "a|b", "\x1b[2J\x07", "\ud800", "\0\r\n", ":smile:", "é\u202e", "x" * 5000)
HOSTILE_JSON = ("1e999", "-1e999", "NaN", "9" * 4000, "9" * 5000, "1e308", "-0.0", "[" * 9999, "[" * 40 + "]" * 40)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
VALUES = st.recursive(
    LEAVES | st.sampled_from(HOSTILE_TEXTS) | st.sampled_from(HOSTILE_JSON).map(lambda text: f"<raw>{text}</raw>"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
TEXTS = ["arm.name", "dataset.name", "model.name", "launch.requested.mixed_precision", "reason", "env.commit"]
NUMBERS = [
    *("seed", "launch.requested.num_processes", "budget.mlm_epochs", "budget.ner_epochs", "mlm.eval_loss"),
    *("quality.dev_f1", "quality.test_f1", "quality.test_accuracy", "speed.mlm.tokens_per_second", "time.seconds"),
    *("speed.ner.step_time_median", "speed.mlm.data_wait_share", "memory.ner.peak_bytes_total"),
]
COUNTS = [f"quality.test_sentences.{name}" for name in ("correct", "predicted", "gold", "documents")]
OBJECTS = [
    "quality.test_sentences",
    "arm",
    "dataset",
    "model",
    "launch",
    "launch.requested",
    "budget",
    "mlm",
    "quality",
    "speed",
    "speed.mlm",
]
PLACES = st.sampled_from([*TEXTS, *NUMBERS, *COUNTS, *OBJECTS, "time", "env", "status", "run_id", "schema"])
CHANGE = (
    st.tuples(st.sampled_from(TEXTS), st.just("replace"), st.sampled_from(HOSTILE_TEXTS))
    | st.tuples(
        st.sampled_from(NUMBERS), st.just("replace"), st.sampled_from([0, 1, 10**300, 10**4000, -1e308, 1e-320])
    )
    | st.tuples(PLACES, st.sampled_from(["replace", "delete", "add"]), VALUES)
    | st.tuples(st.just("status"), st.just("replace"), st.sampled_from(["failed", "skipped"]))
    | st.tuples(st.sampled_from(COUNTS), st.just("replace"), st.lists(st.integers(-1, 10**7), max_size=4))
)


def changed(changes: list[tuple[str, str, Any]]) -> dict:
    """A sound result with values replaced, deleted or added, and the run id that its configuration then has."""
    result = copy.deepcopy(RESULT)
    for key_path, change, value in changes:
        holder: Any = result
        *outer, key = key_path.split(".")
        for place in outer:
            holder = holder.get(place) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and change == "delete":
            holder.pop(key, None)
        elif isinstance(holder, dict):
            holder[key if change == "replace" else f"{key} more"] = value
    return result


def as_bytes(result: dict, splices: list[Splice], twice: bool) -> bytes:
    text = re.sub(r'"<raw>(.*?)</raw>"', r"\1", json.dumps(result))
    with suppress(ValueError, KeyError, TypeError, RecursionError):  # then the run id is wrong as well
        text = text.replace(RESULT["run_id"], run_id(configuration(json.loads(text))))
    return spliced((f'{{"arm": 1, "seed": [], {text[1:]}' if twice else text).encode(), splices)


RESULT_FILES = st.builds(
    as_bytes,
    st.builds(changed, st.lists(CHANGE, max_size=3)),
    st.just([]) | splices(st.sampled_from(ODD_BYTES)),
    st.booleans(),
)


def printed(results: list[dict], folder: Path, drawn: bool) -> str:
    console = Console(file=io.StringIO(), width=80)
    blocks = report(results, [])
    console.print(terminal(blocks))
    text = markdown(blocks)
    if drawn:
        for picture in (block for block in blocks if isinstance(block, Figure)):
            picture.draw(folder / picture.file)
        assert to_html("hostile", text, folder)
    return "\n".join([console.file.getvalue(), text])


def trusted_or_rejected(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with no_code_runs():
        _, rejected = read_results(path.parent)
    assert [place for place, _ in rejected] == [path], "it is broken, or not named after its content"
    try:
        results = [RESULT, load(path)]
    except RejectedResult as error:
        results = [RESULT]
        with pytest.raises(RejectedResult, match=re.escape(str(error))):
            finished_result(path, configuration(RESULT))
    text = printed(results, path.parent, drawn=zlib.crc32(content) % 20 == 0)  # pictures take long
    assert text.encode()
    assert all(character == "\n" or character.isprintable() for character in text)
    return "trusted" if len(results) == 2 else "rejected"


def test_a_result_is_trusted_and_printed_or_rejected(tmp_path, stress, report_figure) -> None:
    examples = 5_000 if stress else 60
    (tmp_path / file_name(RESULT)).write_text(json.dumps(RESULT))
    path = tmp_path / "hostile.json"
    assert trusted_or_rejected(path, json.dumps(RESULT).encode()) == "trusted"
    outcomes = explore(examples, RESULT_FILES, lambda content: trusted_or_rejected(path, content))
    assert min(outcomes["trusted"], outcomes["rejected"]) > examples / 20
    report_figure("hostile files, results", f"{outcomes['trusted']:,} trusted, {outcomes['rejected']:,} rejected")


def test_what_is_no_readable_file_is_rejected_and_named_by_the_report(tmp_path) -> None:
    valid = tmp_path / file_name(RESULT)
    valid.write_text(json.dumps(RESULT))
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "nowhere.json").symlink_to("absent")
    (tmp_path / "loop.json").symlink_to("loop.json")
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "secret.json").chmod(0)
    (tmp_path / os.fsdecode(b"[red]\xff\x1b.json")).write_text("{}")
    places = [path for path in tmp_path.glob("*.json") if path != valid]
    for path in places:
        with pytest.raises((RejectedResult, FileNotFoundError)):
            load(path)
    command = [*OBEDIENT, sys.executable, "-m", "benchmarks.ner.report", str(tmp_path)]
    environment = {**os.environ, "COLUMNS": "200", "PYTHONUTF8": "1"}
    output = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True).stdout.decode()
    _, _, untrusted = output.partition("Rejected")
    assert len(places) == 7
    assert all(printable(path.name) in untrusted for path in places)
    assert RESULT["arm"]["name"] in output
    assert r"[red]\udcff\x1b.json" in untrusted
    assert re.search(r"secret\.json +the file must be readable: Permission denied", untrusted)
    assert re.search(r"pipe\.json +not a file", untrusted)


def test_the_committed_results_are_trusted() -> None:
    results, rejected = read_results(COMMITTED)
    assert rejected == []
    assert len(results) == len(list(COMMITTED.glob("*.json"))) > 0
