"""Reads NER sentences from files into a `datasets.Dataset` of `words` and IOB2 `tags`.

A malformed line raises `ValueError` with the message `FILE:LINE: rule; value; remedy`. A Parquet row counts as a line.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from datasets import ClassLabel, Dataset

from benchmarks.ner.data.display import shorten
from benchmarks.ner.data.iob2 import (
    TAG_COLUMNS,
    WORD_COLUMNS,
    check_exists,
    check_sentence,
    check_tag,
    check_word,
    from_rows,
    ner_dataset,
    non_empty,
    one_of,
)
from benchmarks.ner.data.parquet import read_parquet
from benchmarks.ner.data.strict_json import loads


def read_file(path: str | Path) -> Dataset:
    """Selects the reader by suffix: JSON lines for .json and .jsonl, Parquet for .parquet, otherwise CoNLL columns."""
    readers = {".json": read_json_lines, ".jsonl": read_json_lines, ".parquet": read_parquet}
    return readers.get(Path(path).suffix.lower(), read_conll)(path)


def read_conll(path: str | Path) -> Dataset:
    """Reads one word per line: the first column is the word, the last its tag; a blank line ends a sentence.

    Tabs separate the columns of a line that contains a tab; otherwise spaces do. A `-DOCSTART-` line begins a document.
    If there is such a line, the dataset has a column `document`, the index of each sentence's document.
    """
    words: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    documents, document = [0], 0
    for number, line in _lines(path):
        columns = line.split("\t") if "\t" in line else line.split(" ")
        if not line or line.isspace() or columns[0] == "-DOCSTART-":
            document += columns[0] == "-DOCSTART-"
            if words[-1]:  # repeated blank lines take no memory
                words.append([])
                tags.append([])
                documents.append(document)
            documents[-1] = document
            continue
        word, tag = _word_and_tag(line, columns, f"{path}:{number}")
        check_tag(tag, tags[-1][-1] if tags[-1] else "O", f"{path}:{number}")
        words[-1].append(word)
        tags[-1].append(tag)
    if not words[-1]:
        words.pop()
        tags.pop()
        documents.pop()
    return non_empty(ner_dataset(words, tags, documents if document else None), path)


def read_json_lines(path: str | Path) -> Dataset:
    """Reads one JSON object per line, with the keys `words` or `tokens`, and `tags` or `ner_tags`."""
    words, tags = [], []
    for number, line in _lines(path):
        if line.strip():
            sentence = _json_sentence(line, f"{path}:{number}")
            words.append(sentence[0])
            tags.append(sentence[1])
    return non_empty(ner_dataset(words, tags), path)


def from_columns(dataset: Dataset, where: str) -> Dataset:
    """Renames the word and tag columns of a dataset to `words` and `tags`, and turns `ClassLabel` ids into names.

    Raises `ValueError`, naming `where` and the row, for missing columns, ids without names, and malformed rows.
    """
    word_column = one_of(WORD_COLUMNS, dataset.column_names, f"{where}:1")
    tag_column = one_of(TAG_COLUMNS, dataset.column_names, f"{where}:1")
    feature = dataset.features[tag_column]
    label = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    names = label.names if isinstance(label, ClassLabel) else None
    return from_rows(list(dataset[word_column]), list(dataset[tag_column]), names, where)


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yields numbered lines. Only a newline ends a line: `str.splitlines` would split words at U+0085 or U+2028."""
    check_exists(path)
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            try:
                yield number, content.removesuffix(b"\n").decode("utf-8").removesuffix("\r")
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}:{number}: text must be UTF-8; {error}; convert the file") from error


def _opened(path: str | Path) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ValueError(f"{path}:1: the file must be readable; {error.strerror}; check its permissions") from error


def _word_and_tag(line: str, columns: list[str], where: str) -> tuple[str, str]:
    if "\t" not in line:
        columns = [column for column in columns if column]
    if len(columns) < 2:
        raise ValueError(f"{where}: a line must have a word and a tag column; got {shorten(line)}; add the tag")
    word, tag = columns[0], columns[-1]
    check_word(word, where)
    return word, tag


def _json_sentence(line: str, where: str) -> tuple[list[str], list[str]]:
    try:
        sentence = loads(line)
    except ValueError as error:
        raise ValueError(f"{where}: a line must be JSON; {error}; write one object per line") from error
    if not isinstance(sentence, dict):
        raise ValueError(
            f"{where}: a line must be a JSON object; got {shorten(line)}; write an object with words and tags"
        )
    words, tags = (sentence[one_of(names, list(sentence), where)] for names in (WORD_COLUMNS, TAG_COLUMNS))
    check_sentence(words, tags, where)
    return words, tags
