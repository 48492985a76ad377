"""The pure function: mask = f(seed, example, pattern, rate, strategy).

Nothing here knows of batches' order, workers, ranks or time, and nothing has a state: the same sequence under the same
plan, pattern and rate gets the same mask, wherever and beside whatever it is masked.

A change of the masks is a breaking change, which needs a new major version and a line in CHANGELOG.md; `tests/golden`
tells whether it happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hf_dynmask.batching.eligibility import maskable_tokens, strategy_column, unlabelled_tokens
from hf_dynmask.core.checks import checked_flag, checked_integer, checked_replacement_probs
from hf_dynmask.core.draws import (
    Purpose,
    as_draws,
    as_fraction,
    below,
    draw,
    draw_in_rows,
)
from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch, RaggedTokens
from hf_dynmask.core.rows import count_per_row
from hf_dynmask.masking.keys import draw_keys_and_rates
from hf_dynmask.masking.replacement import replace
from hf_dynmask.rates.schedules import FixedRate
from hf_dynmask.strategies import Strategy
from hf_dynmask.strategies.aligned_labels import word_continuations
from hf_dynmask.strategies.partitions import MaskingTokens, Units, every_token, partition_units
from hf_dynmask.strategies.weights import (
    Weights,
    checked_unit_values,
    checked_weights,
    proportional,
    relative_weights,
    sum_by_row,
)
from hf_dynmask.vocabulary.vocabulary import Vocabulary

_LEAST_PROB = 2.0**-64  # what has none comes last, in its own order


@dataclass(frozen=True, eq=False)
class MaskingPlan:
    """All that is decided once: see [`DataCollatorForDynamicMasking`] for the arguments of the same names.

    Raises:
        ValueError: if an argument is out of its range, or the strategy cannot serve this vocabulary.
    """

    vocabulary: Vocabulary
    strategy: Strategy
    mask_replace_prob: float
    random_replace_prob: float
    exact_count: bool
    min_masked: int
    seed: int

    def __post_init__(self) -> None:
        checked_flag(self.exact_count, "exact_count")
        checked_replacement_probs(self.mask_replace_prob, self.random_replace_prob)
        if self.vocabulary.mask_token_id is None and self.mask_replace_prob > 0:
            raise ValueError(
                "`tokenizer` must have a mask token, but has none. Add one with "
                '`tokenizer.add_special_tokens({"mask_token": "[MASK]"})`, or do without: `mask_replace_prob=0.0`, '
                "or `mlm=False` to mask nothing."
            )
        checked_integer(self.min_masked, "min_masked", 0, "Pass 0 to allow sequences without a label.")
        checked_integer(self.seed, "seed", None, "Pass None for the Trainer's seed.")
        one = RaggedTokens(np.zeros(1, np.int64), np.ones(1, np.int64))
        try:
            columns = {name: np.zeros(1, np.int64) for name in self.strategy.columns}
            mask_tokens(one, np.ones(1, dtype=bool), 0.5, 0, self, columns)
        except Exception as error:
            if isinstance(error, ValueError) and str(error).startswith("`"):  # names what is wrong already
                raise
            raise ValueError(
                f"`strategy` must be made of functions that serve any sequences, but {self.strategy!r} fails for a "
                f"sequence of one token: {type(error).__name__}: {error}. A function of your own takes `MaskingTokens` "
                "and returns a bool for each token."
            ) from error


class Masked(NamedTuple):
    """The masks of sequences.

    Attributes:
        indices: int64 `[masked]`, the indices of masked tokens, in rising order.
        rates: the mask rate of each sequence; one number, or float64 `[sequences]`.
        tokens: the sequences, with the keys of their draws.
        plan: the plan of the masks.
    """

    indices: np.ndarray
    rates: float | np.ndarray
    tokens: MaskingTokens
    plan: MaskingPlan

    @property
    def ids(self) -> np.ndarray:
        """int64 `[masked]`: the ids that replace the masked tokens in the input. Drawn at each access."""
        return replacement_ids(self.tokens, self.indices, self.plan)


def mask_batch(batch: RaggedBatch, rate: FixedRate | np.ndarray, pattern: int, plan: MaskingPlan) -> Masked:
    """Masks the sequences of a batch without padding, by its columns. For the arguments, see [`mask_tokens`]."""
    read = plan.strategy.columns
    maskable = maskable_tokens(batch, plan.vocabulary, read)
    unlabelled = unlabelled_tokens(batch, plan.vocabulary, read)
    columns = {name: strategy_column(batch, name) for name in read}
    return mask_tokens(batch.tokens, maskable, rate, pattern, plan, columns, unlabelled)


def mask_tokens(
    tokens: RaggedTokens,
    maskable: np.ndarray,
    rate: FixedRate | np.ndarray,
    pattern: int,
    plan: MaskingPlan,
    columns: Mapping[str, np.ndarray] | None = None,
    unlabelled: np.ndarray | None = None,
) -> Masked:
    """Masks sequences.

    Args:
        tokens: the sequences, without padding.
        maskable: bool `[tokens]`, False for tokens that are never masked.
        rate: the expected fraction of masked tokens; one number in [0, 1], a distribution from which each sequence
            draws its rate, or float64 `[sequences]`.
        pattern: which of the masks of each example.
        plan: the other settings.
        columns: the further columns that the strategy reads, `[tokens]` each.
        unlabelled: bool `[tokens]`, True for tokens that are not maskable only because their label is -100; None if
            there are none.
    """
    keys, rates = draw_keys_and_rates(tokens, rate, pattern, plan.seed)
    masking_tokens = MaskingTokens(tokens.input_ids, tokens.lengths, plan.vocabulary, maskable, keys, columns or {})
    vars(masking_tokens).update(vars(tokens))  # keeps the positions, which the keys needed
    if unlabelled is not None and plan.strategy.partition is not every_token:  # which masks each token by itself
        masking_tokens.pieces = word_continuations(masking_tokens, unlabelled, plan.strategy.words)
    units = partition_units(masking_tokens, plan.strategy.partition)
    return Masked(_selected(units, rates, plan), rates, masking_tokens, plan)


def replacement_ids(tokens: MaskingTokens, masked: np.ndarray, plan: MaskingPlan) -> np.ndarray:
    """The ids that replace the masked tokens (int64 `[masked]`, their indices) in the input: int64 `[masked]`."""
    return replace(
        tokens.input_ids[masked],
        tokens.keys,
        count_per_row(masked, tokens.ends),
        tokens.positions[masked],
        plan.vocabulary,
        plan.mask_replace_prob,
        plan.random_replace_prob,
    )


def apply_mask(input_ids: np.ndarray, indices: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Writes `ids` to the flat `indices` of `input_ids`, int64, in place.

    Returns:
        The labels, int64 of the same shape: the original ids at these indices, -100 elsewhere.
    """
    labels = np.full_like(input_ids, IGNORE_INDEX)
    labels.reshape(-1)[indices] = input_ids.reshape(-1)[indices]
    input_ids.reshape(-1)[indices] = ids
    return labels


