"""Reads the columns of examples, of any type, into flat arrays."""

from __future__ import annotations

import operator
import struct
from collections.abc import Collection
from itertools import chain, repeat, starmap
from typing import Any

import numpy as np

from hf_dynmask.batching.columns import PER_TOKEN, are_classes, check_lengths, refuse_unnamed
from hf_dynmask.batching.features import feature_columns, length_or_none
from hf_dynmask.batching.packs import SEQ_LENGTHS, split_by_lengths
from hf_dynmask.core.checks import INT64_MAX
from hf_dynmask.core.ragged import RaggedBatch


def ragged_batch(features: Any, per_token_columns: Collection[str] = ()) -> RaggedBatch:
    """The columns of a batch as flat arrays.

    Args:
        features: examples, columns or a table: see [`feature_columns`].
        per_token_columns: the names of additional columns with one value per token.

    Returns:
        The columns, except for `labels` with one number per example, its class, which the labels of masking replace,
        and `seq_lengths`, by which packs are split into their sequences.

    Raises:
        ValueError: if there is no example, the first example has no `input_ids`, examples have different columns, a
            per-token column does not have one value per token, its values do not fit in one array, or `seq_lengths` do
            not add up to the tokens of their examples.
        TypeError: if an example is neither a mapping nor a sequence of ids.
    """
    columns = feature_columns(features)
    if "labels" in columns and "labels" not in per_token_columns and are_classes(columns["labels"]):
        del columns["labels"]
    seq_lengths = None if SEQ_LENGTHS in per_token_columns else columns.pop(SEQ_LENGTHS, None)
    counts = _lengths(columns["input_ids"])
    per_token, per_sequence = {}, {}
    for name, rows in columns.items():
        if name in PER_TOKEN or name in per_token_columns:
            if name != "input_ids":  # whose lengths these are
                check_lengths(name, _lengths_or_none(rows), rows, counts)
            join = _concatenate_mask if name == "attention_mask" else _concatenate
            per_token[name] = _array(name, rows, join)
        else:
            per_sequence[name] = _stacked(name, rows, counts)
    batch = RaggedBatch(np.array(counts, dtype=np.int64), per_token, per_sequence)
    return batch if seq_lengths is None else split_by_lengths(batch, seq_lengths)


def _lengths(rows: list[Any]) -> list[int]:
    """The number of token ids of each row."""
    lengths = _lengths_or_none(rows)
    if None in lengths:
        number = lengths.index(None)
        raise ValueError(
            f"`input_ids` must be integers, one for each token, but those of example {number} are a "
            f"{type(rows[number]).__name__}. Pass the ids that the tokenizer returns."
        )
    return lengths  # type: ignore[return-value]  # there is no None


def _lengths_or_none(rows: list[Any]) -> list[int | None]:
    """The length of each row; None for a number, a text or an array without dimensions."""
    if set(map(type, rows)) <= {list, np.ndarray}:
        try:
            return list(map(len, rows))
        except TypeError:  # an array without dimensions
            pass
    return list(map(length_or_none, rows))


def _stacked(name: str, rows: list[Any], counts: list[int]) -> np.ndarray:
    try:
        return _array(name, rows, _stack)
    except ValueError:
        if _lengths_or_none(rows) == counts and len(set(counts)) > 1:
            _array(name, rows, _concatenate)  # raises if the values are unusable in any layout
            refuse_unnamed(name)
        raise


def _array(name: str, rows: list[Any], join: Any) -> np.ndarray:
    try:
        values = join(rows)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:  # RuntimeError: of an unreadable tensor
        raise ValueError(_unusable(name)) from error
    too_large = values.dtype == np.uint64 and values.max(initial=0) > INT64_MAX
    if values.dtype.kind not in "iufb" or values.dtype.itemsize > 8 or too_large:
        raise ValueError(_unusable(name))
    dtype = np.dtype(np.int64) if values.dtype.kind in "iu" else values.dtype.newbyteorder("=")
    return values.astype(dtype, copy=False)


def _unusable(name: str) -> str:
    return (
        f"column `{name}` must hold numbers of at most 64 bits, one per token or of one shape in all examples, to "
        f'become a tensor. Drop it, for example with `dataset.remove_columns("{name}")`.'
    )


def _concatenate(rows: list[Any]) -> np.ndarray:
    if set(map(type, rows)) == {list}:
        return _concatenate_lists(rows)
    filled = [array for array in map(np.asarray, rows) if array.shape[0]]  # an empty list would be an array of floats
    return np.concatenate(filled) if filled else np.zeros(0, np.int64)


def _concatenate_lists(rows: list[list[Any]]) -> np.ndarray:
    """Packs row by row, several times faster than numpy would, and refuses values that are not integers."""
    formats = [(f"{length}q",) for length in map(len, rows)]
    try:
        packed = bytearray().join(starmap(struct.pack, map(operator.add, formats, map(tuple, rows))))
    except struct.error:
        return _as_torch_would(np.array(list(chain.from_iterable(rows))))
    return np.frombuffer(packed, dtype=np.int64)


def _concatenate_mask(rows: list[Any]) -> np.ndarray:
    """Joins attention masks. Most are all ones, and counting the ones is ten times faster than converting a list."""
    if set(map(type, rows)) == {list} and list(map(list.count, rows, repeat(1))) == list(map(len, rows)):
        return np.ones(sum(map(len, rows)), dtype=np.int64)
    return _concatenate(rows)


def _stack(rows: list[Any]) -> np.ndarray:
    if hasattr(rows[0], "dtype"):
        return np.stack([np.asarray(row) for row in rows])
    return _as_torch_would(np.array(rows))


def _as_torch_would(values: np.ndarray) -> np.ndarray:
    """The values, Python floats in single precision, and infinite if they are too large for it."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32) if values.dtype == np.float64 else values
