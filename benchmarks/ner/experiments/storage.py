"""Writes results atomically, saves them elsewhere if that fails, and never overwrites another result."""

import json
import math
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

PROBE = 1 << 16  # bytes, several times the size of a result
INTEGER_LIST = re.compile(r"\[\n\s+\d+(?:,\n\s+\d+)*\n\s*\]")  # never within a string, where newlines are escaped


def check_directory(directory: Path) -> None:
    """Raises `NotADirectoryError` if there is no such folder."""
    if not directory.is_dir():
        raise NotADirectoryError(
            f"`directory` must be a folder of results, but got {str(directory)!r}. Run the cells first."
        )


def check_writable(output_dir: Path) -> None:
    """Creates the folder and tests that a result can be written; raises `OSError` before hours are spent."""
    probe = output_dir / f".{uuid4().hex}.probe"
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        write_durably(probe, " " * PROBE)
    except OSError as error:
        rule = "output_dir must be a writable folder"
        remedy = "make it writable, free space, or pass another --output_dir"
        raise OSError(error.errno, f"{rule}; got {error.strerror}; {remedy}", str(output_dir)) from error
    finally:
        with suppress(OSError):
            probe.unlink()


def save_result(path: Path, result: Mapping[str, Any]) -> None:
    """Writes `result` to `path`; if that fails, to the temporary folder of the system; if that fails too, prints it.

    Raises an `OSError` that names the location of the result and the remedy.
    """
    try:
        write_result(path, result)
    except OSError as error:
        location = save_elsewhere(path.name, result)
        remedy = f"free space there, move {location} to {path}, and run the same command again to continue"
        raise OSError(error.errno, f"{error.strerror}. The result is not lost: {remedy}", str(path)) from error


def save_elsewhere(name: str, result: Mapping[str, Any]) -> str:
    """Saves the result elsewhere; returns a description of its location."""
    try:
        path = Path(tempfile.mkdtemp(prefix="hf_dynmask-result-")) / name
        write_result(path, result)
    except OSError:
        print(to_json_text(result), flush=True)
        return "the JSON printed above"
    return str(path)


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Writes `result` atomically: `path` has the complete result or its previous content.

    Raises `ValueError` for a number that is not finite, `OSError` if the folder is not writable. A killed process may
    leave a hidden file. It is neither read nor removed, because another process may be writing it.
    """
    for key_path in non_finite(result, "result"):
        raise ValueError(f"{key_path} must be a finite number or None. Store None if it was not measured.")
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        write_durably(temporary, to_json_text(result))
        os.replace(temporary, path)
    except OSError as error:
        remedy = "free space or pass a writable --output_dir, then run it again"
        raise OSError(error.errno, f"{error.strerror}. The result was not written: {remedy}", str(path)) from error
    finally:
        with suppress(OSError):  # a file that was not created cannot be removed; the first error matters
            temporary.unlink()


def to_json_text(result: Mapping[str, Any]) -> str:
    """Returns indented JSON, with each list of integers on one line."""
    text = json.dumps(result, indent=2, sort_keys=True, allow_nan=False)
    return INTEGER_LIST.sub(lambda found: "".join(found[0].split()), text) + "\n"


def write_durably(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def non_finite(value: Any, key_path: str) -> Iterator[str]:
    """Yields the key paths of all NaN and infinite numbers in `value`."""
    if isinstance(value, float) and not math.isfinite(value):
        yield key_path
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from non_finite(entry, f"{key_path}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from non_finite(entry, f"{key_path}[{index}]")


def without_non_finite(value: Any) -> Any:
    """Returns a copy of `value` with None in place of each NaN and infinite number."""
    if isinstance(value, Mapping):
        return {key: without_non_finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_non_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rename_rejected(path: Path) -> Path | None:
    """Renames a rejected file to `<name>.rejected.<random>`; returns the new path, or None if the file is gone.

    The name is unique: two processes may do this at once, and neither file may overwrite the other.
    """
    try:
        return path.rename(path.with_name(f"{path.name}.rejected.{uuid4().hex[:12]}"))
    except FileNotFoundError:  # another process was faster
        return None
