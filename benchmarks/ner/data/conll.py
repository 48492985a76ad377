"""Reads text files with a word per line, in columns."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from datasets import Dataset

from benchmarks.ner.data.columns import Columns, find_columns
from benchmarks.ner.data.display import shorten
from benchmarks.ner.data.file_format import DEFAULT, FileFormat
from benchmarks.ner.data.iob2 import ner_dataset, non_empty, read_tag, read_word
from benchmarks.ner.data.tag_schemes import ANY_TAG
from benchmarks.ner.data.text_lines import numbered_lines

SAMPLE = 10_000  # rows that are enough to tell columns apart
BOUNDARY = "-DOCSTART-"
COMMENT = re.compile(r"#(\s.*|[^\t]*)")


def read_conll(path: str | Path, form: FileFormat = DEFAULT) -> Dataset:
    """Reads one word per line; by default, the first column is the word, the last its tag.

    Tabs separate the columns of a line that contains a tab; otherwise spaces do. All lines of words have the same
    number of columns. A blank line ends a sentence. Before a sentence, a line that begins with "#" is a comment, unless
    it has a tag. A `-DOCSTART-` line begins a document; if there is one, the dataset has a column `document`, the index
    of each sentence's document.
    """
    columns = _columns(path, form)
    words: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    documents, document, previous = [0], 0, "O"
    for number, line in numbered_lines(path, form.encoding):
        row = _split(line)
        if not line or line.isspace() or row[0] == BOUNDARY:
            document += row[0] == BOUNDARY
            if words[-1]:  # repeated blank lines take no memory
                words.append([])
                tags.append([])
                documents.append(document)
            documents[-1], previous = document, "O"
        elif words[-1] or not _is_comment(line, row, columns):
            word, tag = _word_and_tag(row, columns, line, f"{path}:{number}")
            words[-1].append(read_word(word, form.word_pattern, f"{path}:{number}"))
            tags[-1].append(read_tag(tag, previous, form.tag_scheme, f"{path}:{number}"))
            previous = tag
    if not words[-1]:
        words.pop()
        tags.pop()
        documents.pop()
    return non_empty(ner_dataset(words, tags, documents if document else None), path)


def _columns(path: str | Path, form: FileFormat) -> Columns:
    sample = list(islice(_rows(path, form), SAMPLE))
    return find_columns([row for _, row in sample], form, f"{path}:{sample[0][0] if sample else 1}")


def _rows(path: str | Path, form: FileFormat) -> Iterator[tuple[int, list[str]]]:
    """Yields the numbered rows of words, without all rows that may be comments."""
    for number, line in numbered_lines(path, form.encoding):
        row = _split(line)
        if line and not line.isspace() and row[0] != BOUNDARY and not line.startswith("#"):
            yield number, row


def _split(line: str) -> list[str]:
    return line.split("\t") if "\t" in line else [column for column in line.split(" ") if column] or [""]


def _is_comment(line: str, row: list[str], columns: Columns) -> bool:
    """Distinguishes "# source [date]" from the row of a hashtag, which has as many columns as others, and a tag."""
    as_wide = len(row) >= _fewest(columns) and len(row) == (columns.width or len(row))
    return bool(COMMENT.fullmatch(line)) and not (as_wide and ANY_TAG.fullmatch(row[columns.tag]))


def _word_and_tag(row: list[str], columns: Columns, line: str, where: str) -> tuple[str, str]:
    if len(row) < _fewest(columns):
        rule = f"a line must have at least {_fewest(columns)} columns, for a word and a tag"
        raise ValueError(f"{where}: {rule}; got {shorten(line)}; add the tag, or correct --word_column or --tag_column")
    width = columns.width or len(row)
    if len(row) != width:
        rule = f"a line must have {width} columns, as most lines have"
        remedy = "add what is missing" if len(row) < width else "remove what is too much"
        raise ValueError(f"{where}: {rule}; got {len(row)} in {shorten(line)}; {remedy}")
    return row[columns.word], row[columns.tag]


def _fewest(columns: Columns) -> int:
    return max(2, columns.word + 1, columns.tag + 1)
