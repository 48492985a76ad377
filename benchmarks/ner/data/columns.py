"""Finds the columns of words and tags in a text file, from a sample of its rows.

If the columns are not clear, an error names the options to pass. A few rows decide nothing, except that a first column
which counts 1, 2, 3, ... does not hold words.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from benchmarks.ner.data.file_format import FileFormat
from benchmarks.ner.data.tag_schemes import ANY_TAG

FEWEST = 30  # rows; a sentence may consist of numbers
NEARLY_ALL = 0.9
LANGUAGE = re.compile(r"[a-z]+(-[a-z]+)*:")
SEGMENTED = re.compile(r".\d+")  # a character and its index in a word, as in Weibo NER

Rows = Sequence[Sequence[str]]


class Columns(NamedTuple):
    """The indices of two columns, of which -1 is the last, and the number of columns; None if no row is known."""

    word: int
    tag: int
    width: int | None


def find_columns(rows: Rows, form: FileFormat, where: str) -> Columns:
    """Returns the columns of a file, given a sample of its rows; the width of most rows is that of the file.

    Raises `ValueError`, naming `where` and the options to pass, for a first column that does not hold words, for words
    with a mark on each of them, and if another column than the last may be that of the tags.
    """
    word, tag = _index("word_column", form.word_column, 0), _index("tag_column", form.tag_column, -1)
    width = _width(rows)
    if word == (max(2, width or 0) - 1 if tag == -1 else tag):
        rule = f"words and tags must be in different columns; both are in column {word + 1}"
        raise ValueError(f"{where}: {rule}; pass --word_column and --tag_column")
    rows = [row for row in rows if len(row) == width]
    tags = [k for k in range(width or 0) if k != word and _nearly_all(_column(rows, k), ANY_TAG.fullmatch)]
    if form.word_column is None:
        further = f" --tag_column {_either(tags)}" if tags and form.tag_column is None else ""
        _check_first_column(rows, tags, further, where)
    if form.tag_column is None and tags and len(rows) >= FEWEST:
        _check_last_column(rows, tags, where)
    if form.word_pattern is None and len(rows) >= FEWEST:
        _check_marks(_column(rows, word), where)
    return Columns(word, tag, width)


def _index(name: str, number: str | None, default: int) -> int:
    if number is None:
        return default
    if not number.isdecimal() or int(number) == 0:
        raise ValueError(f"`{name}` must be a number from 1 for a text file, but got {number!r}. Count its columns.")
    return int(number) - 1


def _check_first_column(rows: Rows, tags: Sequence[int], further: str, where: str) -> None:
    if reason := _not_words(_column(rows, 0)):
        words = (k for k in range(1, len(rows[0])) if k not in tags and not _not_words(_column(rows, k)))
        remedy = f"pass --word_column {next(words, 1) + 1}{further}"
        raise ValueError(f"{where}: the first column must hold the words; {reason}; {remedy}")


def _check_last_column(rows: Rows, tags: Sequence[int], where: str) -> None:
    last = _column(rows, -1)
    if _nearly_all(last, lambda value: not ANY_TAG.fullmatch(value)):
        raise ValueError(f"{where}: the last column must hold the tags; it does not; pass --tag_column {_either(tags)}")
    types = _types(last)
    end = len(rows[0]) - 1
    rivals = [k for k in tags if k < end and (not types or types & _types(_column(rows, k)))]
    if rivals:
        either = _either([*rivals, end])
        raise ValueError(f"{where}: one column must hold the tags; several do; pass --tag_column {either}")


def _check_marks(words: Sequence[str], where: str) -> None:
    languages = Counter(found[0] for word in words if (found := LANGUAGE.match(word)))
    prefix, count = max(languages.items(), key=lambda item: item[1], default=("", 0))
    if count >= NEARLY_ALL * len(words):
        mark, pattern = f"nearly all begin with {prefix!r}", f"{prefix}(.+)"
    elif _nearly_all(words, SEGMENTED.fullmatch) and not _nearly_all(words, str.isdecimal):
        mark, pattern = "nearly all are a character and a number", r"(.+?)\d+"
    else:
        return
    remedy = f"pass --word_pattern '{pattern}' to remove it, or '(.+)' to keep it"
    raise ValueError(f"{where}: words must be what was written; {mark}; {remedy}")


def _not_words(values: Sequence[str]) -> str | None:
    enough = len(values) >= FEWEST
    if _count_up(values) or (enough and _nearly_all(values, str.isdecimal)):
        return f"it holds numbers: {', '.join(values[:3])}, ..."
    if enough and _nearly_all(list(pairwise(values)), lambda pair: pair[0] == pair[1]):
        return "it repeats the same value"
    return None


def _count_up(values: Sequence[str]) -> bool:
    """Whether values count 1, 2, 3, ..., and from 1 again, as the indices of words in their sentences do."""
    number = 0
    for value in values:
        number = 1 if value == "1" else number + 1
        if value != str(number):
            return False
    return "3" in values


def _types(tags: Sequence[str]) -> set[str]:
    return {tag[2:] for tag in tags} - {""}


def _column(rows: Rows, index: int) -> list[str]:
    """Returns a column of rows of one width. A column that no row has is empty: each line reports that it lacks it."""
    return [row[index] for row in rows if len(row) > index]


def _width(rows: Rows) -> int | None:
    """Returns the most frequent number of columns, the larger of equally frequent ones, or None without rows."""
    counts = Counter(map(len, rows))
    return max(counts, key=lambda width: (counts[width], width), default=None)


def _nearly_all(values: Sequence, holds: Callable) -> bool:
    return sum(bool(holds(value)) for value in values) >= NEARLY_ALL * max(len(values), 1)


def _either(columns: Sequence[int]) -> str:
    return " or ".join(str(k + 1) for k in columns)
