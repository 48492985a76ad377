"""Reads the numbered lines of a text file."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from benchmarks.ner.data.iob2 import check_exists


def numbered_lines(path: str | Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Yields lines with their numbers, from 1.

    Only a newline ends a line: `str.splitlines` would split words at U+0085 or U+2028.
    Raises `ValueError` for a file that cannot be read, and for a line in another encoding.
    """
    check_exists(path)
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            try:
                yield number, content.removesuffix(b"\n").decode(encoding).removesuffix("\r")
            except UnicodeDecodeError as error:
                remedy = "pass its --encoding, which may be latin-1 or gb18030, or convert the file"
                raise ValueError(f"{path}:{number}: text must be {encoding.upper()}; {error}; {remedy}") from error


def _opened(path: str | Path) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ValueError(f"{path}:1: the file must be readable; {error.strerror}; check its permissions") from error
