"""Which tokens are noise: T5's random spans as a pure function, noise = f(seed, example, pattern, rate).

Raffel et al. 2020, "Exploring the limits of transfer learning with a unified text-to-text transformer".
As in their code, a sequence is cut into equal numbers of spans of kept tokens and spans of noise, which alternate. In
their code, a sequence always begins with kept tokens and ends with noise. Here, a random rotation follows, so that
every token is equally likely to be noise. A span that the rotation moves across the end becomes two spans: one at the
end, and one at the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hf_dynmask.core.checks import checked_integer
from hf_dynmask.core.draws import Purpose, as_fraction, as_index, draw_in_rows, draw_per_row
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.core.rows import count_flags, positions_in_rows, row_starts
from hf_dynmask.masking.denoisers import Denoiser, checked_span_length, draw_denoisers, draw_densities_and_lengths
from hf_dynmask.masking.keys import draw_keys_and_rates, sequence_keys
from hf_dynmask.masking.ranking import lowest_in_rows
from hf_dynmask.masking.sentinels import run_starts
from hf_dynmask.rates.distributions import RateDistribution, TokenRates
from hf_dynmask.rates.schedules import FixedRate


@dataclass(frozen=True)
class NoisePlan:
    """The settings of noise that do not change between batches.

    Attributes:
        mean_noise_span_length: the mean number of tokens of a span of noise; at least 1.
        max_runs: the maximum number of runs of noise in a sequence; at least 2, as the rotation may split one span.
        seed: any integer.
        denoisers: the settings of which each sequence draws one, in place of the rate and `mean_noise_span_length`;
            empty for none.

    Raises:
        ValueError: if one is out of its range.
    """

    mean_noise_span_length: float
    max_runs: int
    seed: int
    denoisers: tuple[Denoiser, ...] = ()

    def __post_init__(self) -> None:
        checked_span_length(self.mean_noise_span_length)
        checked_integer(self.max_runs, "max_runs", 2, "Pass the number of sentinels - 1.")
        checked_integer(self.seed, "seed", None, "Pass None for the Trainer's seed.")


def noise_tokens(
    tokens: RaggedTokens, maskable: np.ndarray, rate: FixedRate | np.ndarray, pattern: int, plan: NoisePlan
) -> np.ndarray:
    """Which tokens are noise.

    If a sequence has `n` maskable tokens, `rate * n` of them are noise, rounded up or down at random so that the mean
    is exact. If `0 < rate < 1` and `n >= 2`, at least 1 and at most `n - 1` of them are noise. The number of spans is
    `round(noise / mean_noise_span_length)`, at least 1, and limited by the numbers of noise tokens and of kept tokens
    and by `max_runs - 1`. All ways to cut noise and kept tokens into this number of spans are equally likely, and so
    are all rotations.

    A span consists of maskable tokens. A token within it that is not maskable splits it into two runs of noise. If a
    sequence then has more than `max_runs` runs, only `max_runs` of them are noise, and all are equally likely.

    If the plan has denoisers, each sequence draws one, which determines its rate and its mean span length. Without a
    mean span length, the noise is one span, which is not rotated but consists of the last maskable tokens.

    Args:
        tokens: the sequences, without padding.
        maskable: bool `[tokens]`, False for tokens that are never noise.
        rate: the fraction of noise tokens; one number in [0, 1], a distribution from which each sequence draws its
            rate, or float64 `[sequences]`. It has no effect if the plan has denoisers.
        pattern: which of the masks of each example.
        plan: the other settings.

    Returns:
        bool `[tokens]`.

    Raises:
        ValueError: if the distribution has a `block_size`.

    >>> tokens = RaggedTokens(np.arange(20), np.array([20]))
    >>> plan = NoisePlan(mean_noise_span_length=3.0, max_runs=99, seed=0)
    >>> noise = noise_tokens(tokens, np.ones(20, dtype=bool), rate=0.3, pattern=1, plan=plan)
    >>> "".join("x" if each else "." for each in noise)
    'xxx...........x...xx'
    """
    keys, rates, span_lengths = _settings(tokens, rate, pattern, plan)
    counts = _counts(count_flags(maskable, tokens.lengths), rates, span_lengths, keys, plan.max_runs)
    noise = np.zeros(len(tokens.input_ids), dtype=bool)
    noise[np.flatnonzero(maskable)[_noise_indices(counts, _rotations(counts, keys, span_lengths), keys)]] = True
    return _limit_runs(tokens, noise, keys, plan.max_runs)


def drawn_denoisers(tokens: RaggedTokens, pattern: int, plan: NoisePlan) -> np.ndarray:
    """int64 `[sequences]`: the index of the denoiser of each sequence. For the arguments, see [`noise_tokens`]."""
    return draw_denoisers(sequence_keys(tokens, pattern, plan.seed), plan.denoisers)


class _Counts(NamedTuple):
    """int64 `[sequences]` each: the maskable tokens, the noise tokens among them, and the spans of noise."""

    tokens: np.ndarray
    noise: np.ndarray
    spans: np.ndarray


def _settings(
    tokens: RaggedTokens, rate: FixedRate | np.ndarray, pattern: int, plan: NoisePlan
) -> tuple[np.ndarray, float | np.ndarray, float | np.ndarray]:
    """The keys, uint64 `[sequences]`, the rates, and the mean lengths of spans, infinite for one span at the end."""
    if plan.denoisers:
        keys = sequence_keys(tokens, pattern, plan.seed)
        return keys, *draw_densities_and_lengths(keys, plan.denoisers)
    check_one_density(rate)
    keys, rates = draw_keys_and_rates(tokens, rate, pattern, plan.seed)
    assert not isinstance(rates, TokenRates)
    return keys, rates, plan.mean_noise_span_length


def check_one_density(density: object) -> None:
    """Checks that a density is one for each sequence.

    Raises:
        ValueError: if it is drawn for each block.
    """
    if isinstance(density, RateDistribution) and density.block_size is not None:
        raise ValueError(
            "`noise_density` must be one density for each sequence, but got a distribution with a `block_size`. Leave "
            "`block_size` out."
        )


def _counts(
    tokens: np.ndarray, rates: float | np.ndarray, span_lengths: float | np.ndarray, keys: np.ndarray, max_runs: int
) -> _Counts:
    rounding = as_fraction(draw_per_row(keys, Purpose.ROUNDING))
    noise = np.ceil(rates * tokens - rounding).astype(np.int64)
    is_mixed = (tokens >= 2) & (np.asarray(rates) > 0) & (np.asarray(rates) < 1)
    noise = np.where(is_mixed, np.clip(noise, 1, tokens - 1), noise)
    spans = np.rint(noise / span_lengths).astype(np.int64)
    spans = np.minimum(spans, np.minimum(tokens - noise, max_runs - 1))
    return _Counts(tokens, noise, np.where(noise > 0, np.maximum(spans, 1), 0))


def _rotations(counts: _Counts, keys: np.ndarray, span_lengths: float | np.ndarray) -> np.ndarray:
    """int64 `[sequences]`: the index of the first maskable token of the first span of noise."""
    rotations = as_index(draw_per_row(keys, Purpose.ROTATION), counts.tokens)
    return np.where(np.isinf(span_lengths), counts.tokens - counts.noise, rotations)


def _noise_indices(counts: _Counts, rotations: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The indices of noise among all maskable tokens: int64 `[noise]`, sequence by sequence.

    Each sequence counts its noise tokens first and its kept tokens after them. In the final order, a noise token
    follows the noise tokens with a lower number, and the kept tokens of the spans before its own.
    """
    number = positions_in_rows(counts.tokens)
    is_kept = number >= np.repeat(counts.noise, counts.tokens)
    starts_span = _span_starts(counts, keys, number)

    span = np.cumsum(starts_span[~is_kept]) - 1
    kept_before = np.zeros(counts.spans.sum(), np.int64)  # remains 0 in a sequence of noise alone, which is one span
    has_kept = np.repeat(counts.noise < counts.tokens, counts.spans)
    kept_before[has_kept] = (number - np.repeat(counts.noise, counts.tokens))[starts_span & is_kept]

    position = number[~is_kept] + kept_before[span] + np.repeat(rotations, counts.noise)
    row_start = np.cumsum(counts.tokens) - counts.tokens
    return np.repeat(row_start, counts.noise) + position % np.repeat(counts.tokens, counts.noise)


def _span_starts(counts: _Counts, keys: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Where spans start: bool `[maskable]`, at the first noise token, the first kept token and the lowest draws."""
    lengths = np.stack([counts.noise, counts.tokens - counts.noise], axis=1).ravel()
    draws = draw_in_rows(keys, counts.tokens, number, Purpose.SPAN_CUT).astype(np.int64)
    draws[row_starts(lengths)] = -1
    return lowest_in_rows(draws, lengths, np.repeat(counts.spans, 2))


def _limit_runs(tokens: RaggedTokens, noise: np.ndarray, keys: np.ndarray, max_runs: int) -> np.ndarray:
    """The noise, with at most `max_runs` runs in each sequence: bool `[tokens]`."""
    starts = run_starts(tokens, noise)
    runs = count_flags(starts, tokens.lengths)
    if runs.max(initial=0) <= max_runs:
        return noise
    draws = draw_in_rows(keys, runs, tokens.positions[starts], Purpose.SELECTION)
    remains = lowest_in_rows(draws, runs, np.full(len(runs), max_runs))
    limited = np.zeros_like(noise)
    limited[noise] = remains[np.cumsum(starts)[noise] - 1]
    return limited
