"""The functions of a mixture: each sequence is masked by the component that it draws by its own key.

The functions of a component receive only the sequences that drew it, so that it masks them as it does when it is used
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from hf_dynmask.core.draws import RANGE, Purpose, as_fraction, draw_per_row
from hf_dynmask.strategies.masking_tokens import MaskingTokens, Pieces
from hf_dynmask.strategies.partitions import words
from hf_dynmask.strategies.strategy import Strategy
from hf_dynmask.strategies.units import Units, every_token, independent_draws, partition_units
from hf_dynmask.strategies.weights import checked_unit_values, proportional, relative_weights, unit_weights


class Components(NamedTuple):
    """The strategies of a mixture.

    Attributes:
        strategies: the components.
        shares: the probability of each component, with a sum of 1.
    """

    strategies: tuple[Strategy, ...]
    shares: tuple[float, ...]


def mixed_starts(tokens: MaskingTokens, mixed: Components) -> np.ndarray:
    """The partition of the mixture: bool `[tokens]`, for each sequence that of its component."""
    if len(tokens.input_ids) == 1:
        _try_all(tokens, mixed)
    starts = np.ones(len(tokens.input_ids), dtype=bool)
    for strategy, rows in _drawn(tokens, mixed):
        units = partition_units(_select(tokens, rows), strategy.partition)
        if units.starts is not None:
            starts[rows.repeat(tokens.lengths)] = units.starts
    return starts


def _try_all(tokens: MaskingTokens, mixed: Components) -> None:
    """Calls all functions of all components: a collator tries its strategy with one token, to raise errors early."""
    for strategy in mixed.strategies:
        units, rates = partition_units(tokens, strategy.partition), np.full(len(tokens.lengths), 0.5)
        _component_draws(strategy, units, rates)
        _component_probs(strategy, units, rates)


def mixed_word_starts(tokens: MaskingTokens, mixed: Components) -> np.ndarray:
    """`Strategy.words` of the mixture: bool `[tokens]`."""
    of_vocabulary = every_token if tokens.vocabulary.words is None else partial(words, max_word_length=None)
    starts = np.empty(len(tokens.input_ids), dtype=bool)
    for strategy, rows in _drawn(tokens, mixed):
        partition = of_vocabulary if strategy.words is None else strategy.words
        starts[rows.repeat(tokens.lengths)] = partition(_select(tokens, rows))
    return starts


def mixed_weights(tokens: MaskingTokens, units: Units, mixed: Components) -> np.ndarray:
    """`Strategy.weights` of the mixture: float64 `[units]`."""
    return _by_component(units, mixed, lambda strategy, own, rows: _component_weights(strategy, own))


def mixed_probs(tokens: MaskingTokens, units: Units, rates: np.ndarray, mixed: Components) -> np.ndarray:
    """`Strategy.probs` of the mixture: float64 `[units]`."""
    return _by_component(units, mixed, lambda strategy, own, rows: _component_probs(strategy, own, rates[rows]))


def mixed_draws(tokens: MaskingTokens, units: Units, rates: np.ndarray, mixed: Components) -> np.ndarray:
    """`Strategy.draws` of the mixture: float64 `[units]`."""
    return _by_component(units, mixed, lambda strategy, own, rows: _component_draws(strategy, own, rates[rows]))


def uniform_sequences(tokens: MaskingTokens, mixed: Components) -> np.ndarray:
    """`Strategy.uniform` of the mixture: bool `[sequences]`."""
    uniform = np.zeros(len(tokens.lengths), dtype=bool)
    for strategy, rows in _drawn(tokens, mixed):
        uniform[rows] = strategy.weights is strategy.draws is None
    return uniform


def _by_component(
    units: Units, mixed: Components, values_of: Callable[[Strategy, Units, np.ndarray], np.ndarray]
) -> np.ndarray:
    """The values `[units]` that the component of each sequence gives to its units.

    `values_of` takes a component, the units of its sequences, and which sequences these are, bool `[sequences]`.
    """
    values = np.empty(len(units))
    for strategy, rows in _drawn(units.tokens, mixed):
        values[rows.repeat(units.counts)] = values_of(strategy, _select_units(units, rows), rows)
    return values


def _component_weights(strategy: Strategy, units: Units) -> np.ndarray:
    return (
        np.ones(len(units)) if strategy.weights is None else unit_weights(strategy.weights, units, f" of {strategy!r}")
    )


def _component_probs(strategy: Strategy, units: Units, rates: np.ndarray) -> np.ndarray:
    if strategy.probs is not None:
        return checked_unit_values(strategy.probs(units.tokens, units, rates), units, "probs", strategy)
    if strategy.weights is not None:
        return proportional(units, relative_weights(units, _component_weights(strategy, units)), rates)
    return units.from_sequences(rates)


def _component_draws(strategy: Strategy, units: Units, rates: np.ndarray) -> np.ndarray:
    if strategy.draws is None:
        return as_fraction(independent_draws(units))
    return checked_unit_values(strategy.draws(units.tokens, units, rates), units, "draws", strategy)


def draw_components(keys: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """int64 `[sequences]`: the index that each sequence draws by its key, uint64 `[sequences]`.

    Args:
        keys: the keys of the sequences.
        shares: the probability of each index, with a sum of 1.
    """
    limits = np.rint(np.cumsum(shares)[:-1] * RANGE)
    return limits.searchsorted(draw_per_row(keys, Purpose.COMPONENT), side="right")


def normalized(weights: Sequence[float]) -> tuple[float, ...]:
    """The weights, finite and above 0, divided by their sum, which may itself be infinite."""
    relative = [weight / max(weights) for weight in weights]
    return tuple(weight / sum(relative) for weight in relative)


def _drawn(tokens: MaskingTokens, mixed: Components) -> Iterator[tuple[Strategy, np.ndarray]]:
    """Each component that a sequence drew, and which sequences did: bool `[sequences]`."""
    drawn = draw_components(tokens.keys, mixed.shares)
    for index in np.unique(drawn).tolist():
        yield mixed.strategies[index], drawn == index


def _select(tokens: MaskingTokens, rows: np.ndarray) -> MaskingTokens:
    """Some of the sequences (bool `[sequences]`)."""
    if rows.all():
        return tokens
    kept = rows.repeat(tokens.lengths)
    columns = {name: values[kept] for name, values in tokens.columns.items()}
    pieces = tokens.pieces
    if pieces is not None:
        index, is_kept = kept.cumsum() - 1, kept[pieces.later]
        pieces = Pieces(index[pieces.later[is_kept]], index[pieces.first[is_kept]])
    ids, maskable = tokens.input_ids[kept], tokens.maskable[kept]
    return MaskingTokens(ids, tokens.lengths[rows], tokens.vocabulary, maskable, tokens.keys[rows], columns, pieces)


def _select_units(units: Units, rows: np.ndarray) -> Units:
    """The units of some of the sequences (bool `[sequences]`)."""
    if rows.all():
        return units
    tokens = _select(units.tokens, rows)
    starts = None if units.starts is None else units.starts[rows.repeat(units.tokens.lengths)]
    return Units(tokens, None if starts is None or starts.all() else starts)
