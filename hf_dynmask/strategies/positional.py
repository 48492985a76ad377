"""Numbers that stand in for random draws, so that *where* a unit stands decides whether it is masked.

A unit is masked when its number lies under the rate. Each function puts the maskable tokens of a sequence on the
interval [0, 1) in order, each unit at one random place within its own stretch, the same share of it for all units of a
sequence. So the expected fraction of masked tokens is the rate, also where the rate times the length is no whole
number.
"""

from __future__ import annotations

import numpy as np

from hf_dynmask.core.draws import Purpose, as_fraction, draw_per_row
from hf_dynmask.strategies.partitions import MaskingTokens, Units
from hf_dynmask.strategies.weights import sum_by_row


def prefix(tokens: MaskingTokens, units: Units, rates: np.ndarray) -> np.ndarray:
    """A prefix is seen, and all after it masked: the number is the share of the tokens that follow."""
    before, share, total = _indices(tokens, units)
    return (total - before - units.size + share * units.size) / np.maximum(total, 1)


def suffix(tokens: MaskingTokens, units: Units, rates: np.ndarray) -> np.ndarray:
    """A suffix is seen, and all before it masked: the number is the share of the tokens that precede."""
    before, share, total = _indices(tokens, units)
    return (before + share * units.size) / np.maximum(total, 1)


def block(tokens: MaskingTokens, units: Units, rates: np.ndarray) -> np.ndarray:
    """One block is masked. With `a` uniform in [0, 1), it is `[a - a * rate, a - a * rate + rate)` of the sequence.

    Every place within the sequence is equally likely for a block of a given length, and blocks at lower rates lie
    within those at higher ones.
    """
    place = suffix(tokens, units, rates)
    anchor = _sequence_draw(tokens, units, 1)
    left = (anchor - place) / np.where(anchor > 0, anchor, 1)
    right = (place - anchor) / (1 - anchor)
    return np.where(place < anchor, left, right)


def every_nth(tokens: MaskingTokens, units: Units, rates: np.ndarray) -> np.ndarray:
    """Every n-th unit is masked, `n = 1 / rate`, from a random one on (systematic sampling).

    Masked are the units `i` for which `floor((i + 1) * rate + u)` exceeds `floor(i * rate + u)`; for rates between
    those, the distances are the two whole numbers next to `1 / rate`.
    """
    maskable = units.maskable.astype(np.int64)
    counts = sum_by_row(maskable, units)
    number = np.cumsum(maskable) - 1 - units.from_sequences(np.cumsum(counts) - counts)
    return -(number * units.from_sequences(rates) + _sequence_draw(tokens, units, 0)) % 1.0


POSITIONS = {"prefix": prefix, "suffix": suffix, "block": block, "every_nth": every_nth}


def _indices(tokens: MaskingTokens, units: Units) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each unit, the maskable tokens before it, its sequence's share, and the maskable tokens in all."""
    size = units.maskable_size
    totals = sum_by_row(size, units)
    earlier = units.from_sequences(np.cumsum(totals) - totals)
    return np.cumsum(size) - size - earlier, _sequence_draw(tokens, units, 0), units.from_sequences(totals)


def _sequence_draw(tokens: MaskingTokens, units: Units, which: int) -> np.ndarray:
    """For each unit, its sequence's uniform number in [0, 1); `which` tells one from another."""
    return units.from_sequences(as_fraction(draw_per_row(tokens.keys, Purpose.PLACE, which)))
