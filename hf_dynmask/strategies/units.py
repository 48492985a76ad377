"""Units: tokens that are masked together or not at all.

A partition is a function `partition(tokens) -> bool [tokens]`, True where a unit begins. A unit ends where the next one
begins, or where its sequence ends. Each sequence begins a unit, whatever the partition returns there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hf_dynmask.core.draws import Purpose, draw_in_rows
from hf_dynmask.core.rows import count_per_row, positions_in_rows
from hf_dynmask.strategies.masking_tokens import MaskingTokens

Partition = Callable[[MaskingTokens], np.ndarray]


@dataclass(eq=False)
class Units:
    """The units of a batch, in order.

    Attributes:
        tokens: the sequences.
        starts: bool `[tokens]`, True where a unit begins; None if each token is a unit. In this most common
            case, arrays over tokens are also arrays over units, at no cost.

    >>> from hf_dynmask.vocabulary.vocabulary import read_vocabulary
    >>> ids, keys = np.array([5, 6, 7, 8, 9]), np.zeros(1, np.uint64)
    >>> tokens = MaskingTokens(ids, np.array([5]), read_vocabulary(tokenizer), np.ones(5, bool), keys)
    >>> units = Units(tokens, np.array([True, False, False, True, False]))
    >>> len(units), units.first.tolist(), units.size.tolist(), units.segment_any(ids == 6).tolist()
    (2, [0, 3], [3, 2], [True, False])
    """

    tokens: MaskingTokens
    starts: np.ndarray | None

    def __len__(self) -> int:
        return len(self.tokens.input_ids) if self.starts is None else len(self.first)

    @cached_property
    def first(self) -> np.ndarray:
        """int64 `[units]`: the index of each unit's first token."""
        return np.arange(len(self)) if self.starts is None else np.flatnonzero(self.starts)

    @cached_property
    def size(self) -> np.ndarray:
        """int64 `[units]`: the number of tokens in each unit."""
        if self.starts is None:
            return np.ones(len(self), dtype=np.int64)
        sizes = np.empty_like(self.first)
        np.subtract(self.first[1:], self.first[:-1], out=sizes[:-1])
        sizes[-1:] = len(self.starts) - self.first[-1:]
        return sizes

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 `[sequences]`: the number of units in each sequence."""
        return self.tokens.lengths if self.starts is None else count_per_row(self.first, self.tokens.ends)

    @cached_property
    def row(self) -> np.ndarray:
        """int64 `[units]`: the sequence that each unit is in."""
        return self.tokens.rows if self.starts is None else self.from_sequences(np.arange(len(self.counts)))

    @cached_property
    def maskable(self) -> np.ndarray:
        """bool `[units]`: whether each unit can be masked, because all of its tokens can."""
        return self.tokens.maskable if self.starts is None else ~self.segment_any(self._unmaskable(self.starts))

    @cached_property
    def maskable_size(self) -> np.ndarray:
        """int64 `[units]`: the number of tokens in each unit; 0 where the unit cannot be masked."""
        return self.size * self.maskable

    def _unmaskable(self, starts: np.ndarray) -> np.ndarray:
        """bool `[tokens]`: the tokens that make their unit unmaskable, except for later pieces of a word in it."""
        unmaskable = ~self.tokens.maskable
        if self.tokens.pieces is not None:
            later, first = self.tokens.pieces
            unit = starts.cumsum(dtype=np.int32)
            unmaskable[later[unit[later] == unit[first]]] = False
        return unmaskable

    def at_first_token(self, values: np.ndarray) -> np.ndarray:
        """The value of each unit's first token, `[units]`, from values `[tokens]`."""
        return values if self.starts is None else values[self.first]

    def from_sequences(self, values: np.ndarray) -> np.ndarray:
        """The value of each unit's sequence, `[units]`, from values `[sequences]`."""
        return values.repeat(self.counts)

    def segment_any(self, flags: np.ndarray) -> np.ndarray:
        """Whether any token of each unit has the flag, bool `[units]`, from flags bool `[tokens]`."""
        if self.starts is None:
            return flags
        indices = flags.nonzero()[0]
        found = np.zeros(len(self), dtype=bool)
        if 10 * len(indices) < len(self):  # with few flags, a search is faster than a sum over all tokens
            found[self.first.searchsorted(indices, side="right") - 1] = True
        else:
            found[self.starts.cumsum(dtype=np.int32)[indices] - 1] = True  # int32: ten times as fast as int64
        return found

    def segment_reduce(self, ufunc: np.ufunc, values: np.ndarray) -> np.ndarray:
        """The values `[tokens]` of each unit, reduced by `ufunc`, such as `np.add`: `[units]`."""
        if self.starts is None or not len(values):
            return values
        return ufunc.reduceat(values, self.first)

    def to_tokens(self, flags: np.ndarray) -> np.ndarray:
        """True at the first tokens of the units with the flag, bool `[tokens]`, from flags bool `[units]`."""
        if self.starts is None:
            return flags
        starts = np.zeros(len(self.starts), dtype=bool)
        starts[self.first[flags]] = True
        return starts

    def indices(self, flags: np.ndarray) -> np.ndarray:
        """The indices of all tokens of the units with the flag, int64, ascending, from flags bool `[units]`."""
        units = flags.nonzero()[0]
        if self.starts is None:
            return units
        sizes = self.size[units]
        return self.first[units].repeat(sizes) + positions_in_rows(sizes)


def every_token(tokens: MaskingTokens) -> np.ndarray:
    """The partition of `tokens` in which each token is a unit: bool `[tokens]`.

    >>> from hf_dynmask.strategies import Strategy
    >>> Strategy("common ids", partition=every_token, weights=lambda tokens, units: 1.0 / (1 + tokens.input_ids))
    <Strategy common ids>
    """
    return np.ones(len(tokens.input_ids), dtype=bool)


def independent_draws(units: Units) -> np.ndarray:
    """uint32 `[units]`: the draw of the first token of each unit."""
    positions = units.at_first_token(units.tokens.positions)
    return draw_in_rows(units.tokens.keys, units.counts, positions, Purpose.SELECTION)


def partition_units(tokens: MaskingTokens, partition: Partition) -> Units:
    """The units of a partition.

    Raises:
        ValueError: if the partition does not return a bool for each token.
    """
    if partition is every_token:
        return Units(tokens, None)
    starts = np.asarray(partition(tokens))
    if starts.shape != tokens.input_ids.shape or starts.dtype != bool:
        raise ValueError(
            f"`strategy` must return a bool for each of {len(tokens.input_ids)} tokens, True where a unit begins, but "
            f"returned {starts.dtype} of shape {starts.shape}. Return an array of the shape of `tokens.input_ids`, "
            "such as a comparison."
        )
    if starts.all():
        return Units(tokens, None)
    starts = starts.copy()
    starts[tokens.row_starts] = True
    return Units(tokens, starts)
