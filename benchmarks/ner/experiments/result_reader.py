"""Result files, each trusted only when it is whole and its configuration hashes to its name."""

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
from benchmarks.ner.training.curve import curve_errors


class RejectedResult(ValueError):  # noqa: N818 - it names what is found, as StopIteration does
    """A result file that is broken or belongs to another configuration; the text says why."""


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
        raise RejectedResult(f"status must be one of {', '.join(STATUSES)} and is {shorten(result['status'])}")
    if found := list(schema_errors(result, {**FIELDS, **MEASURED} if result["status"] == "ok" else FIELDS)):
        raise RejectedResult("; ".join(found))
    if found := [
        *entity_count_errors(result["quality"]),
        *curve_errors(result["mlm"], finite=result["status"] == "ok"),
    ]:
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


def finished_result(path: Path, config: Mapping[str, Any], retry_failed: bool = False) -> dict[str, Any] | None:
    """The result of `config` when it need not run again, else None.

    A failed run is finished too unless `retry_failed`, a skipped one never is. Raises `RejectedResult` for a file that
    is no result of `config`: report it and `rename_rejected` the file.
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
        raise RejectedResult(f"a result's file must be named after it, {shorten(name)}: rename it, or remove the copy")
    return result