class _Chances(NamedTuple):
    """`[units]` arrays: a unit is masked if its draw is below its probability.

    The probabilities are one number if they are the same for all. Where counts matter, the units with the lowest draws
    come first, relative to their shares if they have any.
    """

    draws: np.ndarray
    probs: float | np.ndarray
    shares: np.ndarray | None = None

    def order(self) -> np.ndarray:
        return self.draws if self.shares is None else self.draws / np.maximum(self.shares, _LEAST_PROB)


def _selected(units: Units, rates: float | np.ndarray, plan: MaskingPlan) -> np.ndarray:
    """The tokens that are masked, int64 `[masked]`."""
    row_rates = rates if isinstance(rates, np.ndarray) else np.full(len(units.counts), rates, dtype=np.float64)
    chances = _chances(units, rates, row_rates, plan.strategy)
    if plan.exact_count and plan.strategy.probs is None and not plan.strategy.counts:
        goal = row_rates * sum_by_row(units.maskable_size, units)
        uniform = plan.strategy.weights is plan.strategy.draws is None
        return units.indices(_first_in_order(units, chances.order(), goal, plan.min_masked, rotated=uniform))
    if plan.exact_count and plan.strategy.probs is not None:
        selected = _systematic(units, chances)
    else:
        selected = below(chances.draws, chances.probs) & units.maskable
    masked = units.indices(selected)
    if plan.min_masked:
        short = count_per_row(masked, units.tokens.ends) < plan.min_masked
        if short.any():
            selected[_first(units, chances.order(), short, plan.min_masked)] = True
            masked = units.indices(selected)
    return masked


def _chances(units: Units, rates: float | np.ndarray, row_rates: np.ndarray, strategy: Strategy) -> _Chances:
    draws = _unit_draws(units, row_rates, strategy)
    if strategy.probs is not None:
        probs = checked_unit_values(strategy.probs(units.tokens, units, row_rates), units, "probs", strategy)
        return _Chances(draws, probs, probs)
    if strategy.weights is not None:
        weights = relative_weights(units, _weights(units, strategy.weights))
        return _Chances(draws, proportional(units, weights, row_rates), weights)
    return _Chances(draws, units.from_sequences(row_rates) if isinstance(rates, np.ndarray) else rates)


