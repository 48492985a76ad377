"""Sequences of different lengths as one flat array and their lengths.

Everything works on the flat array, so padding is never masked and costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hf_dynmask.core.rows import count_per_row, positions_in_rows, repeat_rows, row_starts

IGNORE_INDEX = -100  # the `ignore_index` of cross entropy: a label without a loss


@dataclass(eq=False)
class RaggedTokens:
    """Token ids without padding. Treat it as immutable.

    It is not frozen, because frozen dataclasses take several times as long to create.

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
    def row_starts(self) -> np.ndarray:
        """int64: where each sequence that has a token starts."""
        return row_starts(self.lengths)

    @cached_property
    def positions(self) -> np.ndarray:
        """int64 `[tokens]`: the position of each token in its sequence."""
        return positions_in_rows(self.lengths)

    @cached_property
    def rows(self) -> np.ndarray:
        """int64 `[tokens]`: the sequence of each token."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


class RaggedBatch(NamedTuple):
    """The columns of a batch of examples.

    Attributes:
        lengths: int64 `[sequences]`, padding included.
        per_token: the columns with one value per token, one sequence after the other, `[tokens, ...]`.
        per_sequence: the other columns, stacked, `[sequences, ...]`.
        padding: bool `[tokens]`, True for padding; None if no token is padding.
        row_sizes: int64 `[examples]`, the number of sequences of each example, if the examples are packs; None if each
            example is one sequence.
    """

    lengths: np.ndarray
    per_token: dict[str, np.ndarray]
    per_sequence: dict[str, np.ndarray]
    padding: np.ndarray | None = None
    row_sizes: np.ndarray | None = None

    @property
    def tokens(self) -> RaggedTokens:
        """The token ids, padding included: call it on a batch [`without_padding`]."""
        return RaggedTokens(self.per_token["input_ids"], self.lengths)

    def with_padding(self, padding: np.ndarray | None) -> RaggedBatch:
        """The batch with this `padding`."""
        if padding is self.padding:  # None, in most batches
            return self
        return RaggedBatch(self.lengths, self.per_token, self.per_sequence, padding, self.row_sizes)

    def without_padding(self) -> RaggedBatch:
        """The batch without the tokens that are padding."""
        if self.padding is None:
            return self
        kept = ~self.padding
        lengths = count_per_row(np.flatnonzero(kept), self.lengths.cumsum())
        per_token = {name: values[kept] for name, values in self.per_token.items()}
        return RaggedBatch(lengths, per_token, self.per_sequence, None, self.row_sizes)

    def indices_with_padding(self, indices: np.ndarray) -> np.ndarray:
        """Where the tokens at `indices` of the batch [`without_padding`] are in this batch: int64 of that shape."""
        return indices if self.padding is None else np.flatnonzero(~self.padding)[indices]

    def repeated(self, times: int) -> RaggedBatch:
        """The batch with each sequence repeated in place. Its examples must not be packs."""
        indices = repeat_rows(self.lengths, times)
        per_token = {name: values[indices] for name, values in self.per_token.items()}
        per_sequence = {name: values.repeat(times, axis=0) for name, values in self.per_sequence.items()}
        padding = None if self.padding is None else self.padding[indices]
        return RaggedBatch(self.lengths.repeat(times), per_token, per_sequence, padding)

    def with_column(self, name: str, values: np.ndarray) -> RaggedBatch:
        """The batch with a column `[tokens, ...]`, which replaces a column of this name."""
        per_token = {**self.per_token, name: values}
        return RaggedBatch(self.lengths, per_token, self.per_sequence, self.padding, self.row_sizes)

    def without_columns(self, names: Collection[str]) -> RaggedBatch:
        """The batch without these columns."""
        per_token, per_sequence = _without(self.per_token, names), _without(self.per_sequence, names)
        return RaggedBatch(self.lengths, per_token, per_sequence, self.padding, self.row_sizes)


def _without(columns: Mapping[str, np.ndarray], names: Collection[str]) -> dict[str, np.ndarray]:
    return {name: values for name, values in columns.items() if name not in names}
