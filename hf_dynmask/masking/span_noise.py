"""Which tokens are noise: T5's random spans as a pure function, noise = f(seed, example, pattern, rate).

Raffel et al. 2020, "Exploring the limits of transfer learning with a unified text-to-text transformer".
As in their code, the tokens of a sequence are cut into as many spans of noise as of kept tokens, in turn. There, a
sequence always begins with kept tokens and ends with noise; here all is then turned round by a random number of places,
so that every token is equally likely to be noise. A span that this takes across the end is two: at the end, and at the
beginning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np

from hf_dynmask.core.checks import checked_integer
from hf_dynmask.core.draws import Purpose, as_fraction, as_index, draw, draw_in_rows
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.core.rows import positions_in_rows
from hf_dynmask.masking.keys import draw_keys_and_rates
from hf_dynmask.masking.sentinels import run_starts
from hf_dynmask.rates.schedules import FixedRate


@dataclass(frozen=True)
class NoisePlan:
    """All that is decided once.

    Attributes:
        mean_noise_span_length: the mean number of tokens of a span of noise; at least 1.
        max_runs: the maximum number of runs of noise in a sequence; at least 2, as one span may become two.
        seed: any integer.

    Raises:
        ValueError: if one is out of its range.
    """

    mean_noise_span_length: float
    max_runs: int
    seed: int

    def __post_init__(self) -> None:
        length = self.mean_noise_span_length
        if isinstance(length, bool) or not isinstance(length, Real) or not 1 <= float(length) < math.inf:
            raise ValueError(
                f"`mean_noise_span_length` must be a finite number of at least 1, but got {length!r}. It is the mean "
                "number of tokens of a span: T5's is 3.0."
            )
        checked_integer(self.max_runs, "max_runs", 2, "A span that crosses the end of its sequence is two.")
        checked_integer(self.seed, "seed", None, "Pass None for the Trainer's seed.")


def noise_tokens(
    tokens: RaggedTokens, maskable: np.ndarray, rate: FixedRate | np.ndarray, pattern: int, plan: NoisePlan
) -> np.ndarray:
    """Which tokens are noise.

    Of a sequence's `n` maskable tokens, `rate * n` are, rounded up or down at random such that the mean is right; where
    `0 < rate < 1` and `n >= 2`, at least 1 and at most `n - 1`. They are `round(noise / mean_noise_span_length)` spans,
    at least 1, and no more than there are noise tokens, kept tokens, or `max_runs - 1`; fewer spans are longer ones.
    All ways of cutting noise and kept tokens into that many spans are equally likely, and so are all rotations.

    A span is of maskable tokens: one that goes on beyond a token that is not is two runs of noise. Where that makes
    more than `max_runs`, only `max_runs` of them, each as likely as any other, are noise.

    Args:
        tokens: the sequences, without padding.
        maskable: bool `[tokens]`, False where a token must stay.
        rate: the fraction of noise tokens; one number in [0, 1], a distribution that each sequence draws its own from,
            or float64 `[sequences]`.
        pattern: which of the examples' masks.
        plan: everything else.

    Returns:
        bool `[tokens]`.

    >>> tokens = RaggedTokens(np.arange(20), np.array([20]))
    >>> plan = NoisePlan(mean_noise_span_length=3.0, max_runs=99, seed=0)
    >>> noise = noise_tokens(tokens, np.ones(20, dtype=bool), rate=0.3, pattern=1, plan=plan)
    >>> "".join("x" if each else "." for each in noise)
    'xxx...........x...xx'
    """
    keys, rates = draw_keys_and_rates(tokens, rate, pattern, plan.seed)
    counts = _counts(np.bincount(tokens.rows[maskable], minlength=len(keys)), rates, keys, plan)
    noise = np.zeros(len(tokens.input_ids), dtype=bool)
    noise[np.flatnonzero(maskable)[_indices(counts, keys)]] = True
    return _at_most(tokens, noise, keys, plan.max_runs)


class _Counts(NamedTuple):
    """int64 `[sequences]`: the maskable tokens, those of them that are noise, and the spans that these make."""

    tokens: np.ndarray
    noise: np.ndarray
    spans: np.ndarray


def _counts(tokens: np.ndarray, rates: float | np.ndarray, keys: np.ndarray, plan: NoisePlan) -> _Counts:
    rounding = as_fraction(draw(keys, np.zeros(len(keys), np.uint32), Purpose.ROUNDING))
    noise = np.ceil(rates * tokens - rounding).astype(np.int64)
    mixed = (tokens >= 2) & (np.asarray(rates) > 0) & (np.asarray(rates) < 1)
    noise = np.where(mixed, np.clip(noise, 1, tokens - 1), noise)
    spans = np.rint(noise / plan.mean_noise_span_length).astype(np.int64)
    spans = np.minimum(spans, np.minimum(tokens - noise, plan.max_runs - 1))
    return _Counts(tokens, noise, np.where(noise > 0, np.maximum(spans, 1), 0))


def _indices(counts: _Counts, keys: np.ndarray) -> np.ndarray:
    """The places of noise among all maskable tokens, int64 `[noise]`, by sequence.

    A sequence's noise is numbered from 0 and its kept tokens go on from there. In the order that they will stand in, a
    noise token has all noise of a lower number before it, and the kept tokens of the spans before its own.
    """
    starts = np.cumsum(counts.tokens) - counts.tokens
    number = positions_in_rows(counts.tokens)
    kept = number >= np.repeat(counts.noise, counts.tokens)
    cuts = _cuts(counts, keys, number)

    span = np.cumsum(cuts[~kept]) - 1
    kept_before = np.zeros(counts.spans.sum(), np.int64)  # stays 0 where all is noise, which is one span
    some_kept = counts.noise < counts.tokens
    in_mixed = np.repeat(some_kept, counts.spans)
    kept_before[in_mixed] = (number - np.repeat(counts.noise, counts.tokens))[cuts & kept]

    offset = as_index(draw(keys, np.zeros(len(keys), np.uint32), Purpose.ROTATION), counts.tokens)
    place = number[~kept] + kept_before[span] + np.repeat(offset, counts.noise)
    return np.repeat(starts, counts.noise) + place % np.repeat(counts.tokens, counts.noise)


def _cuts(counts: _Counts, keys: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Where spans begin, bool `[maskable]`: the first noise and the first kept token, and those of the lowest draws."""
    parts = np.stack([counts.noise, counts.tokens - counts.noise], axis=1).ravel()
    order = draw_in_rows(keys, counts.tokens, number, Purpose.SPAN_CUT).astype(np.int64)
    first = np.cumsum(parts) - parts
    order[first[parts > 0]] = -1
    return _lowest(order, parts, np.repeat(counts.spans, 2))


def _lowest(draws: np.ndarray, sizes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """True for the `wanted[i]` lowest of each group `i`, the next `sizes[i]` numbers: bool `[numbers]`.

    The numbers are integers from -1 to below 2**32, and no two of a group are equal, so that the order is unique.
    """
    rank = positions_in_rows(sizes)
    by_group = (np.repeat(np.arange(len(sizes)), sizes) << 33) + draws  # one key sorts several times faster than two
    lowest = np.zeros(len(draws), dtype=bool)
    lowest[np.argsort(by_group)] = rank < np.repeat(wanted, sizes)
    return lowest


def _at_most(tokens: RaggedTokens, noise: np.ndarray, keys: np.ndarray, max_runs: int) -> np.ndarray:
    """The noise without the runs that are too many for a sequence."""
    starts = run_starts(tokens, noise)
    runs = np.bincount(tokens.rows[starts], minlength=len(keys))
    if runs.max(initial=0) <= max_runs:
        return noise
    draws = draw_in_rows(keys, runs, tokens.positions[starts], Purpose.SELECTION)
    stays = _lowest(draws, runs, np.full(len(runs), max_runs))
    limited = np.zeros_like(noise)
    limited[noise] = stays[np.cumsum(starts)[noise] - 1]
    return limited
