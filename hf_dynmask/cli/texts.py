"""The texts of a preview: one that is given, or the lines of a file or of standard input."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from hf_dynmask.core.checks import checked_integer


def read_texts(options: argparse.Namespace) -> tuple[list[str], bool]:
    """The texts, as many as are to be shown, and whether there are more; a `ValueError` if there is none to read."""
    most = checked_integer(options.max_texts, "--max_texts", 1, "Pass how many lines to show.")
    if options.text is not None and options.file is not None:
        raise ValueError("`text` and `--file` must not both be given. Drop one.")
    if options.text is None and options.file is None and sys.stdin.isatty():
        raise ValueError("`text` must be given, or `--file`, or standard input. Put a text in quotes.")
    texts = list(islice(filter(None, _lines(options.text, options.file)), most + 1))
    if not texts:
        raise ValueError("`text` must hold something else than white space, but nothing came.")
    return texts[:most], len(texts) > most


def _lines(text: str | None, file: Path | None) -> Iterator[str]:
    if text is not None:
        _hint_at_file(text)
        yield " ".join(text.split())
    elif file is not None:
        yield from _lines_of(file)
    else:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="strict")  # some locales let all bytes pass
        yield from _stripped(sys.stdin, "standard input")


def _hint_at_file(text: str) -> None:
    if os.path.isfile(text):  # Path.is_file fails where a text is longer than a name can be
        print(f"hf-dynmask: `text` is the name of a file. Did you mean `--file {text}`?", file=sys.stderr)


def _lines_of(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8") as lines:
            yield from _stripped(lines, f"`--file` {str(file)!r}")
    except OSError as error:
        raise ValueError(f"`--file` must be a text file, but {str(file)!r} is none: {error.strerror}.") from error


def _stripped(lines: Iterable[str], source: str) -> Iterator[str]:
    try:
        yield from map(str.strip, lines)
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} must be text in {error.encoding}, but is not. Save it as UTF-8.") from error
