"""Spans: runs of units of random length."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

import numpy as np

from hf_dynmask.core.checks import checked_length_probs
from hf_dynmask.core.draws import Purpose, draw_in_rows
from hf_dynmask.core.rows import positions_in_rows
from hf_dynmask.strategies.lengths import geometric_lengths
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.registry import Unit, unit_strategy
from hf_dynmask.strategies.strategy import Strategy
from hf_dynmask.strategies.units import Partition, partition_units

_MAX_COMPARISONS = 64  # above this number of lengths, a binary search is faster than a comparison with each


def span(lengths: Sequence[float] | None = None, unit: Unit = "whole_word") -> Strategy:
    """Masks spans of words of random length (Joshi et al. 2020, SpanBERT).

    Each sequence is divided into consecutive spans with independent random lengths, and each span is masked with the
    probability of the rate. A masked span therefore begins at each word with probability `rate / mean length`, and the
    expected fraction of masked tokens is exactly the rate, unless a sequence is so short that `min_masked` masks a span
    where none was drawn. As in SpanBERT, two masked spans may be adjacent.

    Args:
        lengths: the probabilities of spans of 1, 2, 3, ... units, such as [`geometric_lengths`] (the default, as in
            SpanBERT), [`poisson_lengths`] (BART), [`fixed_lengths`], or a list of your own, which is normalized.
        unit: the units of a span: `"whole_word"`, `"token"`, a strategy made with arguments, or a partition function.
            It must only define where units begin.

    Raises:
        ValueError: if `lengths` are not probabilities, or `unit` also sets probabilities.

    >>> from hf_dynmask.strategies import fixed_lengths
    >>> span(fixed_lengths(3), unit="token")
    <Strategy span>
    """
    probs = geometric_lengths() if lengths is None else checked_length_probs(lengths, "lengths")
    return _masks_runs("span", probs, unit)


def ngram(weights: Sequence[float] = (1, 1 / 2, 1 / 3), unit: Unit = "whole_word") -> Strategy:
    """Masks n-grams of words, where `P(n) = weights[n - 1] / sum(weights)`.

    The default `1 / n` for n up to 3 is that of ALBERT (Lan et al. 2020) and Megatron. ERNIE (Sun et al. 2019) masks
    phrases. See [`span`] for `unit` and the rest.

    Raises:
        ValueError: if `weights` are negative, not finite or all 0, or `unit` also sets probabilities.

    >>> ngram([1, 1])
    <Strategy ngram>
    """
    return _masks_runs("ngram", checked_length_probs(weights, "weights"), unit)


def _masks_runs(name: str, lengths: Sequence[float], unit: Unit) -> Strategy:
    units = unit_strategy(unit)
    return dataclasses.replace(units, name=name, partition=partial(runs, partition=units.partition, lengths=lengths))


def runs(tokens: MaskingTokens, partition: Partition, lengths: Sequence[float]) -> np.ndarray:
    """The partition in which each run of consecutive units is a unit: bool `[tokens]`. Run lengths are independent.

    Runs form a stationary renewal process. A sequence begins inside a run, and the rest of that run has the length
    distribution `P(rest = n) = P(length >= n) / mean length`. A run therefore begins at each unit with the same
    probability, `1 / mean length`. A unit that cannot be masked is a run by itself, and ends the run before it.

    Args:
        tokens: the sequences.
        partition: the units that runs consist of.
        lengths: the probabilities of runs of 1, 2, 3, ... units, with a sum of 1.
    """
    units = partition_units(tokens, partition)
    draws = draw_in_rows(tokens.keys, units.counts, positions_in_rows(units.counts), Purpose.LENGTH)
    counts, ends = units.counts[units.counts > 0], units.counts.cumsum()[units.counts > 0]
    row_first = ends - counts
    probs = np.asarray(lengths, dtype=np.float64)
    length = _quantile(probs, draws)
    length[row_first] = _quantile(probs[::-1].cumsum()[::-1] / (probs @ np.arange(1, len(probs) + 1)), draws[row_first])

    run_first = length.cumsum() - length
    run_first -= (run_first[row_first] - row_first).repeat(counts)
    starts = ~units.maskable
    starts[1:] |= ~units.maskable[:-1]
    starts[run_first[run_first < ends.repeat(counts)]] = True
    return units.to_tokens(starts)


def _quantile(probs: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Values 1, 2, 3, ... with these probabilities, int64 `[n]`, from uniform draws, uint32 `[n]`."""
    limits = np.ceil(np.cumsum(probs)[:-1] * 2.0**32)
    if len(limits) > _MAX_COMPARISONS:
        return 1 + np.searchsorted(limits, draws, side="right")
    lengths = np.ones(len(draws), dtype=np.uint8)
    for limit in limits[limits < 2.0**32].astype(np.uint32):
        lengths += draws >= limit
    return lengths.astype(np.int64)
