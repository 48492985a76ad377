"""The weights of units, and the probabilities that follow from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hf_dynmask.core.checks import as_numbers
from hf_dynmask.core.rows import segment_reduce
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.units import Units

_MIN_WEIGHT = 1e-12

Weights = Callable[[MaskingTokens, Units], np.ndarray]


def sum_by_row(values: np.ndarray, units: Units) -> np.ndarray:
    """The sum over each sequence, `[sequences]`, of values `[units]`."""
    return segment_reduce(np.add, values, units.counts)


def proportional(units: Units, weights: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Probabilities in proportion to weights, such that the expected fraction of masked tokens is the rate.

    `prob[u] = min(1, c * weight[u])`, where the `c` of each sequence solves
    `sum(size[u] * prob[u]) = rate * sum(size[u])` over its maskable units. `c` grows with the rate, so the mask of a
    lower rate is a subset of the mask of a higher rate.

    Args:
        units: the units of the batch.
        weights: float64 `[units]`, in (0, 1].
        rates: float64 `[sequences]`, in [0, 1].

    Returns:
        float64 `[units]`.
    """
    size = units.maskable_size.astype(np.float64)
    weight = size * weights
    target = rates * sum_by_row(size, units)
    certain = np.zeros(len(units), dtype=bool)
    remaining, free_weight = target, sum_by_row(weight, units)
    while True:  # each iteration fixes the units whose probability would exceed 1; a few iterations are enough
        factor = np.divide(remaining, free_weight, out=np.zeros(len(rates)), where=free_weight > 0)
        probs = units.from_sequences(factor) * weights
        if remaining is target and factor.max(initial=0.0) <= 1:
            return probs  # no weight exceeds 1, so no probability does
        exceeds = (probs > 1) & ~certain & units.maskable
        if not exceeds.any():
            return np.where(certain, 1.0, np.minimum(probs, 1.0))
        certain |= exceeds
        remaining = target - sum_by_row(size * certain, units)
        free_weight = sum_by_row(weight * ~certain, units)


def mean_token_weights(tokens: MaskingTokens, units: Units, weights: np.ndarray) -> np.ndarray:
    """The mean over the tokens of each unit, float64 `[units]`, of the weights of their ids, float64 `[ids]`.

    Raises:
        ValueError: if there are fewer weights than ids.
    """
    if len(weights) < tokens.vocabulary.size:
        raise ValueError(
            f"`weights` must hold a number for each of the {tokens.vocabulary.size} ids of the vocabulary, but got "
            f"{len(weights)} numbers. Compute them for all ids, such as with "
            f"`rarity_weights(token_counts(dataset, {tokens.vocabulary.size}))`."
        )
    return units.segment_reduce(np.add, weights.take(tokens.input_ids)) / units.size


def checked_weights(weights: Any, argument: str = "weights") -> np.ndarray:
    """The weights as float64 `[n]`. `argument` is the name in error messages.

    Raises:
        ValueError: if they are not finite, non-negative numbers in one dimension.
    """
    values = as_numbers(weights)
    if values is None:
        raise ValueError(
            f"`{argument}` must be a one-dimensional array of numbers, but got {weights!r}. Pass a list or an array "
            "with one number for each id, or return an array with one number for each unit."
        )
    valid = (values >= 0) & (values < np.inf)
    if values.ndim != 1 or not valid.all():
        got = f"shape {values.shape}" if values.ndim != 1 else values[~valid][0]
        raise ValueError(
            f"`{argument}` must be finite, non-negative numbers in one dimension, but got {got}. They are relative: "
            "pass equal weights for equal probabilities, and 0 for what comes after all others."
        )
    return values


def unit_weights(weights: Weights, units: Units, owner: str = "") -> np.ndarray:
    """The weights that a function of a strategy returns, float64 `[units]`. `owner` follows its name in errors.

    Raises:
        ValueError: if there is not one finite, non-negative number for each unit.
    """
    values = checked_weights(weights(units.tokens, units))
    if len(values) != len(units):
        raise ValueError(
            f"`weights`{owner} must return a number for each of {len(units)} units, but returned {len(values)}. Return "
            "an array of `len(units)`."
        )
    return values


def checked_unit_values(values: Any, units: Units, argument: str, strategy: object) -> np.ndarray:
    """The values that a function of a strategy returns, as float64 `[units]`; 0 where a unit cannot be masked.

    Draws are below 1, but 1 is accepted, because division can round up to it.

    Raises:
        ValueError: if there is not one number in [0, 1] for each unit that can be masked.
    """
    numbers = as_numbers(values)
    got: Any = repr(values)
    if numbers is not None and numbers.shape == (len(units),):
        numbers = np.where(units.maskable, numbers, 0.0)
        valid = (numbers >= 0) & (numbers <= 1)
        if valid.all():
            return numbers
        got = numbers[~valid][0]
    elif numbers is not None and numbers.ndim:
        got = f"shape {numbers.shape}"
    raise ValueError(
        f"`{argument}` of {strategy!r} must return a number between 0 and 1 for each of {len(units)} units, but got "
        f"{got}. Return a float64 array of shape `(len(units),)`."
    )


def relative_weights(units: Units, weights: np.ndarray) -> np.ndarray:
    """Weights divided by the largest weight of a maskable unit in their sequence, float64 `[units]`, in (0, 1].

    A weight of 0 becomes the smallest positive weight. If all weights of a sequence are 0, all become 1.
    """
    largest = segment_reduce(np.maximum, weights * units.maskable, units.counts)
    all_zero = largest == 0
    relative = weights / units.from_sequences(np.where(all_zero, 1.0, largest))
    if all_zero.any():
        relative[units.from_sequences(all_zero)] = 1.0
    return np.clip(relative, _MIN_WEIGHT, 1.0, out=relative)
