"""Sentences of a NER dataset: words, each with an IOB2 tag.

A malformed sentence raises `ValueError` with the message `FILE:LINE: rule; value; remedy`, which has at most a few
hundred characters.
"""

import re
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pyarrow
from datasets import Dataset, DatasetInfo, Features, Value
from datasets import Sequence as SequenceFeature

from benchmarks.ner.data.display import shorten
from benchmarks.ner.data.file_format import FileFormat
from benchmarks.ner.data.tag_schemes import BIOES, OPEN, continues_nothing, to_iob2

WORD_COLUMNS = ("words", "tokens")
TAG_COLUMNS = ("tags", "ner_tags")
TAG = re.compile(r"O|[BI]-[^\s-]\S*")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def ner_dataset(
    words: Sequence[Sequence[str]], tags: Sequence[Sequence[str]], documents: Sequence[int] | None = None
) -> Dataset:
    """Returns a dataset with the columns `words: list[str]` and `tags: list[str]`.

    If `documents` is given, there is a column `document: int`, the index of each sentence's document.
    """
    strings = SequenceFeature(Value("string"))
    features = Features(words=strings, tags=strings)
    columns: list[Any] = [words, tags]
    if documents is not None:
        features["document"] = Value("int64")
        columns.append(documents)
    # `Dataset.from_dict` copies all lists first, which takes twice the memory.
    return Dataset(pyarrow.table(columns, schema=features.arrow_schema), DatasetInfo(features=features))


def document_lengths(split: Dataset) -> list[int] | None:
    """Returns the number of sentences of each document in order, or None if the split has no documents."""
    if "document" not in split.column_names:
        return None
    return [len(list(sentences)) for _, sentences in groupby(split["document"])]


def from_rows(words: list[Any], tags: list[Any], names: list[str] | None, form: FileFormat, where: str) -> Dataset:
    if names is not None:
        tags = [_named(row, names, f"{where}:{number}") for number, row in enumerate(tags, start=1)]
    pairs = enumerate(zip(words, tags, strict=True), start=1)
    sentences = [read_sentence(*pair, form, where=f"{where}:{row}") for row, pair in pairs]
    return ner_dataset([words for words, _ in sentences], [tags for _, tags in sentences])


def _named(numbers: Any, names: list[str], where: str) -> list[str]:
    if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < len(names) for n in numbers):
        raise ValueError(
            f"{where}: tags must be ids of the {len(names)} labels; got {shorten(numbers)}; give each word a label id"
        )
    return [names[number] for number in numbers]


def named_columns(found: list[str], form: FileFormat, where: str) -> tuple[str, str]:
    """Returns the names of the columns of words and tags among those found."""
    return (
        _named_column("word_column", form.word_column, WORD_COLUMNS, found, where),
        _named_column("tag_column", form.tag_column, TAG_COLUMNS, found, where),
    )


def _named_column(option: str, chosen: str | None, names: Sequence[str], found: list[str], where: str) -> str:
    present = [name for name in found if name == chosen or (chosen is None and name in names)]
    if len(present) != 1:
        rule = f"exactly one column of {' and '.join(names)}" if chosen is None else f"a column {shorten(chosen)}"
        received = ", ".join(map(shorten, found[:10])) or "none"
        raise ValueError(f"{where}: there must be {rule}; got {received}; pass the name of one as --{option}")
    return present[0]


def read_sentence(words: Any, tags: Any, form: FileFormat, where: str) -> tuple[list[str], list[str]]:
    """Returns the words and the IOB2 tags of a sentence in a format; raises `ValueError` for a malformed one."""
    for name, values in (("words", words), ("tags", tags)):
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"{where}: {name} must be a list of strings; got {_offending(values)}; write strings")
    if len(words) != len(tags):
        received = f"{len(words)} words and {len(tags)} tags"
        raise ValueError(f"{where}: each word must have one tag; got {received}; align them")
    converted = [read_tag(tag, before, form.tag_scheme, where) for before, tag in pairwise(["O", *tags])]
    return [read_word(word, form.word_pattern, where) for word in words], converted


def read_word(word: str, pattern: str | None, where: str) -> str:
    """Returns the part of a word that a pattern keeps."""
    if pattern is not None:
        found = re.fullmatch(pattern, word)
        if found is None:
            rule = f"a word must match {shorten(pattern)}"
            raise ValueError(f"{where}: {rule}; got {shorten(word)}; change --word_pattern or the word")
        word = found[1] or ""
    if not word.strip(" "):
        raise ValueError(f"{where}: a word must not be empty; got {shorten(word)}; remove it or fill it in")
    if LONE_SURROGATE.search(word):
        raise ValueError(f"{where}: a word must be valid Unicode; got {shorten(word)}; write complete surrogate pairs")
    return word


def read_tag(tag: str, previous: str, scheme: str, where: str) -> str:
    """Returns a tag in IOB2, given the tag of the word before it, as it is written, or "O"."""
    converted = to_iob2(tag, previous, scheme)
    if not TAG.fullmatch(converted) or LONE_SURROGATE.search(tag):
        further = ", or a TYPE with E-, S-, M-, L- or U-" if scheme == "bioes" else ""
        remedy = "pass --tag_scheme bioes" if tag[:2] in BIOES and not further else "convert the tags to IOB2"
        raise ValueError(f"{where}: a tag must be O, B-TYPE or I-TYPE{further}; got {shorten(tag)}; {remedy}")
    if continues_nothing(tag, previous, scheme):
        rule = f"in {scheme.upper()} {_bare(tag)} must follow {' or '.join(p + _bare(tag[2:]) for p in OPEN[scheme])}"
        further = "pass --tag_scheme iob1 if an entity begins there, or " if scheme == "iob2" else ""
        raise ValueError(f"{where}: {rule}; got it after {_bare(previous)}; {further}correct the tag")
    return converted


def _bare(tag: str) -> str:
    return shorten(tag)[1:-1]


def _offending(values: Any) -> str:
    """Describes the first of `values` that is not a string, or `values` if it is not a list."""
    return shorten(
        next(value for value in values if not isinstance(value, str)) if isinstance(values, list) else values
    )


def check_exists(path: str | Path) -> None:
    if not Path(path).is_file():
        raise ValueError(f"{path}:1: the file must exist; there is no such file; check the path")


def non_empty(dataset: Dataset, path: str | Path) -> Dataset:
    if not len(dataset):
        raise ValueError(f"{path}:1: a file must contain a sentence; got none; check the path and the format")
    return dataset
