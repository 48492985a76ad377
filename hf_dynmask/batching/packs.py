"""Packs: examples that hold several sequences, one after the other.

Each sequence is masked as if it were an example of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from hf_dynmask.core.ragged import RaggedBatch
from hf_dynmask.core.rows import count_per_row

SEQ_LENGTHS = "seq_lengths"  # the column with the lengths of the sequences of a pack, as TRL names it


def split_by_lengths(batch: RaggedBatch, seq_lengths: Sequence[Any]) -> RaggedBatch:
    """The batch with packs split into their sequences.

    Args:
        batch: its `lengths` are those of the packs.
        seq_lengths: the lengths of the sequences of each pack.

    Raises:
        ValueError: if `seq_lengths` are not integers of at least 0 that add up to the tokens of each pack.
    """
    packs = [_lengths_or_none(each) for each in seq_lengths]
    for number, (pack, tokens) in enumerate(zip(packs, batch.lengths.tolist(), strict=True)):
        if pack is None or min(pack, default=0) < 0 or sum(pack) != tokens:
            raise ValueError(
                f"`{SEQ_LENGTHS}` must be the lengths of the sequences of a pack, but example {number} has "
                f"{seq_lengths[number]!r} for {tokens} tokens. Pack the dataset again with `pack_dataset`, or rename "
                "the column."
            )
    lengths = np.array([length for pack in packs if pack for length in pack], dtype=np.int64)
    return batch._replace(lengths=lengths, row_sizes=np.array([len(pack or ()) for pack in packs]))


def split_by_positions(batch: RaggedBatch) -> RaggedBatch:
    """The batch without padding, and with packs split into their sequences by `position_ids`, if they have some.

    `Trainer` removes `seq_lengths`, as no model takes that column, but leaves `position_ids`.

    Raises:
        ValueError: if `position_ids` are not integers, one for each token.
    """
    positions = batch.per_token.get("position_ids")
    bare = batch.without_padding()
    if batch.row_sizes is not None or positions is None:
        return bare
    if positions.ndim != 1 or positions.dtype.kind != "i":
        raise ValueError(
            f"`position_ids` must be integers, one for each token, to separate packed sequences, but got "
            f"{positions.dtype} of {positions.ndim} dimensions. Leave the column out: the collator makes it."
        )
    starts = np.flatnonzero(_sequence_starts(batch))
    row_sizes = count_per_row(starts, bare.lengths.cumsum())
    return bare._replace(lengths=np.diff(np.append(starts, len(bare.per_token["input_ids"]))), row_sizes=row_sizes)


def refuse_packs(batch: RaggedBatch, per_token_columns: Collection[str] = ()) -> None:
    """Checks that each example is one sequence.

    Raises:
        ValueError: if an example is a pack.
    """
    if has_packs(batch, per_token_columns):
        raise ValueError(
            "`features` must be one sequence per example, as tokens would attend to other sequences, but are packs: "
            f"they have `{SEQ_LENGTHS}`, or `position_ids` that start again. Pass `packing=packed_attention(model)` to "
            "`DataCollatorForDynamicMasking`, or the dataset from before it was packed. If the positions are intended, "
            'pass `per_token_columns=["position_ids"]`.'
        )


def has_packs(batch: RaggedBatch, per_token_columns: Collection[str] = ()) -> bool:
    """Whether an example is a pack, by `seq_lengths`, or by `position_ids` unless `per_token_columns` name them."""
    if batch.row_sizes is not None:
        return bool(np.maximum.reduce(batch.row_sizes) > 1)
    positions = batch.per_token.get("position_ids")
    if positions is None or positions.ndim != 1 or "position_ids" in per_token_columns:
        return False
    nonempty = int(np.count_nonzero(batch.without_padding().lengths))
    return int(np.count_nonzero(_sequence_starts(batch))) > nonempty


def _sequence_starts(batch: RaggedBatch) -> np.ndarray:
    """Where sequences begin, by `position_ids`: bool `[tokens without padding]`.

    A position and the index of its token rise together within a sequence. Where a sequence begins, the position goes
    back, and the index does not.
    """
    positions = batch.per_token["position_ids"]
    offsets = positions - np.arange(len(positions))
    if batch.padding is not None:
        offsets = offsets[~batch.padding]
    starts = np.zeros(len(offsets), dtype=bool)
    starts[1:] = offsets[1:] < offsets[:-1]
    starts[batch.without_padding().tokens.row_starts] = True
    return starts


def _lengths_or_none(lengths: Any) -> list[int] | None:
    """The lengths of a pack as ints; None for anything else."""
    values = lengths.tolist() if hasattr(lengths, "tolist") else lengths
    if not isinstance(values, list | tuple) or any(type(each) is not int for each in values):
        return None
    return list(values)
