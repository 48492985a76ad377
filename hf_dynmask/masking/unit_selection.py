"""Which units are masked: those whose draw is below their probability, or an exact count of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hf_dynmask.core.draws import as_draws, below
from hf_dynmask.core.rows import count_per_row
from hf_dynmask.masking.exact_counts import select_count, select_systematically
from hf_dynmask.masking.ranking import argsort_in_rows, sum_before_in_rows
from hf_dynmask.rates.distributions import TokenRates
from hf_dynmask.strategies import Strategy
from hf_dynmask.strategies.units import Units, independent_draws
from hf_dynmask.strategies.weights import (
    checked_unit_values,
    proportional,
    relative_weights,
    sum_by_row,
    unit_weights,
)

_MIN_SORT_WEIGHT = 2.0**-64  # avoids division by 0 where the probability is 0; such units are last, by their draws


class _UnitDraws(NamedTuple):
    """The draws of units, and the probabilities that they are compared with.

    Attributes:
        draws: uint32 `[units]`.
        probs: one number in [0, 1] for all units, or float64 `[units]`.
        weights: float64 `[units]`, the weights of the units in the order of [`sort_keys`]; None if all are equal.
    """

    draws: np.ndarray
    probs: float | np.ndarray
    weights: np.ndarray | None = None

    @property
    def sort_keys(self) -> np.ndarray:
        """`[units]`: the units with the lowest keys are masked first where their count matters."""
        return self.draws if self.weights is None else self.draws / np.maximum(self.weights, _MIN_SORT_WEIGHT)


def select_units(
    units: Units, rates: float | np.ndarray | TokenRates, strategy: Strategy, exact_count: bool, min_masked: int
) -> np.ndarray:
    """The tokens of the units that are masked.

    Args:
        units: the units of the batch.
        rates: the mask rate; one number in [0, 1], float64 `[sequences]`, or the rates of tokens.
        strategy: the strategy that made the units.
        exact_count: whether the number of masked tokens is exact, up to rounding.
        min_masked: the minimum number of masked tokens in a sequence that has as many maskable tokens.

    Returns:
        int64 `[masked]`, the indices of the tokens, in rising order.

    Raises:
        ValueError: if a function of the strategy returns values that are not as its documentation says, or rates of
            tokens meet an exact count or a strategy that needs one rate for each sequence.
    """
    unit_draws_and_probs = _draws_and_probs(units, rates, strategy)
    if exact_count and strategy.probs is None and not strategy.counts:
        goal = _row_rates(units, rates) * sum_by_row(units.maskable_size, units)
        is_uniform = strategy.weights is strategy.draws is None
        rotated = is_uniform if strategy.uniform is None else strategy.uniform(units.tokens)
        return units.indices(select_count(units, unit_draws_and_probs.sort_keys, goal, min_masked, rotated))
    if exact_count and strategy.probs is not None:
        selected = select_systematically(units, unit_draws_and_probs.draws, np.asarray(unit_draws_and_probs.probs))
    else:
        selected = below(unit_draws_and_probs.draws, unit_draws_and_probs.probs) & units.maskable
    masked = units.indices(selected)
    if min_masked:
        is_short = count_per_row(masked, units.tokens.ends) < min_masked
        if np.logical_or.reduce(is_short):
            selected[_first_units(units, unit_draws_and_probs.sort_keys, is_short, min_masked)] = True
            masked = units.indices(selected)
    return masked


def _draws_and_probs(units: Units, rates: float | np.ndarray | TokenRates, strategy: Strategy) -> _UnitDraws:
    draws = _unit_draws(units, rates, strategy)
    if strategy.probs is not None:
        values = strategy.probs(units.tokens, units, _row_rates(units, rates))
        probs = checked_unit_values(values, units, "probs", strategy)
        return _UnitDraws(draws, probs, probs)
    if strategy.weights is not None:
        weights = relative_weights(units, unit_weights(strategy.weights, units))
        return _UnitDraws(draws, proportional(units, weights, _row_rates(units, rates)), weights)
    if isinstance(rates, TokenRates):
        return _UnitDraws(draws, units.at_first_token(rates.values))
    return _UnitDraws(draws, units.from_sequences(rates) if isinstance(rates, np.ndarray) else rates)


def _row_rates(units: Units, rates: float | np.ndarray | TokenRates) -> np.ndarray:
    """The rate of each sequence: float64 `[sequences]`.

    Raises:
        ValueError: if the rate differs within a sequence.
    """
    if isinstance(rates, TokenRates):
        raise ValueError(
            "`block_size` must be None with `exact_count=True` and with strategies that set weights, probabilities or "
            "draws, which need one rate for each sequence, but the blocks of a sequence have rates of their own. Leave "
            'it out, or mask `"token"`, `"whole_word"` or `"span"` without an exact count.'
        )
    return rates if isinstance(rates, np.ndarray) else np.full(len(units.counts), rates, dtype=np.float64)


def _unit_draws(units: Units, rates: float | np.ndarray | TokenRates, strategy: Strategy) -> np.ndarray:
    """uint32 `[units]`: the draw of the first token of each unit, or those of the strategy."""
    if strategy.draws is None:
        return independent_draws(units)
    values = strategy.draws(units.tokens, units, _row_rates(units, rates))
    return as_draws(checked_unit_values(values, units, "draws", strategy))


def _first_units(units: Units, sort_keys: np.ndarray, rows: np.ndarray, min_masked: int) -> np.ndarray:
    """The first units in sorted order of some sequences (bool `[sequences]`), until `min_masked` tokens are masked."""
    candidates = np.flatnonzero(units.from_sequences(rows) & units.maskable)
    row = units.row[candidates]
    candidates = candidates[argsort_in_rows(row, sort_keys[candidates])]  # `row` remains sorted
    return candidates[sum_before_in_rows(units.size[candidates], row) < min_masked]