def _weights(units: Units, weights: Weights) -> np.ndarray:
    values = checked_weights(weights(units.tokens, units))
    if len(values) != len(units):
        raise ValueError(f"`weights` must give a number for each of {len(units)} units, but gave {len(values)}.")
    return values


def _unit_draws(units: Units, rates: np.ndarray, strategy: Strategy) -> np.ndarray:
    """uint32 `[units]`. A unit's draw is that of its first token."""
    tokens = units.tokens
    if strategy.draws is not None:
        return as_draws(checked_unit_values(strategy.draws(tokens, units, rates), units, "draws", strategy))
    return draw_in_rows(tokens.keys, units.counts, units.at_first_token(tokens.positions), Purpose.SELECTION)


def _first(units: Units, order: np.ndarray, rows: np.ndarray, min_masked: int) -> np.ndarray:
    """The first units in order of some sequences (bool `[sequences]`), until `min_masked` tokens are masked."""
    candidates = np.flatnonzero(units.from_sequences(rows) & units.maskable)
    row = units.row[candidates]
    candidates = candidates[np.lexsort((order[candidates], row))]  # by sequence first: `row` is in order still
    return candidates[_before(units.size[candidates], row) < min_masked]


def _first_in_order(
    units: Units, order: np.ndarray, goal: np.ndarray, min_masked: int, rotated: bool = False
) -> np.ndarray:
    """The first units in order, until a sequence has `goal` masked tokens, and `min_masked` of them: bool `[units]`.

    The units stand one behind the other, each as long as its tokens, and those are taken whose own point lies before
    the goal. The point is at the same random share of each unit, so that the expected count is the goal; a token is a
    unit of size 1, for which this is probabilistic rounding. Lower goals select subsets of what higher ones do.

    Args:
        turned: whether all begins at a random place, and goes round. For units in random order, so that each is taken
            with the same probability, whatever its length: the goal divided by all.
    """
    keys, zeros = units.tokens.keys, np.zeros(len(goal), np.uint32)
    rounding = as_fraction(draw(keys, zeros, Purpose.ROUNDING))
    before = _before_in_order(units, order)
    point = before + units.from_sequences(rounding) * units.maskable_size
    if rotated:
        total = sum_by_row(units.maskable_size, units)
        begin = units.from_sequences(as_fraction(draw(keys, zeros, Purpose.PLACE)) * total)
        skipped = sum_by_row(units.maskable_size * (point < begin), units)  # the first units are last now
        round_ = units.from_sequences(np.maximum(total, 1))
        point, before = (point - begin) % round_, (before - units.from_sequences(skipped)) % round_
    return units.maskable & ((point < units.from_sequences(goal)) | (before < min_masked))


def _systematic(units: Units, chances: _Chances) -> np.ndarray:
    """Units, each with exactly its own probability, in a count that differs by no more than rounding: bool `[units]`.

    Systematic sampling (Madow 1949): the units are laid end to end, each as long as its probability. Units of one size
    are together, in random order. Points at a distance of 1 select the units that they fall into.
    """
    order = np.lexsort((chances.draws, units.size, units.row))
    lengths = np.rint(np.where(units.maskable, chances.probs, 0.0)[order] * 2.0**32).astype(np.int64)  # exact sums
    totals = sum_by_row(lengths, units)
    shift = draw(units.tokens.keys, np.zeros(len(totals), np.uint32), Purpose.ROUNDING).astype(np.int64)
    ends = np.cumsum(lengths) + units.from_sequences(shift - np.cumsum(totals) + totals)
    selected = np.empty(len(units), dtype=bool)
    selected[order] = ends >> 32 > (ends - lengths) >> 32
    return selected


def _before_in_order(units: Units, order: np.ndarray) -> np.ndarray:
    """int64 `[units]`: the maskable tokens of a unit's sequence that come before it in order."""
    if order.dtype == np.uint32:  # one key sorts several times faster than three
        key = (units.row << 33) | (~units.maskable).astype(np.int64) << 32 | order
        indices = np.argsort(key, kind="stable")
    else:
        indices = np.lexsort((order, ~units.maskable, units.row))
    before = np.empty_like(indices)
    before[indices] = _before(units.maskable_size[indices], units.row)
    return before


def _before(sizes: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The sum of the sizes before each, int64 `[n]`, within its row; int64 `[n]`, in rising order."""
    earlier = np.cumsum(sizes) - sizes
    return earlier - earlier[np.searchsorted(row, row)]
