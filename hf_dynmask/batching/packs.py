"""Packs: examples that hold several sequences, one after the other.

Each sequence is masked as if it were an example of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_dynmask.core.ragged import RaggedBatch
from hf_dynmask.core.rows import count_per_row, segment_reduce

SEQ_LENGTHS = "seq_lengths"  # the column with the lengths of the sequences of a pack, as TRL names it


def split_by_lengths(batch: RaggedBatch, seq_lengths: Sequence[Any]) -> RaggedBatch:
    """The batch with packs split into their sequences.

    Args:
        batch: its `lengths` are those of the packs.
        seq_lengths: the lengths of the sequences of each pack.

    Raises:
        ValueError: if `seq_lengths` are not integers of at least 0 that add up to the tokens of each pack.
    """
    try:
        row_sizes = np.array(list(map(len, seq_lengths)))
        lengths = np.concatenate([pack for pack in seq_lengths if len(pack)] or [np.zeros(0, np.int64)])
        lengths = lengths.astype(np.int64, casting="same_kind")
    except (TypeError, ValueError, OverflowError):
        _refuse_lengths(seq_lengths[0], int(batch.lengths[0]), 0)
    sums = segment_reduce(np.add, lengths, row_sizes)
    if (lengths < 0).any() or not np.array_equal(sums, batch.lengths):
        number = int(np.argmax(sums != batch.lengths))
        _refuse_lengths(seq_lengths[number], int(batch.lengths[number]), number)
    return batch._replace(lengths=lengths, row_sizes=row_sizes)


def split_by_positions(batch: RaggedBatch) -> RaggedBatch:
    """The batch with each example split where its `position_ids`, if it has some, do not go on by one.

    `Trainer` removes `seq_lengths`, as no model takes that column, but leaves `position_ids`.

    Args:
        batch: without padding.
    """
    positions = batch.per_token.get("position_ids")
    if batch.row_sizes is not None or positions is None or positions.ndim != 1:
        return batch
    is_start = np.ones(len(positions), dtype=bool)
    is_start[1:] = positions[1:] != positions[:-1] + 1
    is_start[batch.tokens.row_starts] = True
    starts = np.flatnonzero(is_start)
    row_sizes = count_per_row(starts, batch.lengths.cumsum())
    return batch._replace(lengths=np.diff(np.append(starts, len(positions))), row_sizes=row_sizes)


def refuse_packs(batch: RaggedBatch) -> None:
    """Checks that each example is one sequence.

    Raises:
        ValueError: if an example is a pack.
    """
    if batch.row_sizes is None and not _has_restart(batch):
        return
    raise ValueError(
        "`features` must be one sequence per example, as tokens would attend to other sequences, but are packs: they "
        f"have `{SEQ_LENGTHS}`, or `position_ids` that start again. Pass `packing=packed_attention(model)` to "
        "`DataCollatorForDynamicMasking`, or the dataset from before it was packed."
    )


def _has_restart(batch: RaggedBatch) -> bool:
    if "position_ids" not in batch.per_token:
        return False
    batch = batch.without_padding()
    positions = batch.per_token["position_ids"]
    if positions.ndim != 1:
        return False
    is_lower = positions[1:] < positions[:-1]
    starts = batch.tokens.row_starts
    is_lower[starts[starts > 0] - 1] = False
    return bool(is_lower.any())


def _refuse_lengths(found: Any, tokens: int, number: int) -> None:
    found = found.tolist() if isinstance(found, np.ndarray) else found
    raise ValueError(
        f"`{SEQ_LENGTHS}` must be the lengths of the sequences of a pack, but example {number} has {found!r} for "
        f"{tokens} tokens. Pack the dataset again with `pack_dataset`, or rename the column."
    ) from None
