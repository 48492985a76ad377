"""How likely each unit is masked, where that is not the same for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hf_dynmask.arguments import as_numbers
from hf_dynmask.units import MaskingTokens, Units

_LEAST_WEIGHT = 1e-12

Weights = Callable[[MaskingTokens, Units], np.ndarray]


def sum_by_row(values: np.ndarray, units: Units, rows: int) -> np.ndarray:
    """float64 `[rows]`: the sum of the values `[units]` of each sequence."""
    return np.bincount(units.row, weights=values, minlength=rows)


def proportional(units: Units, weights: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Odds in proportion to weights, such that the expected fraction of masked tokens is still the rate.

    `odds[u] = min(1, c * weight[u])`, with the `c` of each sequence that solves
    `sum(size[u] * odds[u]) = rate * sum(size[u])` over its maskable units. As `c` grows with the rate, a mask at a
    lower rate is a subset of one at a higher.

    Args:
        units: the units of the batch.
        weights: float64 `[units]`, positive.
        rates: float64 `[sequences]`, in [0, 1].

    Returns:
        float64 `[units]`.
    """
    rows = len(rates)
    size = units.maskable_size.astype(np.float64)
    goal = rates * sum_by_row(size, units, rows)
    certain = np.zeros(len(units), dtype=bool)
    while True:  # each turn finds the units whose odds would exceed 1; a few turns, as seldom any is left to find
        left = goal - sum_by_row(size * certain, units, rows)
        free = sum_by_row(size * weights * ~certain, units, rows)
        factor = np.divide(left, free, out=np.zeros(rows), where=free > 0)
        odds = np.where(certain, 1.0, factor[units.row] * weights)
        exceeds = (odds > 1) & ~certain & units.maskable
        if not exceeds.any():
            return np.minimum(odds, 1.0)
        certain |= exceeds


def of_tokens(tokens: MaskingTokens, units: Units, weights: np.ndarray) -> np.ndarray:
    """A unit's weight is the mean of its tokens' weights, float64 `[ids]`, which are looked up by id.

    Raises:
        ValueError: if there are fewer weights than ids.
    """
    if len(weights) < tokens.vocabulary.size:
        raise ValueError(
            f"`weights` must hold a number for each of the {tokens.vocabulary.size} ids of the vocabulary, but got "
            f"{len(weights)}. Make them with `rarity_weights(token_counts(dataset, {tokens.vocabulary.size}))`, for "
            "example."
        )
    found = weights[tokens.input_ids]
    return np.add.reduceat(found, units.first) / units.size if len(units) else found


def checked_weights(weights: Any) -> np.ndarray:
    """The weights as float64.

    Raises:
        ValueError: if they are not numbers in one dimension, finite and not negative.
    """
    values = as_numbers(weights)
    if values is None:
        raise ValueError(f"`weights` must be numbers, one for each id, but got {weights!r}.")
    wrong = ~np.isfinite(values) | (values < 0)
    if values.ndim != 1 or wrong.any():
        came = f"shape {values.shape}" if values.ndim != 1 else values[wrong][0]
        raise ValueError(
            f"`weights` must be numbers, finite and not negative, but got {came}. They are relative odds: 0 for what "
            "is to be masked last, and 1 for all to mask uniformly."
        )
    return values


def relative_weights(units: Units, weights: np.ndarray, rows: int) -> np.ndarray:
    """Weights as fractions of the largest of their sequence's maskable units; 0 made positive, but next to nothing."""
    largest = np.zeros(rows)
    np.maximum.at(largest, units.row, np.where(units.maskable, weights, 0.0))
    of_row = largest[units.row]
    return np.clip(np.divide(weights, of_row, out=np.ones(len(units)), where=of_row > 0), _LEAST_WEIGHT, 1.0)
