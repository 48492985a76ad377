"""Reads result files. A file is trusted only if it is complete and its configuration hashes to its name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.ner.data.display import shorten
from benchmarks.ner.data.strict_json import loads, schema_errors
from benchmarks.ner.experiments.entity_counts import entity_count_errors
from benchmarks.ner.experiments.result import (
    FIELDS,
    KEYS,
    MEASURED,
    SCHEMA,
    STATUSES,
    configuration,
    differences,
    file_name,
    run_id,
)
from benchmarks.ner.experiments.storage import check_directory
from benchmarks.ner.training.curve import curve_errors


class RejectedResult(ValueError):  # noqa: N818 - it names an event, like StopIteration
    """A result file is broken or belongs to another configuration; the message says why."""


def load(path: Path) -> dict[str, Any]:
    """Loads the result in `path`.

    Raises `RejectedResult` if it is not a complete result of this schema, `FileNotFoundError` if there is no file.
    """
    result = loads_result(read_text(path))
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise RejectedResult(f"not a result of schema {SCHEMA}")
    if missing := [key for key in KEYS if key not in result]:
        raise RejectedResult(f"missing keys: {', '.join(missing)}")
    if result["status"] not in STATUSES:
        raise RejectedResult(f"status must be one of {', '.join(STATUSES)}, but is {shorten(result['status'])}")
    if found := list(schema_errors(result, _fields(result))):
        raise RejectedResult("; ".join(found))
    if found := [
        *entity_count_errors(result["quality"]),
        *curve_errors(result["mlm"], finite=result["status"] == "ok"),
    ]:
        raise RejectedResult("; ".join(found))
    if run_id(configuration(result)) != result["run_id"]:
        raise RejectedResult("the configuration does not hash to the run_id, so the file was changed")
    return result


def _fields(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that a result must have: scores only if it was fine-tuned, measurements only if it is ok."""
    if result["status"] != "ok":
        return FIELDS
    budget = result["budget"]
    scored = not isinstance(budget, Mapping) or budget.get("fine_tunings") != 0
    return {**FIELDS, **(MEASURED if scored else {"mlm": MEASURED["mlm"]})}


def read_text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # reading a pipe would block
            raise RejectedResult("not a file")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RejectedResult(f"the file must be readable: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RejectedResult(f"not valid JSON, which must be UTF-8 ({error})") from error


def loads_result(text: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise RejectedResult(f"not valid JSON, possibly incomplete ({error})") from error


def read_result(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the result of `config` in `path`.

    Raises `RejectedResult` if the file is broken or of another configuration, `FileNotFoundError` if there is none.
    """
    result = load(path)
    if result["run_id"] != run_id(config):
        raise RejectedResult(
            f"it has another configuration, which differs in {differences(configuration(result), config)}"
        )
    return result


def finished_result(path: Path, config: Mapping[str, Any], retry_failed: bool = False) -> dict[str, Any] | None:
    """Returns the result of `config` if it need not run again, or None.

    A failed run is finished unless `retry_failed`; a skipped run never is. Raises `RejectedResult` for a file that is
    not a result of `config`: report it, and rename the file with `rename_rejected`.
    """
    try:
        result = read_result(path, config)
    except FileNotFoundError:
        return None
    return None if result["status"] == "skipped" or (retry_failed and result["status"] == "failed") else result


def read_results(directory: Path) -> tuple[list[dict[str, Any]], list[tuple[Path, str]]]:
    """Returns all results in a folder, sorted by file name, and (path, reason) of each rejected file.

    It ignores hidden files, such as temporary ones, and files without the suffix .json.
    Raises `NotADirectoryError` if there is no such folder.
    """
    check_directory(directory)
    results, rejected = [], []
    for path in sorted(path for path in directory.glob("*.json") if not path.name.startswith(".")):
        try:
            results.append(_named(load(path), path))
        except RejectedResult as error:
            rejected.append((path, str(error)))
        except FileNotFoundError:
            rejected.append((path, "it is a broken link, or another process renamed it"))
    return results, rejected


def _named(result: dict[str, Any], path: Path) -> dict[str, Any]:
    """Returns the result if its file has the right name, so that a run counts once and a report can name the file."""
    if path.name != (name := file_name(result)):
        raise RejectedResult(f"the file of this result must be named {shorten(name)}; rename it, or remove the copy")
    return result
