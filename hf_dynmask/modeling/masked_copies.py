"""Copies of sequences, one for each token to score, with this token masked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hf_dynmask.core.ragged import RaggedBatch


class MaskedCopies(NamedTuple):
    """Copies of sequences of one length, so that no copy has padding.

    Attributes:
        indices: int64 `[copies]`, the flat index of the token that each copy scores.
        positions: int64 `[copies]`, its position in its sequence.
        columns: the columns of the copies, per-token columns `[copies, length, ...]`, the others `[copies, ...]`.
    """

    indices: np.ndarray
    positions: np.ndarray
    columns: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class MaskedCopier:
    """Makes copies of the sequences of a batch.

    Attributes:
        batch: the sequences, without padding.
        stops: int64 `[tokens]`. The copy that scores a token masks the tokens from this one up to its stop.
        maskable: bool `[tokens]`, False for tokens that stay, even between a token and its stop.
        mask_token_id: the id of the mask token, not None.
        names: the names of the columns that copies have.
    """

    batch: RaggedBatch
    stops: np.ndarray
    maskable: np.ndarray
    mask_token_id: int | None
    names: Collection[str]

    def copies(self, scored: np.ndarray, batch_size: int) -> Iterator[MaskedCopies]:
        """The copies for the tokens at flat indices `scored`, int64, at most `batch_size` at a time, longest first."""
        rows, lengths = self.batch.tokens.rows[scored], self.batch.lengths
        for chunk in _chunks_of_one_length(lengths[rows], batch_size):
            yield self._copies(scored[chunk], rows[chunk])

    def _copies(self, indices: np.ndarray, rows: np.ndarray) -> MaskedCopies:
        starts = (self.batch.tokens.ends - self.batch.lengths)[rows]
        source = starts[:, None] + np.arange(self.batch.lengths[rows[0]])  # the flat index of each token of each copy
        masked = (source >= indices[:, None]) & (source < self.stops[indices][:, None]) & self.maskable[source]
        columns = {name: values[source] for name, values in self.batch.per_token.items() if name in self.names}
        columns |= {name: values[rows] for name, values in self.batch.per_sequence.items() if name in self.names}
        columns["input_ids"][masked] = self.mask_token_id
        return MaskedCopies(indices, indices - starts, columns)


def _chunks_of_one_length(lengths: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Indices int64 of equal `lengths`, at most `size` at a time. The longest are first, as they need most memory."""
    order = np.argsort(-lengths, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1):
        for first in range(0, len(group), size):
            yield group[first : first + size]
