"""Reads NER sentences from files into a `datasets.Dataset` of `words` and IOB2 `tags`.

A malformed line raises `ValueError` with the message `FILE:LINE: rule; value; remedy`. A Parquet row counts as a line.
"""

from pathlib import Path

from datasets import ClassLabel, Dataset

from benchmarks.ner.data.conll import read_conll
from benchmarks.ner.data.display import shorten
from benchmarks.ner.data.file_format import DEFAULT, FileFormat
from benchmarks.ner.data.iob2 import from_rows, named_columns, ner_dataset, non_empty, read_sentence
from benchmarks.ner.data.parquet import read_parquet
from benchmarks.ner.data.strict_json import loads
from benchmarks.ner.data.text_lines import numbered_lines

__all__ = ["from_columns", "ner_dataset", "read_conll", "read_file", "read_json_lines", "read_parquet"]


def read_file(path: str | Path, form: FileFormat = DEFAULT) -> Dataset:
    """Selects the reader by suffix: JSON lines for .json and .jsonl, Parquet for .parquet, otherwise CoNLL columns."""
    readers = {".json": read_json_lines, ".jsonl": read_json_lines, ".parquet": read_parquet}
    return readers.get(Path(path).suffix.lower(), read_conll)(path, form)


def read_json_lines(path: str | Path, form: FileFormat = DEFAULT) -> Dataset:
    """Reads one JSON object per line, with the keys `words` or `tokens`, `tags` or `ner_tags`, or those of `form`."""
    words, tags = [], []
    for number, line in numbered_lines(path, form.encoding):
        if line.strip():
            sentence = _json_sentence(line, form, f"{path}:{number}")
            words.append(sentence[0])
            tags.append(sentence[1])
    return non_empty(ner_dataset(words, tags), path)


def from_columns(dataset: Dataset, where: str, form: FileFormat = DEFAULT) -> Dataset:
    """Renames the word and tag columns of a dataset to `words` and `tags`, and turns `ClassLabel` ids into names.

    Raises `ValueError`, naming `where` and the row, for missing columns, ids without names, and malformed rows.
    """
    word_column, tag_column = named_columns(dataset.column_names, form, f"{where}:1")
    feature = dataset.features[tag_column]
    label = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    names = label.names if isinstance(label, ClassLabel) else None
    return from_rows(list(dataset[word_column]), list(dataset[tag_column]), names, form, where)


def _json_sentence(line: str, form: FileFormat, where: str) -> tuple[list[str], list[str]]:
    try:
        sentence = loads(line)
    except ValueError as error:
        raise ValueError(f"{where}: a line must be JSON; {error}; write one object per line") from error
    if not isinstance(sentence, dict):
        raise ValueError(
            f"{where}: a line must be a JSON object; got {shorten(line)}; write an object with words and tags"
        )
    word_column, tag_column = named_columns(list(sentence), form, where)
    return read_sentence(sentence[word_column], sentence[tag_column], form, where)
