"""One JSON file a run, trusted only when its configuration hashes to its name."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.ner.data.strict_json import cut, loads, misfits
from benchmarks.ner.experiments.entity_counts import count_misfits
from benchmarks.ner.training.curve import curve_misfits

SCHEMA = "hf_dynmask.ner/1"
KEYS = (
    "schema",
    "run_id",
    "status",
    "reason",
    "arm",
    "seed",
    "dataset",
    "model",
    "launch",
    "budget",
    "mlm",
    "quality",
    "speed",
    "memory",
    "env",
    "time",
)
STATUSES = ("ok", "failed", "skipped")  # skipped: the machine cannot run it
TIMED = ("tokens_per_second", "step_time_median", "data_wait_share")
SHAPE: dict[str, Any] = {  # what is read of a result once it is loaded; only an "ok" run must have what ends in "?"
    "arm": {"name": "a text"},
    "seed": "a whole number",
    "dataset": {"name": "a text"},
    "model": {"name": "a text"},
    "launch": {"requested": {"num_processes": "a whole number from 1 to 10^15", "mixed_precision": "a text"}},
    "budget": {"mlm_epochs": "a number", "ner_epochs": "a number"},
    "reason?": "a text",
    "mlm": {"eval_loss?": "a number from 0 to 10^15"},
    "quality": {f"{name}?": "a number from 0 to 1" for name in ("dev_f1", "test_f1", "test_accuracy")},
    "speed": {f"{stage}?": dict.fromkeys(TIMED, "a number from 0 to 10^15") for stage in ("mlm", "ner")},
    "memory": {f"{stage}?": {"peak_bytes_total": "a number from 0 to 10^15"} for stage in ("mlm", "ner")},
    "time": {"seconds": "a number from 0 to 10^15"},
}
MEASURED = {key: {name.removesuffix("?"): leaf for name, leaf in SHAPE[key].items()} for key in ("mlm", "quality")}


class RejectedResult(ValueError):  # noqa: N818 - it names what is found, as StopIteration does
    """A result file that is broken or belongs to another configuration; the text says why."""


def canonical(config: Mapping[str, Any]) -> str:
    """JSON with sorted keys, the same text for equal configurations."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)


def run_id(config: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the whole configuration, which has the keys that `configuration` gives."""
    return hashlib.sha256(canonical(config).encode()).hexdigest()


def configuration(result: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked of a run, out of its result: all that `run_id` hashes and nothing that was measured."""
    return {
        **{key: result[key] for key in ("schema", "arm", "seed", "dataset", "model", "budget")},
        "launch": result["launch"]["requested"],
    }


def result_path(output_dir: Path, arm: str, seed: int, run_id: str) -> Path:
    """The file of a run, named after its arm, its seed and the start of its run id."""
    return output_dir / f"{arm}-seed{seed}-{run_id[:12]}.json"


def file_name(result: Mapping[str, Any]) -> str:
    return result_path(Path(), result["arm"]["name"], result["seed"], result["run_id"]).name


def load(path: Path) -> dict[str, Any]:
    """The result in `path`.

    Raises `RejectedResult` when it is not a whole result of this schema, `FileNotFoundError` when nothing is there.
    """
    result = loads_result(read_text(path))
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise RejectedResult(f"not a result of schema {SCHEMA}")
    if missing := [key for key in KEYS if key not in result]:
        raise RejectedResult(f"keys are missing: {', '.join(missing)}")
    if result["status"] not in STATUSES:
        raise RejectedResult(f"status must be one of {', '.join(STATUSES)} and is {cut(result['status'])}")
    if found := list(misfits(result, {**SHAPE, **MEASURED} if result["status"] == "ok" else SHAPE)):
        raise RejectedResult("; ".join(found))
    if found := [*count_misfits(result["quality"]), *curve_misfits(result["mlm"], finite=result["status"] == "ok")]:
        raise RejectedResult("; ".join(found))
    if run_id(configuration(result)) != result["run_id"]:
        raise RejectedResult("the configuration in the file does not hash to its run_id: the file was changed")
    return result


def read_text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise RejectedResult("not a file")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RejectedResult(f"the file must be readable: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RejectedResult(f"not valid JSON, it must be UTF-8 ({error})") from error


def loads_result(text: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise RejectedResult(f"not valid JSON, perhaps half-written ({error})") from error


def read_result(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The result in `path` of exactly `config`.

    Raises `RejectedResult` when the file is broken or of another configuration, `FileNotFoundError` without one.
    """
    result = load(path)
    if result["run_id"] != run_id(config):
        raise RejectedResult(f"it holds another configuration: {differences(configuration(result), config)}")
    return result


def differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The top-level keys in which two configurations differ."""
    keys = sorted(found.keys() | asked.keys())
    return ", ".join(key for key in keys if canonical({key: found.get(key)}) != canonical({key: asked.get(key)}))


def finished(path: Path, config: Mapping[str, Any], retry_failed: bool = False) -> dict[str, Any] | None:
    """The result of `config` when it need not run again, else None.

    A failed run is finished too unless `retry_failed`, a skipped one never is. Raises `RejectedResult` for a file that
    is no result of `config`: report it and `set_aside` the file.
    """
    try:
        result = read_result(path, config)
    except FileNotFoundError:
        return None
    return None if result["status"] == "skipped" or (retry_failed and result["status"] == "failed") else result


def read_results(directory: Path) -> tuple[list[dict[str, Any]], list[tuple[Path, str]]]:
    """All results in a folder in the order of their file names, and (path, reason) of each rejected file.

    Hidden files, among them the temporary ones, and files with other endings than .json are passed over.
    Raises `NotADirectoryError` when there is no such folder.
    """
    if not directory.is_dir():
        raise NotADirectoryError(
            f"directory must be a folder of results and is {str(directory)!r}: run the cells first."
        )
    results, rejected = [], []
    for path in sorted(path for path in directory.glob("*.json") if not path.name.startswith(".")):
        try:
            results.append(_named(load(path), path))
        except RejectedResult as error:
            rejected.append((path, str(error)))
        except FileNotFoundError:
            rejected.append((path, "it leads nowhere, or was set aside just now"))
    return results, rejected


def _named(result: dict[str, Any], path: Path) -> dict[str, Any]:
    """The result when its file has its name, so that a run counts once, and a report can name the file."""
    if path.name != (name := file_name(result)):
        raise RejectedResult(f"a result's file must be named after it, {cut(name)}: rename it, or remove the copy")
    return result
