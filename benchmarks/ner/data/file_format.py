"""The layout of the files of a corpus, as far as users choose it. Nothing heavy is imported."""

import re
from dataclasses import dataclass
from typing import Any

from benchmarks.ner.data.tag_schemes import SCHEMES


@dataclass(frozen=True)
class FileFormat:
    """Where words and tags are, what part of a word is kept, and how tags and characters are written.

    Columns are numbers from 1 in text files, and names in JSON lines, in Parquet and on the Hub. By default, the first
    column of a text file holds its words, the last its tags. The group of `word_pattern`, a regular expression, is what
    is kept of a word. `encoding` is that of text files.
    """

    word_column: str | None = None
    tag_column: str | None = None
    word_pattern: str | None = None
    tag_scheme: str = "iob2"
    encoding: str = "utf-8"


DEFAULT = FileFormat()
ASCII = "#\t\n azAZ 09 +-~ \\u0041.xn--bcher-kva"  # some encodings take the end of it for codes of other letters


def check_format(form: FileFormat) -> None:
    """Raises `ValueError` for values that no file can have."""
    if form.tag_scheme not in SCHEMES:
        raise ValueError(
            f"`tag_scheme` must be among {', '.join(SCHEMES)}, but got {form.tag_scheme!r}. Choose one of them: "
            "BIO is iob2, and bioes includes BILOU and BMES."
        )
    if not _extends_ascii(form.encoding):
        raise ValueError(
            "`encoding` must be one of Python's that extends ASCII, such as utf-8, latin-1 or gb18030, but got "
            f"{form.encoding!r}. Correct it, or convert the files to UTF-8."
        )
    if form.word_pattern is not None and not _has_one_group(form.word_pattern):
        raise ValueError(
            "`word_pattern` must be a regular expression with one group, such as 'de:(.+)', but got "
            f"{form.word_pattern!r}. Put parentheses around what to keep."
        )


def check_all_files(train_file: Any, validation_file: Any, test_file: Any) -> None:
    """Raises `ValueError` if some of the files of the splits are given and others are None."""
    files = {"train_file": train_file, "validation_file": validation_file, "test_file": test_file}
    missing = [name for name, file in files.items() if file is None]
    if 0 < len(missing) < len(files):
        rule = "train_file, validation_file and test_file must be given together"
        raise ValueError(f"{rule}; got no {' and no '.join(missing)}; pass all three files or none")


def _extends_ascii(encoding: str) -> bool:
    """Whether bytes of ASCII are read as such: lines are split at the byte of a newline, and decoded afterwards."""
    try:
        return ASCII.encode().decode(encoding) == ASCII
    except (LookupError, ValueError):  # no such encoding, or none of text
        return False


def _has_one_group(pattern: str) -> bool:
    try:
        return re.compile(pattern).groups == 1
    except re.error:
        return False
