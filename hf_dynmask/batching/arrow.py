"""Reads the columns of Arrow tables without a Python object for each token. Imported only where pyarrow is in use."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import numpy as np
import pyarrow as pa


def table_rows(table: pa.Table | pa.RecordBatch) -> dict[str, list[Any]]:
    """The columns of a table, each as a list with one value per row.

    Lists of numbers are views, possibly read-only, of one numpy array per column. As in Python lists, floats of 64 bits
    become floats of 32 bits. All other values, such as texts and missing values, are Python objects.
    """
    if isinstance(table, pa.Table):
        table = table.combine_chunks()  # rows that were selected one by one have a chunk each
    return {name: _column_rows(table.column(number)) for number, name in enumerate(table.schema.names)}


def _column_rows(column: pa.ChunkedArray | pa.Array) -> list[Any]:
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return list(chain.from_iterable(map(_rows, chunks)))


def _rows(values: pa.Array) -> list[Any]:
    flat = _numbers(values.flatten()) if _is_list(values.type) and not values.null_count else None
    if flat is None:
        return values.to_pylist()
    return [flat[start:end] for start, end in pairwise(_bounds(values).tolist())]


def _bounds(lists: pa.Array) -> np.ndarray:
    """Where lists start and end among their values: integers `[lists + 1]`."""
    if pa.types.is_fixed_size_list(lists.type):
        return np.arange(len(lists) + 1) * lists.type.list_size
    bounds = lists.offsets.to_numpy()
    return bounds - bounds[0]


def _numbers(values: pa.Array) -> np.ndarray | None:
    """Numbers, or lists of numbers of one length, as an array `[values, ...]`; None for other values."""
    if values.null_count:
        return None
    if _is_list(values.type):
        lengths, inner = np.diff(_bounds(values)), _numbers(values.flatten())
        if inner is None or not len(lengths) or (lengths != lengths[0]).any():
            return None
        return inner.reshape(len(lengths), lengths[0], *inner.shape[1:])
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_boolean(values.type)):
        return None
    array = values.to_numpy(zero_copy_only=False)  # bits are copied to bytes
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _is_list(type_: pa.DataType) -> bool:
    return pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
