"""Reads the texts of a preview: an argument, or the lines of a file or of standard input."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path


def read_texts(options: argparse.Namespace) -> tuple[list[str], bool]:
    """The texts to show, and whether there are more. Raises a `ValueError` if there are none or they are unreadable."""
    most = options.max_texts
    if options.text is None and options.file is None and sys.stdin.isatty():
        raise ValueError("Pass `text` in quotes, `--file`, or text on standard input.")
    texts = list(islice(filter(None, _lines(options.text, options.file)), most + 1))
    if not texts:
        source = "`text`" if options.text is not None else _source(options.file)
        raise ValueError(f"{source} must contain more than whitespace, but contains no text. Pass a text to mask.")
    return texts[:most], len(texts) > most


def _lines(text: str | None, file: Path | None) -> Iterator[str]:
    if text is not None:
        _check_encoding(text)
        _hint_at_file(text)
        yield " ".join(text.split())
    elif file is not None:
        yield from _lines_of(file)
    else:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="strict")  # some locales let all bytes pass
        yield from _stripped(sys.stdin, _source(file))


def _check_encoding(text: str) -> None:
    """Refuses bytes that Python could not read as text, and passes on as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("`text` must be text in utf-8, but is not. Save it as UTF-8, and pass `--file`.") from error


def _hint_at_file(text: str) -> None:
    if os.path.isfile(text):  # Path.is_file fails where a text is longer than a name can be
        print(f"hf-dynmask: `text` is also the name of a file. Did you mean `--file {text}`?", file=sys.stderr)


def _lines_of(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8-sig") as lines:
            yield from _stripped(lines, _source(file))
    except OSError as error:
        raise ValueError(f"`--file` must be a text file, but {str(file)!r} is unreadable: {error.strerror}.") from error


def _stripped(lines: Iterable[str], source: str) -> Iterator[str]:
    try:
        yield from map(str.strip, lines)
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} must be text in {error.encoding}, but is not. Save it as UTF-8.") from error


def _source(file: Path | None) -> str:
    return "standard input" if file is None else f"`--file` {str(file)!r}"
