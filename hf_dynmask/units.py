"""Where units begin: tokens that are masked whole or not at all.

A partition is a function `partition(tokens) -> bool [tokens]`, True where a unit begins; the unit goes on to the next
True. A sequence always begins a unit, whatever the partition says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hf_dynmask.ragged import RaggedTokens
from hf_dynmask.uniforms import Purpose, as_fraction, draws_in_rows
from hf_dynmask.vocabulary import Vocabulary
from hf_dynmask.words import Segmenter, whole_words

Partition = Callable[["MaskingTokens"], np.ndarray]


@dataclass(frozen=True)
class MaskingTokens(RaggedTokens):
    """What a strategy sees: the sequences of a batch, one after the other, without padding.

    Attributes:
        vocabulary: the tables over token ids.
        maskable: bool `[tokens]`, False where a token must stay.
        keys: uint64 `[sequences]`, each sequence's key for the draws of `hf_dynmask.uniforms`.
        columns: the further columns that the strategy asked for, `[tokens]` each.
    """

    vocabulary: Vocabulary
    maskable: np.ndarray
    keys: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Units:
    """The units of a batch, in order: `[units]` arrays.

    Attributes:
        first: int64, its first token.
        size: int64, its number of tokens.
        row: int64, its sequence.
        maskable: bool, whether all of its tokens may be masked.
    """

    first: np.ndarray
    size: np.ndarray
    row: np.ndarray
    maskable: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def maskable_size(self) -> np.ndarray:
        """int64 `[units]`: its number of tokens, 0 where it may not be masked."""
        return np.where(self.maskable, self.size, 0)


def units_of(tokens: MaskingTokens, partition: Partition) -> Units:
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
    first = np.flatnonzero(starts | (tokens.positions == 0))
    size = np.diff(first, append=len(tokens.input_ids))
    maskable = np.logical_and.reduceat(tokens.maskable, first) if len(first) else tokens.maskable
    return Units(first, size, tokens.rows[first], maskable)


def every_token(tokens: MaskingTokens) -> np.ndarray:
    """Each token is a unit."""
    return np.ones(len(tokens.input_ids), dtype=bool)


def words(tokens: MaskingTokens, max_word_length: int | None = 16, segmenter: Segmenter | None = None) -> np.ndarray:
    """Each word is a unit: see [`whole_words`].

    Raises:
        ValueError: if the vocabulary does not tell where words begin.
    """
    if tokens.vocabulary.words is None:
        raise ValueError(
            '`strategy` needs a vocabulary that marks words with "##", "Ġ", "▁" or "</w>", or has a token for '
            'white space, but this tokenizer\'s has neither. Use `"token"` as the strategy or its unit, or a function '
            "of your own."
        )
    return whole_words(tokens, tokens.vocabulary.words, max_word_length, segmenter)


def runs(tokens: MaskingTokens, partition: Partition, lengths: Sequence[float]) -> np.ndarray:
    """Each run of consecutive units is a unit, of random lengths, independent of each other.

    Run lengths are a stationary renewal process: of the first run only the rest is seen, with the odds
    `P(rest = n) = P(length >= n) / mean length`. So a run begins at every place with the same odds, one in the mean
    length, and at no place more likely than at another. What may not be masked is a run of its own, and ends one.

    Args:
        lengths: the odds of runs of 1, 2, 3, ... units; they sum to 1.
    """
    units = units_of(tokens, partition)
    per_row = np.bincount(units.row, minlength=len(tokens.lengths))
    row_first = np.cumsum(per_row) - per_row
    places = np.arange(len(units)) - row_first[units.row]

    numbers = as_fraction(draws_in_rows(tokens.keys, per_row, places, Purpose.LENGTH))
    odds = np.asarray(lengths, dtype=np.float64)
    length = _quantile(odds, numbers)
    begins_row = places == 0
    length[begins_row] = _quantile(
        odds[::-1].cumsum()[::-1] / (odds @ np.arange(1, len(odds) + 1)), numbers[begins_row]
    )

    after = np.cumsum(length)
    before = after - length
    before -= before[row_first[units.row]]
    seen = before < per_row[units.row]
    begins = ~units.maskable
    begins[1:] |= ~units.maskable[:-1]
    begins[(row_first[units.row] + before)[seen]] = True

    starts = np.zeros(len(tokens.input_ids), dtype=bool)
    starts[units.first[begins]] = True
    return starts


def _quantile(odds: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """1, 2, 3, ... with these odds, for uniform numbers in [0, 1)."""
    return 1 + np.searchsorted(np.cumsum(odds)[:-1], numbers, side="right")
