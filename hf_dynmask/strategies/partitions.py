"""Where units begin: tokens that are masked whole or not at all.

A partition is a function `partition(tokens) -> bool [tokens]`, True where a unit begins; the unit goes on to the next
True. A sequence always begins a unit, whatever the partition says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hf_dynmask.core.draws import Purpose, draw_in_rows
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.core.rows import count_per_row, positions_in_rows
from hf_dynmask.vocabulary.vocabulary import Vocabulary
from hf_dynmask.vocabulary.words import Segmenter, whole_words

_FEW = 64  # lengths

Partition = Callable[["MaskingTokens"], np.ndarray]


class Pieces(NamedTuple):
    """Tokens that may be masked together with the first token of their word, and not without it.

    Attributes:
        further: int64 `[pieces]`, their indices.
        first: int64 `[pieces]`, the indices of the first tokens of their words.
    """

    further: np.ndarray
    first: np.ndarray


@dataclass(eq=False)
class MaskingTokens(RaggedTokens):
    """The sequences of a batch, end to end and without padding, as the functions of a strategy receive them.

    Attributes:
        input_ids: int64 `[tokens]`, the ids of all sequences.
        lengths: int64 `[sequences]`, their numbers of tokens.
        positions: int64 `[tokens]`, the position of each token in its sequence.
        vocabulary: the tables over token ids.
        maskable: bool `[tokens]`, False for tokens that are never masked on their own.
        keys: uint64 `[sequences]`, the key of each sequence for the draws of `hf_dynmask.core.draws`.
        columns: the further columns that the strategy reads, `[tokens]` each.
        pieces: the tokens that may be masked with their words but not on their own; None if there are none.

    >>> def halves(tokens: MaskingTokens) -> np.ndarray:  # two units per sequence
    ...     return tokens.positions == tokens.lengths.repeat(tokens.lengths) // 2
    """

    vocabulary: Vocabulary
    maskable: np.ndarray
    keys: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    pieces: Pieces | None = None


@dataclass(eq=False)
class Units:
    """The units of a batch, in order.

    Attributes:
        tokens: the tokens that they consist of.
        starts: bool `[tokens]`, True where a unit begins; None if each token is a unit. This common case then costs
            nothing, because the values of units are those of tokens.
        size: int64 `[units]`, the number of tokens of each unit.
        maskable: bool `[units]`, whether all tokens of a unit may be masked.

    >>> def longer_is_likelier(tokens: MaskingTokens, units: Units) -> np.ndarray:
    ...     return units.size.astype(float)
    """

    tokens: MaskingTokens
    starts: np.ndarray | None

    def __len__(self) -> int:
        return len(self.tokens.input_ids) if self.starts is None else len(self.first)

    @cached_property
    def first(self) -> np.ndarray:
        """int64 `[units]`: its first token."""
        return np.arange(len(self)) if self.starts is None else np.flatnonzero(self.starts)

    @cached_property
    def size(self) -> np.ndarray:
        """int64 `[units]`: its number of tokens."""
        if self.starts is None:
            return np.ones(len(self), dtype=np.int64)
        sizes = np.empty_like(self.first)
        np.subtract(self.first[1:], self.first[:-1], out=sizes[:-1])
        sizes[-1:] = len(self.starts) - self.first[-1:]
        return sizes

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 `[sequences]`: how many units each sequence has."""
        return self.tokens.lengths if self.starts is None else count_per_row(self.first, self.tokens.ends)

    @cached_property
    def row(self) -> np.ndarray:
        """int64 `[units]`: its sequence."""
        return self.tokens.rows if self.starts is None else self.from_sequences(np.arange(len(self.counts)))

    @cached_property
    def maskable(self) -> np.ndarray:
        """bool `[units]`: whether all of its tokens may be masked."""
        return self.tokens.maskable if self.starts is None else ~self.any(self._fixed(self.starts))

    @cached_property
    def maskable_size(self) -> np.ndarray:
        """int64 `[units]`: its number of tokens, 0 where it may not be masked."""
        return self.size * self.maskable

    def _fixed(self, starts: np.ndarray) -> np.ndarray:
        """bool `[tokens]`: whether a token must stay. A further piece may go with its word, if both are in one unit."""
        fixed = ~self.tokens.maskable
        if self.tokens.pieces is not None:
            further, first = self.tokens.pieces
            unit = starts.cumsum(dtype=np.int32)
            fixed[further[unit[further] == unit[first]]] = False
        return fixed

    def at_first_token(self, values: np.ndarray) -> np.ndarray:
        """The values `[tokens]` of the units' first tokens: `[units]`."""
        return values if self.starts is None else values[self.first]

    def from_sequences(self, values: np.ndarray) -> np.ndarray:
        """The values `[sequences]` of the units' sequences: `[units]`."""
        return values.repeat(self.counts)

    def any(self, flags: np.ndarray) -> np.ndarray:
        """Whether any token of a unit has the flag (bool `[tokens]`): bool `[units]`."""
        if self.starts is None:
            return flags
        indices = flags.nonzero()[0]
        found = np.zeros(len(self), dtype=bool)
        if 10 * len(indices) < len(self):  # for few flags, a search is faster than numbering all tokens
            found[self.first.searchsorted(indices, side="right") - 1] = True
        else:
            found[self.starts.cumsum(dtype=np.int32)[indices] - 1] = True  # of bools, ten times as fast as in int64
        return found

    def segment_reduce(self, ufunc: np.ufunc, values: np.ndarray) -> np.ndarray:
        """What `ufunc` makes of the values `[tokens]` of each unit: `[units]`."""
        if self.starts is None or not len(values):
            return values
        return ufunc.reduceat(values, self.first)

    def to_tokens(self, begins: np.ndarray) -> np.ndarray:
        """The first tokens of some units (bool `[units]`): bool `[tokens]`."""
        if self.starts is None:
            return begins
        starts = np.zeros(len(self.starts), dtype=bool)
        starts[self.first[begins]] = True
        return starts

    def indices(self, chosen: np.ndarray) -> np.ndarray:
        """The tokens of the units that are chosen (bool `[units]`): int64 `[tokens]`, in rising order."""
        units = chosen.nonzero()[0]
        if self.starts is None:
            return units
        sizes = self.size[units]
        return self.first[units].repeat(sizes) + positions_in_rows(sizes)


