"""Sequences of any lengths as one flat array and their lengths.

Everything works on the flat array, so that padding is never masked and costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hf_dynmask.core.rows import count_per_row, positions_in_rows, row_starts

IGNORE_INDEX = -100  # cross entropy's `ignore_index`: a label that carries no loss


class RaggedBatch(NamedTuple):
    """The columns of a batch of examples.

    Attributes:
        lengths: int64 `[sequences]`.
        per_token: for each column with a value a token, its values one sequence after the other, `[tokens, ...]`.
        per_sequence: for every other column, its values stacked, `[sequences, ...]`.
    """

    lengths: np.ndarray
    per_token: dict[str, np.ndarray]
    per_sequence: dict[str, np.ndarray]


@dataclass(eq=False)
class RaggedTokens:
    """Token ids without padding. Not to be changed; a frozen dataclass would take several times as long to make.

    Attributes:
        input_ids: int64 `[tokens]`, one sequence after the other.
        lengths: int64 `[sequences]`.
    """

    input_ids: np.ndarray
    lengths: np.ndarray

    @cached_property
    def ends(self) -> np.ndarray:
        """int64 `[sequences]`: where each sequence ends."""
        return self.lengths.cumsum()

    @cached_property
    def begins(self) -> np.ndarray:
        """int64: where each sequence that has a token begins."""
        return row_starts(self.lengths)

    @cached_property
    def positions(self) -> np.ndarray:
        """int64 `[tokens]`: each token's place in its own sequence."""
        return positions_in_rows(self.lengths)

    @cached_property
    def rows(self) -> np.ndarray:
        """int64 `[tokens]`: the sequence that each token is in."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def tokens_of(batch: RaggedBatch, attended: np.ndarray | None) -> RaggedTokens:
    """The batch's tokens without those that are not attended to (bool `[tokens]`; None: all are)."""
    input_ids = batch.per_token["input_ids"]
    if attended is None:
        return RaggedTokens(input_ids, batch.lengths)
    return RaggedTokens(input_ids[attended], count_per_row(np.flatnonzero(attended), np.cumsum(batch.lengths)))


def of_attended(values: np.ndarray, attended: np.ndarray | None) -> np.ndarray:
    """The values `[tokens, ...]` of the tokens that are attended to."""
    return values if attended is None else values[attended]


def with_column(batch: RaggedBatch, name: str, values: np.ndarray) -> RaggedBatch:
    """The batch with a column `[tokens, ...]`, in the place of one of this name if there is one."""
    return RaggedBatch(batch.lengths, {**batch.per_token, name: values}, batch.per_sequence)


def without(batch: RaggedBatch, names: Collection[str]) -> RaggedBatch:
    """The batch without these columns."""
    return RaggedBatch(batch.lengths, _others(batch.per_token, names), _others(batch.per_sequence, names))


def only_attended(batch: RaggedBatch, attended: np.ndarray | None) -> RaggedBatch:
    """The batch without the tokens that are not attended to (bool `[tokens]`; None: all are)."""
    if attended is None:
        return batch
    per_token = {name: values[attended] for name, values in batch.per_token.items()}
    return RaggedBatch(tokens_of(batch, attended).lengths, per_token, batch.per_sequence)


def starts_of(batch: RaggedBatch) -> np.ndarray:
    """int64: where each sequence that has a token starts."""
    return row_starts(batch.lengths)


def _others(columns: Mapping[str, np.ndarray], known: Collection[str]) -> dict[str, np.ndarray]:
    return {name: values for name, values in columns.items() if name not in known}
