"""How likely each unit is masked, where that is not the same for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hf_dynmask.units import MaskingTokens, Units

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
    size = np.where(units.maskable, units.size, 0).astype(np.float64)
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


def of_tokens(tokens: MaskingTokens, units: Units, weights: Any) -> np.ndarray:
    """A unit's weight is the mean of its tokens' weights, which are looked up by id.

    Args:
        weights: a number for each id of the vocabulary, as an array or a torch tensor; none negative. Where one is 0,
            the token is masked only when everything else of its sequence is.

    Raises:
        ValueError: if there are fewer weights than ids.
    """
    table = np.asarray(weights, dtype=np.float64)
    if table.ndim != 1 or len(table) < tokens.vocabulary.size:
        raise ValueError(
            f"`weights` must hold a number for each of the {tokens.vocabulary.size} ids of the vocabulary, but got "
            f"shape {table.shape}. Make them with `rarity_weights(token_counts(dataset, len(tokenizer)))`, for example."
        )
    found = table[tokens.input_ids]
    return np.add.reduceat(found, units.first) / units.size if len(units) else found


def checked_weights(weights: np.ndarray, units: int) -> np.ndarray:
    """The weights of units relative to the largest; those that are 0 made positive, but next to nothing.

    Raises:
        ValueError: if there is not one for each of the units, or one is negative or not finite.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (units,):
        raise ValueError(f"`weights` must give a number for each of {units} units, but gave shape {weights.shape}.")
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        raise ValueError(
            f"`weights` must be finite and not negative, but got {weights[wrong][0]}. They are relative odds: 0 for "
            "what is to be masked last, and 1 for all to mask uniformly."
        )
    largest = weights.max(initial=0.0)
    return np.maximum(weights / largest, 1e-12) if largest > 0 else np.ones(len(weights))
