"""The columns of a file: found where they are clear, asked for where they are not; few rows decide little."""

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
    assert (found.word, found.tag, found.width) == (0, -1, len(rows[0]) if rows else None)


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
        (_rows(["simple:a", "simple:b"], TAGS), r"begin with 'simple:'; pass --word_pattern 'simple:\(\.\+\)'"),
        (_rows(["zh-yue:a", "zh-yue:b"], TAGS), r"begin with 'zh-yue:'; pass --word_pattern 'zh-yue:\(\.\+\)'"),
        (_rows(["我0", "们1", "a12"], TAGS), r"a character and a number; pass --word_pattern '\(\.\+\?\)\\d\+'"),
    ],
)
def test_other_columns_are_asked_for(rows, message) -> None:
    with pytest.raises(ValueError, match=rf"^f:1: .*{message}"):
        find_columns(rows, DEFAULT, "f:1")


@pytest.mark.parametrize(
    "rows",
    [
        _rows(["7", "8"], WORDS, TAGS, count=FEWEST - 1),
        _rows("doc", WORDS, TAGS, count=FEWEST - 1),
        _rows(WORDS, TAGS, "O", count=FEWEST - 1),
        _rows(["de:a"], TAGS, count=FEWEST - 1),
        _rows(["1", "2"], TAGS, count=2),
        _rows(["1", "2", "3", "4", "6"], TAGS, count=5),
        _rows(["9" * 5000, "1"], TAGS, count=2),  # more digits than Python converts
    ],
)
def test_few_rows_keep_the_default(rows) -> None:
    found = find_columns(rows, DEFAULT, "f:1")
    assert (found.word, found.tag) == (0, -1)


def test_a_column_that_counts_the_words_of_each_sentence_is_clear_in_few_rows() -> None:
    rows = _rows(["1", "2", "3", "1"], WORDS, TAGS, "O", count=7)
    with pytest.raises(ValueError, match=r"it holds numbers: 1, 2, 3, ...; pass --word_column 2 --tag_column 3 or 4$"):
        find_columns(rows, DEFAULT, "f:1")
    assert find_columns(rows, FileFormat("1"), "f:1").word == 0


@pytest.mark.parametrize("ragged", [["x", "O"], ["x", "B-PER", "O", "O"]])
@pytest.mark.parametrize("count", [1, 3])
def test_the_width_is_that_of_most_rows(ragged, count) -> None:
    clear, unclear = _rows(WORDS, "NN", TAGS), _rows(WORDS, TAGS, "O")
    assert find_columns([ragged] * count + clear, DEFAULT, "f:1") == (0, -1, 3)
    with pytest.raises(ValueError, match="several do; pass --tag_column 2 or 3"):
        find_columns([ragged] * count + unclear, DEFAULT, "f:1")


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
