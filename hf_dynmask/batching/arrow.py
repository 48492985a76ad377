"""Reads the columns of Arrow tables without a Python object for each token. Imported only where pyarrow is in use."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def table_rows(table: pa.Table | pa.RecordBatch) -> dict[str, list[Any]]:
    """The columns of a table, each as a list with one value per row.

    Lists of numbers are views, possibly read-only, of one numpy array per column. As in Python lists, floats of 64 bits
    become floats of 32 bits. All other values, such as texts and missing values, are Python objects.
    """
    return {name: _rows(table.column(number)) for number, name in enumerate(table.schema.names)}


def _rows(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    flat = _numbers(pc.list_flatten(column)) if _is_list(column.type) and not column.null_count else None
    if flat is None:
        return column.to_pylist()
    ends = _lengths(column).cumsum().tolist()
    return [flat[start:end] for start, end in pairwise([0, *ends])]


def _numbers(values: pa.ChunkedArray | pa.Array) -> np.ndarray | None:
    """Numbers, or lists of numbers of one length, as an array `[values, ...]`; None for other values."""
    if values.null_count:
        return None
    if _is_list(values.type):
        lengths, inner = _lengths(values), _numbers(pc.list_flatten(values))
        if inner is None or not len(lengths) or (lengths != lengths[0]).any():
            return None
        return inner.reshape(len(lengths), lengths[0], *inner.shape[1:])
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)):
        return None
    array = values.to_numpy(**({} if isinstance(values, pa.ChunkedArray) else {"zero_copy_only": False}))
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _lengths(lists: pa.ChunkedArray | pa.Array) -> np.ndarray:
    return pc.list_value_length(lists).to_numpy().astype(np.int64)


def _is_list(type_: pa.DataType) -> bool:
    return pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
