"""How likely each unit is masked, where that is not the same for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hf_dynmask.core.checks import as_numbers
from hf_dynmask.core.rows import segment_reduce
from hf_dynmask.strategies.partitions import MaskingTokens, Units

_LEAST_WEIGHT = 1e-12

Weights = Callable[[MaskingTokens, Units], np.ndarray]


def sum_by_row(values: np.ndarray, units: Units) -> np.ndarray:
    """The sum of the values `[units]` of each sequence: `[sequences]`."""
    return segment_reduce(np.add, values, units.counts)


def proportional(units: Units, weights: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Probabilities in proportion to weights, such that the expected fraction of masked tokens is still the rate.

    `prob[u] = min(1, c * weight[u])`, with the `c` of each sequence that solves
    `sum(size[u] * prob[u]) = rate * sum(size[u])` over its maskable units. As `c` grows with the rate, a mask at a
    lower rate is a subset of one at a higher.

    Args:
        units: the units of the batch.
        weights: float64 `[units]`, in (0, 1].
        rates: float64 `[sequences]`, in [0, 1].

    Returns:
        float64 `[units]`.
    """
    size = units.maskable_size.astype(np.float64)
    weight = size * weights
    goal = rates * sum_by_row(size, units)
    certain = np.zeros(len(units), dtype=bool)
    left, free = goal, sum_by_row(weight, units)
    while True:  # each round finds the units whose probability would exceed 1; a few rounds suffice
        factor = np.divide(left, free, out=np.zeros(len(rates)), where=free > 0)
        probs = units.from_sequences(factor) * weights
        if left is goal and factor.max(initial=0.0) <= 1:
            return probs  # no weight exceeds 1, and so no probability does
        exceeds = (probs > 1) & ~certain & units.maskable
        if not exceeds.any():
            return np.where(certain, 1.0, np.minimum(probs, 1.0))
        certain |= exceeds
        left = goal - sum_by_row(size * certain, units)
        free = sum_by_row(weight * ~certain, units)


def mean_token_weights(tokens: MaskingTokens, units: Units, weights: np.ndarray) -> np.ndarray:
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
    return units.segment_reduce(np.add, weights.take(tokens.input_ids)) / units.size


def checked_weights(weights: Any) -> np.ndarray:
    """The weights as float64.

    Raises:
        ValueError: if they are not numbers in one dimension, finite and not negative.
    """
    values = as_numbers(weights)
    if values is None:
        raise ValueError(f"`weights` must be numbers, one for each id, but got {weights!r}.")
    right = (values >= 0) & (values < np.inf)
    if values.ndim != 1 or not right.all():
        given = f"shape {values.shape}" if values.ndim != 1 else values[~right][0]
        raise ValueError(
            f"`weights` must be numbers, finite and not negative, but got {given}. They are relative probabilities: 0 "
            "for tokens to mask last, and equal weights to mask uniformly."
        )
    return values


def checked_unit_values(values: Any, units: Units, argument: str, strategy: object) -> np.ndarray:
    """What a function of a strategy gives for each unit, as float64 `[units]`; 0 where a unit must stay.

    1 is taken where a number below 1 is asked for: division rounds to it now and then.

    Raises:
        ValueError: if it is not a number in [0, 1] for each unit that may be masked.
    """
    numbers = as_numbers(values)
    given: Any = repr(values)
    if numbers is not None and numbers.shape == (len(units),):
        numbers = np.where(units.maskable, numbers, 0.0)
        right = (numbers >= 0) & (numbers <= 1)
        if right.all():
            return numbers
        given = numbers[~right][0]
    elif numbers is not None and numbers.ndim:
        given = f"shape {numbers.shape}"
    raise ValueError(
        f"`{argument}` of {strategy!r} must give a number between 0 and 1 for each of {len(units)} units, but got "
        f"{given}. Return a float64 array of `len(units)`."
    )


def relative_weights(units: Units, weights: np.ndarray) -> np.ndarray:
    """Weights as fractions of the largest of their sequence's maskable units; 0 made positive, but next to nothing."""
    largest = segment_reduce(np.maximum, weights * units.maskable, units.counts)
    none = largest == 0
    relative = weights / units.from_sequences(np.where(none, 1.0, largest))
    if none.any():
        relative[units.from_sequences(none)] = 1.0
    return np.clip(relative, _LEAST_WEIGHT, 1.0, out=relative)
