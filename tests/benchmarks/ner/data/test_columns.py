"""The columns of a file: found where they are clear, asked for where they are not, and never told from few rows."""

from __future__ import annotations

import pytest

from benchmarks.ner.data.columns import FEWEST, find_columns
from benchmarks.ner.data.file_format import DEFAULT, FileFormat

WORDS = ["Ann", "in", "Rome", "7", "http:"]
TAGS = ["B-PER", "O", "B-LOC", "O", "O"]


def _rows(*columns: list[str] | str, count: int = FEWEST) -> list[list[str]]:
    values = [[column] if isinstance(column, str) else column for column in columns]
    return [[column[i % len(column)] for column in values] for i in range(count)]


@pytest.mark.parametrize(
    "rows",
    [
        _rows(WORDS, TAGS),
        _rows(WORDS, "NN", TAGS),
        _rows(WORDS, "NN", ["B-NP", "O"], TAGS),  # chunks are tags of other types
        _rows(WORDS, "NN", ["B-NP", "O"], [*TAGS[:4], "a"]),  # an error in a tag, which its line reports
        _rows(WORDS, "O"),
        _rows(["S-Bahn", "O", "B-52"], TAGS),  # words like tags
        [],
    ],
)
def test_the_first_and_the_last_column_are_the_default(rows) -> None:
    found = find_columns(rows, DEFAULT, "f:1")
    assert (found.word, found.tag, found.widths) == (0, -1, {len(row) for row in rows})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            _rows(["1", "2", "3"], WORDS, TAGS),
            "the first column .*; it holds numbers: 1, 2, 3, ...; pass --word_column 2",
        ),
        (_rows(["1", "2"], "doc", WORDS, "NN"), "the first column .*; pass --word_column 3$"),
        (_rows("doc", ["1", "2"], WORDS, TAGS), "it repeats the same value; pass --word_column 3 --tag_column 4"),
        (_rows(WORDS, TAGS, "O"), "several do; pass --tag_column 2 or 3"),
        (_rows(WORDS, TAGS, ["O"] * 4 + ["B-LOC"]), "several do; pass --tag_column 2 or 3"),
        (_rows(WORDS, TAGS, "ann"), "the last column must hold the tags; it does not; pass --tag_column 2"),
        (_rows(["zh-yue:a", "zh-yue:b"], TAGS), r"begin with 'zh-yue:'; pass --word_pattern 'zh-yue:\(\.\+\)'"),
        (_rows(["我0", "们1", "a12"], TAGS), r"a character and a number; pass --word_pattern '\(\.\+\?\)\\d\+'"),
    ],
)
def test_other_columns_are_asked_for(rows, message) -> None:
    with pytest.raises(ValueError, match=rf"^f:1: .*{message}"):
        find_columns(rows, DEFAULT, "f:1")
    assert find_columns(rows[: FEWEST - 1], DEFAULT, "f:1").word == 0


def test_a_choice_is_not_doubted() -> None:
    rows = _rows(["1", "2", "3"], ["de:a", "de:b"], TAGS, TAGS)
    found = find_columns(rows, FileFormat("1", "4", "(.+)"), "f:1")
    assert (found.word, found.tag) == (0, 3)


@pytest.mark.parametrize(
    "options", [{"word_column": "2"}, {"tag_column": "1"}, {"word_column": "2", "tag_column": "2"}]
)
def test_words_are_not_tags(options) -> None:
    with pytest.raises(
        ValueError, match=r"^f:1: words and tags must be in different columns; both are in column [12]; pass"
    ):
        find_columns([["Ann", "B-PER"]], FileFormat(**options), "f:1")


@pytest.mark.parametrize("number", ["0", "-1", "words", "1.5", ""])
def test_a_column_is_a_number_from_1(number) -> None:
    with pytest.raises(ValueError, match=f"`tag_column` must be a number from 1 for a text file, but got '{number}'"):
        find_columns([], FileFormat(tag_column=number), "f:1")
