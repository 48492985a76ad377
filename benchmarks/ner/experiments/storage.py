"""Results on disk: written whole or not at all, kept elsewhere where that fails, and never in each other's place."""

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

PROBE = 1 << 16  # bytes, several times what a result takes
WHOLE_NUMBERS = re.compile(r"\[\n\s+\d+(?:,\n\s+\d+)*\n\s*\]")  # in no text: newlines are escaped there


def check_writable(output_dir: Path) -> None:
    """Make the folder and write to it what a result would take; `OSError` says what is wrong before hours are spent."""
    probe = output_dir / f".{uuid4().hex}.probe"
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        write_durably(probe, " " * PROBE)
    except OSError as error:
        rule = "output_dir must be a folder that results can be written to"
        remedy = "make it writable, free space, or pass another --output_dir"
        raise OSError(error.errno, f"{rule}; got {error.strerror}; {remedy}", str(output_dir)) from error
    finally:
        with suppress(OSError):
            probe.unlink()


def save_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write `result` to `path`; where that fails to the system's temporary folder, and where that fails print it.

    Raises `OSError` that says where the result is and what to do with it.
    """
    try:
        write_result(path, result)
    except OSError as error:
        location = save_elsewhere(path.name, result)
        remedy = f"free space there, move {location} to {path}, and start the same command again: it goes on from there"
        raise OSError(error.errno, f"{error.strerror}. The result is not lost: {remedy}", str(path)) from error


def save_elsewhere(name: str, result: Mapping[str, Any]) -> str:
    """Where the result is now, in words."""
    try:
        path = Path(tempfile.mkdtemp(prefix="hf_dynmask-result-")) / name
        write_result(path, result)
    except OSError:
        print(to_json_text(result), flush=True)
        return "the JSON printed above"
    return str(path)


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write `result` so that `path` holds the whole of it or what it held before.

    Raises `ValueError` for a number that is not finite and `OSError` when the folder cannot be written. A process that
    is killed may leave a hidden file behind; nothing reads it, and nothing removes it: another may be writing it.
    """
    for key_path in non_finite(result, "result"):
        raise ValueError(f"{key_path} must be a finite number or None: store None for what was not measured.")
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        write_durably(temporary, to_json_text(result))
        os.replace(temporary, path)
    except OSError as error:
        remedy = "free space or pass an --output_dir that can be written, then start again"
        raise OSError(error.errno, f"{error.strerror}: the result was not written, {remedy}", str(path)) from error
    finally:
        with suppress(OSError):  # what could not be made cannot always be removed, and the first error counts
            temporary.unlink()


def to_json_text(result: Mapping[str, Any]) -> str:
    """JSON, indented, with lists of whole numbers in a line each."""
    text = json.dumps(result, indent=2, sort_keys=True, allow_nan=False)
    return WHOLE_NUMBERS.sub(lambda found: "".join(found[0].split()), text) + "\n"


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


def without_non_finite(value: Any) -> Any:
    """A copy of `value` with None for each NaN and infinite number."""
    if isinstance(value, Mapping):
        return {key: without_non_finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_non_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rename_rejected(path: Path) -> Path | None:
    """Rename a rejected file to `<name>.rejected.<random>`; return where it is, None when it is gone.

    Its name is new: two processes may do this at once, and a file must never take the place of another.
    """
    try:
        return path.rename(path.with_name(f"{path.name}.rejected.{uuid4().hex[:12]}"))
    except FileNotFoundError:  # another process was faster
        return None
