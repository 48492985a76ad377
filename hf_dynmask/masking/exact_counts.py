"""Which units are masked where the number of masked tokens is exact, up to rounding."""

from __future__ import annotations

import numpy as np

from hf_dynmask.core.draws import Purpose, as_fraction, draw_per_row
from hf_dynmask.masking.ranking import argsort_in_rows, sum_before_in_rows
from hf_dynmask.strategies.units import Units
from hf_dynmask.strategies.weights import sum_by_row


def select_count(
    units: Units, sort_keys: np.ndarray, goal: np.ndarray, min_masked: int, rotated: bool | np.ndarray
) -> np.ndarray:
    """The first units in sorted order, until a sequence has `goal` and at least `min_masked` masked tokens.

    The units are laid end to end, each as long as its number of tokens. Each unit has a point, at the same random
    fraction of each unit of a sequence. A unit is masked if its point is before the goal, so that the expected count is
    the goal. For units of one token, this is probabilistic rounding. A lower goal selects a subset of the units that a
    higher one selects.

    Args:
        units: the units of the batch.
        sort_keys: `[units]`, uint32 or float64.
        goal: float64 `[sequences]`, the expected number of masked tokens.
        min_masked: the minimum number of masked tokens in a sequence that has as many maskable tokens.
        rotated: whether to start at a random point and continue at the beginning; for all sequences, or bool
            `[sequences]`. If the order is random, each unit is then masked with the same probability, whatever its
            size.

    Returns:
        bool `[units]`.
    """
    size, keys = units.maskable_size, units.tokens.keys
    before = _sizes_before(units, sort_keys)
    point = before + units.from_sequences(as_fraction(draw_per_row(keys, Purpose.ROUNDING))) * size
    if rotated is not False:
        total = sum_by_row(size, units)
        start = units.from_sequences(as_fraction(draw_per_row(keys, Purpose.PLACE)) * total * rotated)
        skipped = sum_by_row(size * (point < start), units)  # these units are last now
        modulus = units.from_sequences(np.maximum(total, 1))
        point, before = (point - start) % modulus, (before - units.from_sequences(skipped)) % modulus
    return units.maskable & ((point < units.from_sequences(goal)) | (before < min_masked))


def select_systematically(units: Units, draws: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Units, each with exactly its own probability, in a count that differs by no more than rounding: bool `[units]`.

    Systematic sampling (Madow 1949): the units are laid end to end, each as long as its probability. Units of one size
    are together, in random order. Points at a distance of 1 select the units that they fall into.

    Args:
        units: the units of the batch.
        draws: uint32 `[units]`.
        probs: float64 `[units]`, in [0, 1].
    """
    order = np.lexsort((draws, units.size, units.row))
    lengths = np.rint(np.where(units.maskable, probs, 0.0)[order] * 2.0**32).astype(np.int64)  # integers sum exactly
    totals = sum_by_row(lengths, units)
    shift = draw_per_row(units.tokens.keys, Purpose.ROUNDING).astype(np.int64)
    ends = np.cumsum(lengths) + units.from_sequences(shift - np.cumsum(totals) + totals)
    selected = np.empty(len(units), dtype=bool)
    selected[order] = ends >> 32 > (ends - lengths) >> 32
    return selected


def _sizes_before(units: Units, sort_keys: np.ndarray) -> np.ndarray:
    """int64 `[units]`: the number of maskable tokens of the sequence that precede each unit in sorted order."""
    order = argsort_in_rows(units.row, sort_keys, is_last=~units.maskable)
    before = np.empty_like(order)
    before[order] = sum_before_in_rows(units.maskable_size[order], units.row)
    return before
