"""Reads Parquet files of sentences whose tags are ids or names. A row counts as a line."""

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from datasets import Dataset

from benchmarks.ner.data.display import shorten
from benchmarks.ner.data.file_format import DEFAULT, FileFormat
from benchmarks.ner.data.iob2 import check_exists, from_rows, named_columns, non_empty
from benchmarks.ner.data.strict_json import loads


def read_parquet(path: str | Path, form: FileFormat = DEFAULT) -> Dataset:
    """Reads the columns `words` or `tokens`, and `tags` or `ner_tags`, or those of `form`, one sentence per row.

    Parquet is compressed, so the memory that a file needs is not bounded by its size.
    """
    check_exists(path)
    try:
        words, tags, names = _columns(path, form)
    except (pyarrow.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
        received = ascii(str(error)[:200])[1:-1]
        raise ValueError(f"{path}:1: the file must be parquet; {received}; rename or convert it") from error
    return non_empty(from_rows(words, tags, names, form, str(path)), path)


def _columns(path: str | Path, form: FileFormat) -> tuple[list[Any], list[Any], list[str] | None]:
    """Returns the rows of both columns, and the label names if the tags are ids."""
    with pyarrow.parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        word_column, tag_column = named_columns(schema.names, form, f"{path}:1")
        for column in (word_column, tag_column):
            _check_type(schema.field(column), f"{path}:1")
        table = file.read(columns=[word_column, tag_column])
    table.validate(full=True)
    names = _label_names(schema.metadata, tag_column)
    return table[word_column].to_pylist(), table[tag_column].to_pylist(), names


def _check_type(field: pyarrow.Field, where: str) -> None:
    """Accepts lists of strings or integers only: other types may run arbitrary code when they are decoded."""
    types, kind = pyarrow.types, field.type
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    inner = kind.value_type if is_list else kind
    inner = inner.value_type if types.is_dictionary(inner) else inner
    plain = types.is_string(inner) or types.is_large_string(inner) or types.is_integer(inner) or types.is_null(inner)
    if not (is_list and plain):
        raise ValueError(
            f"{where}: {shorten(field.name)} must be lists of strings; got {shorten(str(kind))}; convert the column"
        )


def _label_names(metadata: dict[bytes, bytes] | None, column: str) -> list[str] | None:
    """Returns the label names that `datasets` writes to the metadata for a `ClassLabel` column, or None."""
    try:
        feature = loads((metadata or {})[b"huggingface"].decode())["info"]["features"][column]
        names = (feature[0] if isinstance(feature, list) else feature["feature"])["names"]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
