"""A training that is killed again and again sees the masks, and ends with the weights, of one that never was."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from support import resumable

from benchmarks.ner.experiments.process_tree import process_mark, run_and_clean_up

ROOT = Path(__file__).parents[2]
EXAMPLES = 44  # in batches of 2, 3 a step: the last step of an epoch is incomplete


def _run(tokenizer: Path, output_dir: Path, record: str, max_steps: int, **settings) -> int:
    arguments = {
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 4,
        "gradient_accumulation_steps": 3,
        "save_steps": 5,
        "save_total_limit": 2,
        "eval_strategy": "steps",
        "eval_steps": 7,
        "dataloader_num_workers": 1,
        "max_steps": max_steps,
    }
    output_dir.mkdir(exist_ok=True)
    asked = {"tokenizer": str(tokenizer), "output_dir": str(output_dir), "record": record, "examples": EXAMPLES}
    log, training = output_dir / f"{record}.log", str(ROOT / "tests" / "support" / "training.py")
    path = f"PYTHONPATH={ROOT}{os.pathsep}{ROOT / 'tests'}"
    command = ["env", path, sys.executable, training, json.dumps({**asked, "arguments": arguments, **settings})]
    # also ends a worker whose parent dies while it starts, which never learns of that
    status = run_and_clean_up(command, process_mark(output_dir), log, seconds=300)
    assert status in (0, -signal.SIGKILL), log.read_text()
    return status


def _batches(output_dir: Path, record: str) -> list[tuple[tuple[int, int], list]]:
    """((step, batch of the step), what was seen) in the order of their training."""
    lines = (output_dir / f"{record}-0.jsonl").read_text().splitlines()
    return [((step, batch), seen) for step, batch, *seen in map(json.loads, lines)]


def _deaths(number: int) -> list[tuple[str, int, float]]:
    """Moments of every kind in turn: which one, and how many seconds after it."""
    rng = random.Random(0)
    within = {"checkpoint": (4, 0.04), "accumulation": (4, 0.0), "step": (60, 0.02), "evaluation": (4, 0.005)}
    kinds = [list(within)[i % len(within)] for i in range(number)]
    return [(kind, rng.randint(1, within[kind][0]), rng.random() * within[kind][1]) for kind in kinds]


@resumable.in_order
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_it_goes_on_as_if_nothing_had_happened(wordpiece, tmp_path, stress, dropout, report_figure) -> None:
    if dropout and not stress:
        pytest.skip("with dropout under --stress only")
    tokenizer, kills, kinds = tmp_path / "tokenizer", 20 if stress else 2, Counter()
    settings = {"max_steps": 25 * kills, "dropout": dropout}
    wordpiece.save_pretrained(tokenizer)
    assert _run(tokenizer, tmp_path / "whole", "whole", **settings) == 0
    whole = dict(_batches(tmp_path / "whole", "whole"))

    broken = tmp_path / "broken"
    for life, death in enumerate(_deaths(kills)):
        assert _run(tokenizer, broken, f"life-{life}", die=death, **settings) == -signal.SIGKILL
        kinds[death[0]] += 1
    assert _run(tokenizer, broken, "last", **settings) == 0

    lives = [_batches(broken, path.name.removesuffix("-0.jsonl")) for path in broken.glob("*-0.jsonl")]
    assert sum(map(len, lives)) > len(whole), "some was done twice"
    for life in lives:
        assert all(whole[place] == seen for place, seen in life)
    assert {place for life in lives for place, _ in life} == set(whole)
    assert (broken / "last.weights").read_text() == (tmp_path / "whole" / "whole.weights").read_text()
    report_figure("kills survived", f"{dict(kinds)} at dropout {dropout}, {sum(map(len, lives)):,} batches alike")
