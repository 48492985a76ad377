"""Strategies that mask by position: draws that depend on where a unit is in its sequence.

A unit is masked if its draw is below the rate. The maskable tokens of a sequence divide the interval [0, 1) into equal
parts, in order. Each unit gets a point in its own part, at one random fraction of the part that all units of a sequence
share. The expected fraction of masked tokens is therefore the rate, even if the rate times the length is not an
integer.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hf_dynmask.core.checks import checked_choice
from hf_dynmask.core.draws import Purpose, as_fraction, draw_per_row
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.registry import Unit, unit_strategy
from hf_dynmask.strategies.strategy import Strategy
from hf_dynmask.strategies.units import Units
from hf_dynmask.strategies.weights import sum_by_row


def position(kind: str = "block", unit: Unit = "token") -> Strategy:
    """Masks units by their position in the sequence. The rate determines how many.

    Args:
        kind: one of

            - `"prefix"`: keeps a prefix of about `1 - rate` of the maskable tokens, in whole units, and masks all units
              after it (prefix language modeling, Dong et al. 2019, UniLM);
            - `"suffix"`: keeps a suffix of that size, and masks all units before it;
            - `"block"`: masks one block at a random position;
            - `"every_nth"`: masks every n-th unit, `n = 1 / rate`, starting at a random unit. The count is exact
              with or without `exact_count`.
        unit: see [`span`].

    Raises:
        ValueError: if `kind` is none of these, or `unit` also sets probabilities.

    >>> from hf_dynmask import DataCollatorForDynamicMasking
    >>> collator = DataCollatorForDynamicMasking(tokenizer, 0.5, strategy=position("prefix"), num_mask_patterns=1)
    >>> (collator([tokenizer("the cat sat on a mat")])["labels"][0] != -100).int().tolist()
    [0, 0, 0, 0, 1, 1, 1, 0]
    """
    draws = POSITIONS[checked_choice(kind, "kind", POSITIONS)]
    return dataclasses.replace(unit_strategy(unit), name=f"position:{kind}", draws=draws, counts=kind == "every_nth")


def prefix(tokens: MaskingTokens, units: Units, rates: np.ndarray) -> np.ndarray:
    """Draws, float64 `[units]`, that mask all units after a prefix: the fraction of tokens after the unit's point."""
    before, fraction, total = _token_counts(tokens, units)
    return (total - before - units.size + fraction * units.size) / np.maximum(total, 1)


def suffix(tokens: MaskingTokens, units: Units, rates: np.ndarray) -> np.ndarray:
    """Draws, float64 `[units]`, that mask all units before a suffix: the fraction of tokens before the unit's point."""
    before, fraction, total = _token_counts(tokens, units)
    return (before + fraction * units.size) / np.maximum(total, 1)


def block(tokens: MaskingTokens, units: Units, rates: np.ndarray) -> np.ndarray:
    """Draws, float64 `[units]`, that mask one block, `[a - a * rate, a - a * rate + rate)` of the sequence.

    The anchor `a` is uniform in [0, 1). All positions of a block of a given length are equally likely, and the block of
    a lower rate lies inside the block of a higher rate.
    """
    point = suffix(tokens, units, rates)
    anchor = _sequence_draw(tokens, units, 1)
    left = (anchor - point) / np.where(anchor > 0, anchor, 1)
    right = (point - anchor) / (1 - anchor)
    return np.where(point < anchor, left, right)


def every_nth(tokens: MaskingTokens, units: Units, rates: np.ndarray) -> np.ndarray:
    """Draws, float64 `[units]`, that mask every n-th unit, `n = 1 / rate`, starting at a random unit.

    This is systematic sampling. Unit `i` is masked if `floor((i + 1) * rate + u)` exceeds `floor(i * rate + u)`, with
    `u` uniform in [0, 1). If `1 / rate` is not an integer, the distances between masked units are the two nearest
    integers.
    """
    maskable = units.maskable.astype(np.int64)
    counts = sum_by_row(maskable, units)
    index = np.cumsum(maskable) - 1 - units.from_sequences(np.cumsum(counts) - counts)
    return -(index * units.from_sequences(rates) + _sequence_draw(tokens, units, 0)) % 1.0


POSITIONS = {"prefix": prefix, "suffix": suffix, "block": block, "every_nth": every_nth}


def _token_counts(tokens: MaskingTokens, units: Units) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each unit: the maskable tokens before it, its sequence's random fraction, and its sequence's maskable tokens.

    All are `[units]`; the fraction is in [0, 1).
    """
    size = units.maskable_size
    totals = sum_by_row(size, units)
    row_starts = units.from_sequences(np.cumsum(totals) - totals)
    return np.cumsum(size) - size - row_starts, _sequence_draw(tokens, units, 0), units.from_sequences(totals)


def _sequence_draw(tokens: MaskingTokens, units: Units, index: int) -> np.ndarray:
    """The uniform draw number `index` of each unit's sequence, in [0, 1): float64 `[units]`."""
    return units.from_sequences(as_fraction(draw_per_row(tokens.keys, Purpose.PLACE, index)))
