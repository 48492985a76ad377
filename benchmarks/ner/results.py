"""One JSON file a run: written whole or not at all, and trusted only when its configuration hashes to its name."""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

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
STATUSES = ("ok", "failed")


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


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write `result` so that `path` holds the whole of it or what it held before.

    Raises `ValueError` for a number that is not finite and `OSError` when the folder cannot be written.
    """
    for key_path in non_finite(result, "result"):
        raise ValueError(f"{key_path} must be a finite number or None: store None for what was not measured.")
    text = json.dumps(result, indent=2, sort_keys=True, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        write_durably(temporary, text)
        os.replace(temporary, path)
    except OSError as error:
        remedy = "free space or pass an --output_dir that can be written, then start again"
        raise OSError(error.errno, f"{error.strerror}: the result was not written, {remedy}", str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_durably(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def non_finite(value: Any, key_path: str) -> Iterator[str]:
    """The key paths of all NaN and infinite numbers in `value`."""
    if isinstance(value, float) and not math.isfinite(value):
        yield key_path
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from non_finite(entry, f"{key_path}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from non_finite(entry, f"{key_path}[{index}]")


def load(path: Path) -> dict[str, Any]:
    """The result in `path`; raises `RejectedResult` when it is not a whole result of this schema."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
    except ValueError as error:
        raise RejectedResult(f"not valid JSON, perhaps half-written ({error})") from error
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise RejectedResult(f"not a result of schema {SCHEMA}")
    if missing := [key for key in KEYS if key not in result]:
        raise RejectedResult(f"keys are missing: {', '.join(missing)}")
    if result["status"] not in STATUSES:
        raise RejectedResult(f"status must be one of {', '.join(STATUSES)} and is {result['status']!r}")
    if not isinstance(result["launch"], dict) or "requested" not in result["launch"]:
        raise RejectedResult("launch has no requested part")
    if run_id(configuration(result)) != result["run_id"]:
        raise RejectedResult("the configuration in the file does not hash to its run_id: the file was changed")
    return result


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


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

    A failed run is finished too unless `retry_failed`. Raises `RejectedResult` for a file that is no result of
    `config`: report it and `set_aside` the file.
    """
    if not path.exists():
        return None
    result = read_result(path, config)
    return None if retry_failed and result["status"] == "failed" else result


def set_aside(path: Path) -> Path:
    """Rename a rejected file to the first free of `<name>.rejected`, `<name>.rejected.1`, ...; return where it is."""
    target, number = path.with_name(f"{path.name}.rejected"), 0
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.rejected.{number}")
    return path.rename(target)


def read_results(output_dir: Path) -> tuple[list[dict[str, Any]], list[tuple[Path, str]]]:
    """All results in a folder in the order of their file names, and (path, reason) of each rejected file.

    Hidden files, among them the temporary ones, and files with other endings than .json are passed over.
    Raises `NotADirectoryError` when there is no such folder.
    """
    if not output_dir.is_dir():
        raise NotADirectoryError(
            f"output_dir must be a folder of results and is {str(output_dir)!r}: run the cells first."
        )
    results, rejected = [], []
    for path in sorted(path for path in output_dir.glob("*.json") if not path.name.startswith(".")):
        try:
            results.append(load(path))
        except RejectedResult as error:
            rejected.append((path, str(error)))
    return results, rejected