def partition_units(tokens: MaskingTokens, partition: Partition) -> Units:
    """The units that a partition makes.

    Raises:
        ValueError: if it does not return a bool for each token.
    """
    starts = np.asarray(partition(tokens))
    if starts.shape != tokens.input_ids.shape or starts.dtype != bool:
        raise ValueError(
            f"`strategy` must return a bool for each of {len(tokens.input_ids)} tokens, True where a unit begins, but "
            f"returned {starts.dtype} of shape {starts.shape}."
        )
    if starts.all():
        return Units(tokens, None)
    starts = starts.copy()
    starts[tokens.row_starts] = True
    return Units(tokens, starts)


def every_token(tokens: MaskingTokens) -> np.ndarray:
    """A partition in which each token is a unit: bool `[tokens]`, all True.

    Args:
        tokens: the sequences.

    >>> from hf_dynmask.strategies import Strategy
    >>> Strategy("rare tokens", partition=every_token, weights=lambda tokens, units: tokens.input_ids / 1e6)
    <Strategy rare tokens>
    """
    return np.ones(len(tokens.input_ids), dtype=bool)


def words(tokens: MaskingTokens, max_word_length: int | None = 16, segmenter: Segmenter | None = None) -> np.ndarray:
    """A partition in which each word is a unit: bool `[tokens]`, True where a word begins.

    Args:
        tokens: the sequences.
        max_word_length: see [`whole_word`].
        segmenter: see [`whole_word`].

    Raises:
        ValueError: if the vocabulary does not tell where words begin.

    >>> from hf_dynmask.strategies import Strategy
    >>> Strategy("long words", partition=words, weights=lambda tokens, units: units.size.astype(float))
    <Strategy long words>
    """
    if tokens.vocabulary.words is None:
        raise ValueError(
            '`strategy` needs a vocabulary that marks words with "##", "Ġ", "▁" or "</w>", has a token for white '
            "space, or is known to have whole words alone, but this tokenizer's does not tell. Use "
            '`"token"` as the strategy or its unit, or a function of your own.'
        )
    return whole_words(tokens, tokens.vocabulary.words, max_word_length, segmenter)


def runs(tokens: MaskingTokens, partition: Partition, lengths: Sequence[float]) -> np.ndarray:
    """Each run of consecutive units is a unit, of random lengths, independent of each other.

    Run lengths are a stationary renewal process: only the rest of the first run is seen, with the probability
    `P(rest = n) = P(length >= n) / mean length`. So a run begins at every position with the same probability, one
    divided by the mean length. What may not be masked is a run of its own, and ends one.

    Args:
        lengths: the probabilities of runs of 1, 2, 3, ... units; they sum to 1.
    """
    units = partition_units(tokens, partition)
    draws = draw_in_rows(tokens.keys, units.counts, positions_in_rows(units.counts), Purpose.LENGTH)
    counts, ends = units.counts[units.counts > 0], units.counts.cumsum()[units.counts > 0]
    row_first = ends - counts
    probs = np.asarray(lengths, dtype=np.float64)
    length = _quantile(probs, draws)
    length[row_first] = _quantile(probs[::-1].cumsum()[::-1] / (probs @ np.arange(1, len(probs) + 1)), draws[row_first])

    begin = length.cumsum() - length
    begin -= (begin[row_first] - row_first).repeat(counts)
    begins = ~units.maskable
    begins[1:] |= ~units.maskable[:-1]
    begins[begin[begin < ends.repeat(counts)]] = True
    return units.to_tokens(begins)


def _quantile(probs: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """1, 2, 3, ... with these probabilities, from uint32 draws: int64."""
    limits = np.ceil(np.cumsum(probs)[:-1] * 2.0**32)
    if len(limits) > _FEW:
        return 1 + np.searchsorted(limits, draws, side="right")
    lengths = np.ones(len(draws), dtype=np.uint8)
    for limit in limits[limits < 2.0**32].astype(np.uint32):  # a comparison each is faster than a search for each
        lengths += draws >= limit
    return lengths.astype(np.int64)
