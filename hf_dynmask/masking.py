"""The pure function: mask = f(seed, example, pattern, rate, strategy).

Nothing here knows of batches' order, workers, ranks or time, and nothing has a state: the same sequence under the same
plan, pattern and rate gets the same mask, wherever and beside whatever it is masked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hf_dynmask.arguments import checked_integer, checked_odds
from hf_dynmask.ragged import IGNORE_INDEX, RaggedTokens
from hf_dynmask.replacement import replace
from hf_dynmask.strategies import Strategy
from hf_dynmask.uniforms import (
    Purpose,
    as_fraction,
    below,
    draws,
    draws_in_rows,
    example_hashes,
    stream_keys,
)
from hf_dynmask.vocabulary import Vocabulary


@dataclass(frozen=True)
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
        if self.vocabulary.mask_token_id is None:
            raise ValueError(
                "`tokenizer` must have a mask token, but has none. Add one with "
                '`tokenizer.add_special_tokens({"mask_token": "[MASK]"})`, or pass `mlm=False`.'
            )
        checked_odds(self.mask_replace_prob, self.random_replace_prob)
        checked_integer(self.min_masked, "min_masked", 0, "Pass 0 to allow sequences without a label.")
        checked_integer(self.seed, "seed", None, "Pass None for the Trainer's seed.")
        self.strategy(RaggedTokens(np.array([self.vocabulary.mask_token_id]), np.array([1])), self.vocabulary)


@dataclass(frozen=True)
class _Units:
    """What is masked whole or not at all: `[units]` arrays."""

    first: np.ndarray  # its first token
    size: np.ndarray  # its number of tokens
    row: np.ndarray  # its sequence
    maskable: np.ndarray  # whether it may be masked


def mask_tokens(
    tokens: RaggedTokens, maskable: np.ndarray, rate: float | np.ndarray, pattern: int, plan: MaskingPlan
) -> tuple[np.ndarray, np.ndarray]:
    """Masks sequences.

    Args:
        tokens: the sequences, without padding.
        maskable: bool `[tokens]`, False where a token must stay.
        rate: the odds of each unit to be masked; one number in [0, 1], or float64 `[sequences]`.
        pattern: which of the examples' masks.
        plan: everything else.

    Returns:
        `(inputs, labels)`, int64 `[tokens]` each: the ids the model sees; and the original ids of masked tokens, -100
        elsewhere.
    """
    keys = stream_keys(plan.seed, example_hashes(tokens.input_ids, tokens.positions, tokens.ends), pattern)
    units = _units(tokens, maskable, plan)
    masked = np.flatnonzero(np.repeat(_selected(tokens, units, keys, rate, plan), units.size))

    inputs = tokens.input_ids.copy()
    inputs[masked] = replace(
        tokens.input_ids[masked],
        keys[tokens.rows[masked]],
        tokens.positions[masked],
        plan.vocabulary,
        plan.mask_replace_prob,
        plan.random_replace_prob,
    )
    labels = np.full_like(inputs, IGNORE_INDEX)
    labels[masked] = tokens.input_ids[masked]
    return inputs, labels


def causal(tokens: RaggedTokens, labelled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """No mask at all: the ids as they are, and as labels where `labelled` (bool `[tokens]`)."""
    return tokens.input_ids, np.where(labelled, tokens.input_ids, IGNORE_INDEX)


def _units(tokens: RaggedTokens, maskable: np.ndarray, plan: MaskingPlan) -> _Units:
    """A unit may be masked only if all of its tokens may."""
    starts = plan.strategy(tokens, plan.vocabulary) | (tokens.positions == 0)
    first = np.flatnonzero(starts)
    size = np.diff(first, append=len(tokens.input_ids))
    return _Units(first, size, tokens.rows[first], np.logical_and.reduceat(maskable, first) if len(first) else maskable)


def _selected(
    tokens: RaggedTokens, units: _Units, keys: np.ndarray, rate: float | np.ndarray, plan: MaskingPlan
) -> np.ndarray:
    """bool `[units]`: which are masked. A unit's draw is that of its first token."""
    row_rates = np.broadcast_to(np.asarray(rate, dtype=np.float64), tokens.lengths.shape)
    per_row = np.bincount(units.row, minlength=len(tokens.lengths))
    numbers = draws_in_rows(keys, per_row, tokens.positions[units.first], Purpose.SELECTION)
    if plan.exact_count:
        return _first_in_order(units, numbers, keys, row_rates, plan.min_masked)
    selected = below(numbers, rate if np.ndim(rate) == 0 else row_rates[units.row]) & units.maskable
    if plan.min_masked:
        few = _sum_by_row(selected * units.size, units.row, len(keys)) < plan.min_masked
        short = few[units.row]
        if short.any():
            selected |= short & _first_in_order(units, numbers, keys, np.zeros(len(keys)), plan.min_masked)
    return selected


def _first_in_order(
    units: _Units, numbers: np.ndarray, keys: np.ndarray, rates: np.ndarray, min_masked: int
) -> np.ndarray:
    """The units with the lowest draws, until a sequence has `rate` times its maskable tokens, and `min_masked` of them.

    The last unit is taken with just the odds that make the expected count exact; a token is a unit of size 1, for which
    this is probabilistic rounding. Lower rates select subsets of what higher ones do.
    """
    size = np.where(units.maskable, units.size, 0)
    goal = rates * _sum_by_row(size, units.row, len(keys))
    rounding = as_fraction(draws(keys, np.zeros(len(keys), np.uint32), Purpose.ROUNDING))

    # Sorted by sequence first, so that `units.row` is in order still.
    order = np.lexsort((numbers, ~units.maskable, units.row))
    size = size[order]
    before = np.cumsum(size) - size
    before -= before[np.searchsorted(units.row, units.row)]
    enough = (before + rounding[units.row] * size >= goal[units.row]) & (before >= min_masked)

    selected = np.zeros(len(order), dtype=bool)
    selected[order] = ~enough
    return selected & units.maskable


def _sum_by_row(values: np.ndarray, row: np.ndarray, rows: int) -> np.ndarray:
    return np.bincount(row, weights=values, minlength=rows)
