"""Finds the columns of words and tags in a text file. What it cannot tell for sure, it asks for by an option.

Only a sample of rows is looked at, and nothing is told from a few of them.
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
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]+)*:")
SEGMENTED = re.compile(r".\d+")  # a character and its index in a word, as in Weibo NER

Rows = Sequence[Sequence[str]]


class Columns(NamedTuple):
    """The indices of two columns, of which -1 is the last, and the numbers of columns that rows have."""

    word: int
    tag: int
    widths: frozenset[int]


def find_columns(rows: Rows, form: FileFormat, where: str) -> Columns:
    """Returns the columns of a file, given a sample of its rows.

    Raises `ValueError`, naming `where` and the options to pass, for a first column that does not hold words, for words
    with a mark on each of them, and if another column than the last may be that of the tags.
    """
    word, tag = _index("word_column", form.word_column, 0), _index("tag_column", form.tag_column, -1)
    if word == (max([2, *map(len, rows)]) - 1 if tag == -1 else tag):
        rule = f"words and tags must be in different columns; both are in column {word + 1}"
        raise ValueError(f"{where}: {rule}; pass --word_column and --tag_column")
    if len(rows) >= FEWEST:
        tags = [k for k in range(_width(rows)) if k != word and _nearly_all(_column(rows, k), ANY_TAG.fullmatch)]
        if form.word_column is None:
            further = f" --tag_column {_either(tags)}" if tags and form.tag_column is None else ""
            _check_first_column(rows, tags, further, where)
        if form.tag_column is None and tags:
            _check_last_column(rows, tags, where)
        if form.word_pattern is None:
            _check_marks(_column(rows, word), where)
    return Columns(word, tag, frozenset(map(len, rows)))


def _index(name: str, number: str | None, default: int) -> int:
    if number is None:
        return default
    if not number.isdecimal() or int(number) == 0:
        raise ValueError(f"`{name}` must be a number from 1 for a text file, but got {number!r}. Count its columns.")
    return int(number) - 1


def _check_first_column(rows: Rows, tags: Sequence[int], further: str, where: str) -> None:
    if reason := _not_words(_column(rows, 0)):
        words = (k for k in range(1, _width(rows)) if k not in tags and not _not_words(_column(rows, k)))
        remedy = f"pass --word_column {next(words, 1) + 1}{further}"
        raise ValueError(f"{where}: the first column must hold the words; {reason}; {remedy}")


def _check_last_column(rows: Rows, tags: Sequence[int], where: str) -> None:
    last = [row[-1] for row in rows]
    if _nearly_all(last, lambda value: not ANY_TAG.fullmatch(value)):
        raise ValueError(f"{where}: the last column must hold the tags; it does not; pass --tag_column {_either(tags)}")
    types = _types(last)
    rivals = [k for k in tags if k < _width(rows) - 1 and (not types or types & _types(_column(rows, k)))]
    if rivals and _width(rows) == max(map(len, rows)):
        either = _either([*rivals, _width(rows) - 1])
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
    if _nearly_all(values, str.isdecimal):
        return f"it holds numbers: {', '.join(values[:3])}, ..."
    if _nearly_all(list(pairwise(values)), lambda pair: pair[0] == pair[1]):
        return "it repeats the same value"
    return None


def _types(tags: Sequence[str]) -> set[str]:
    return {tag[2:] for tag in tags} - {""}


def _column(rows: Rows, index: int) -> list[str]:
    return [row[index] for row in rows if len(row) > index]


def _width(rows: Rows) -> int:
    return min(map(len, rows))


def _nearly_all(values: Sequence, holds: Callable) -> bool:
    return sum(bool(holds(value)) for value in values) >= NEARLY_ALL * max(len(values), 1)


def _either(columns: Sequence[int]) -> str:
    return " or ".join(str(k + 1) for k in columns)
