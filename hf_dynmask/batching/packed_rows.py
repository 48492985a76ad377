"""Lays out a batch as rows of several sequences each, so that little of it is padding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from hf_dynmask.batching.layout import padded_length
from hf_dynmask.batching.packing import best_fit_decreasing
from hf_dynmask.core.ragged import RaggedBatch
from hf_dynmask.core.rows import positions_in_rows, segment_reduce

PADDING_SEQ_IDX = -1


class PackedRows(NamedTuple):
    """Where the tokens of a batch are in its rows.

    Attributes:
        lengths: int64 `[rows]`, the number of tokens of each row.
        length: the length of all rows, with padding.
        positions: int64 `[tokens]`, the position of each token in its sequence.
        indices: int64 `[tokens]`, the index of each token in the flat array of the rows.
    """

    lengths: np.ndarray
    length: int
    positions: np.ndarray
    indices: np.ndarray


def pack_rows(batch: RaggedBatch, multiple: int | None) -> PackedRows:
    """Places the sequences of a batch in rows.

    Packs stay as they are: each is a row. Otherwise, sequences share rows by [`best_fit_decreasing`]. Rows have the
    length of the longest pack or sequence, rounded up to a multiple of `multiple`.

    Args:
        batch: without padding.
        multiple: such as 8; None for no rounding.
    """
    lengths = batch.lengths
    if batch.row_sizes is None:
        rows = best_fit_decreasing(lengths, padded_length(lengths, multiple))
        row_sizes = np.bincount(rows)
    else:
        row_sizes = batch.row_sizes
        rows = np.arange(len(row_sizes)).repeat(row_sizes)
    order = rows.argsort(kind="stable")
    row_lengths = segment_reduce(np.add, lengths[order], row_sizes)
    length = padded_length(row_lengths, multiple)
    # a sequence starts after the earlier ones in its row, so after as many tokens as in flat order, plus padding
    starts = np.empty_like(lengths)
    starts[order] = lengths[order].cumsum() - lengths[order]
    starts += (np.arange(len(row_lengths)) * length - (row_lengths.cumsum() - row_lengths))[rows]
    positions = positions_in_rows(lengths)
    return PackedRows(row_lengths, length, positions, starts.repeat(lengths) + positions)


def packed(
    batch: RaggedBatch, rows: PackedRows, fills: Mapping[str, int], position_ids_start: int
) -> dict[str, np.ndarray]:
    """The columns of a batch as packed rows, per-token columns `[rows, length, ...]`.

    It adds `position_ids`, int64 `[rows, length]`, which count from `position_ids_start` in each sequence, and
    `seq_idx`, int32 `[rows, length]`, the number of the sequence in the batch, -1 at padding.

    Args:
        batch: without padding.
        rows: from [`pack_rows`].
        fills: the padding value of each column; 0 for a column that is not in it.
        position_ids_start: the position of the first token of each sequence.
    """
    columns = {
        **batch.per_token,
        "position_ids": rows.positions + position_ids_start,
        "seq_idx": np.repeat(np.arange(len(batch.lengths), dtype=np.int32), batch.lengths),
    }
    fills = {**fills, "position_ids": position_ids_start, "seq_idx": PADDING_SEQ_IDX}
    return {
        **{name: _placed(values, rows, fills.get(name, 0)) for name, values in columns.items()},
        **batch.per_sequence,
    }


def _placed(values: np.ndarray, rows: PackedRows, fill: int) -> np.ndarray:
    placed = np.full((len(rows.lengths) * rows.length, *values.shape[1:]), fill, dtype=values.dtype)
    placed[rows.indices] = values
    return placed.reshape(len(rows.lengths), rows.length, *values.shape[1:])
