"""Denoisers: settings of span corruption, of which each sequence draws one.

Tay et al. 2022, "UL2: Unifying language learning paradigms".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from hf_dynmask.core.checks import checked_positive
from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.rates.schedules import FixedRate, checked_fixed_rate
from hf_dynmask.strategies.mixing import draw_components, normalized


@dataclass(frozen=True)
class Denoiser:
    """One task of a mixture of denoisers: see `denoisers` of [`DataCollatorForSpanCorruption`].

    Args:
        noise_density: the fraction of tokens that are noise, in [0, 1]; or a distribution from which each sequence
            draws its density, such as `uniform_rate(0.0, 0.5)`.
        mean_noise_span_length: the mean number of tokens in a span of noise, at least 1; None for a single span at the
            end of the text, so that the task is prefix language modeling (the S-denoiser of UL2).
        weight: the relative frequency of this denoiser, above 0.
        mode_token: a token of the tokenizer that begins the inputs of this denoiser, such as `"[NLU]"`; None for none.

    Raises:
        ValueError: if one is out of its range, or the distribution has `low_discrepancy` or a `block_size`.

    >>> Denoiser(0.5, 8.0, mode_token="[NLG]")
    Denoiser(noise_density=0.5, mean_noise_span_length=8.0, weight=1.0, mode_token='[NLG]')
    """

    noise_density: FixedRate
    mean_noise_span_length: float | None
    weight: float = 1.0
    mode_token: str | None = None

    def __post_init__(self) -> None:
        density = checked_fixed_rate(self.noise_density, "noise_density", other=", or a distribution")
        if isinstance(density, RateDistribution) and (density.low_discrepancy or density.block_size is not None):
            raise ValueError(
                "`noise_density` of a denoiser must be independent between sequences and constant within one, but got "
                f"{density!r}. Leave out `low_discrepancy` and `block_size`."
            )
        if self.mean_noise_span_length is not None:
            checked_span_length(self.mean_noise_span_length, " of a span, or None for one span at the end")
        checked_positive(self.weight, "weight")
        if self.mode_token is not None and (not isinstance(self.mode_token, str) or not self.mode_token):
            raise ValueError(
                f"`mode_token` must be a token of the tokenizer, but got {self.mode_token!r}. Pass a name such as "
                '"[NLU]", or None for none.'
            )


def ul2_denoisers(mode_tokens: Sequence[str] | None = ("[NLU]", "[S2S]", "[NLG]")) -> tuple[Denoiser, ...]:
    """The seven denoisers of UL2 (Tay et al. 2022), with equal weights.

    | denoiser | noise density | mean span length | mode token |
    |---|---|---|---|
    | R (regular) | 0.15 | 3, 8 | `[NLU]` |
    | S (sequential) | 0.25 | one span at the end | `[S2S]` |
    | X (extreme) | 0.5 | 3, 8, 64 | `[NLG]` |
    | X (extreme) | 0.15 | 64 | `[NLG]` |

    Args:
        mode_tokens: the mode tokens of R, S and X, in this order; None for no mode tokens.

    Raises:
        ValueError: if there are not three mode tokens.

    >>> [denoiser.mode_token for denoiser in ul2_denoisers()]
    ['[NLU]', '[NLU]', '[S2S]', '[NLG]', '[NLG]', '[NLG]', '[NLG]']
    """
    tokens = (None, None, None) if mode_tokens is None else mode_tokens
    if isinstance(tokens, str) or not isinstance(tokens, Sequence) or len(tokens) != 3:
        raise ValueError(
            "`mode_tokens` must be the three tokens of the R-, S- and X-denoisers, but got "
            f'{mode_tokens!r}. Pass `("[NLU]", "[S2S]", "[NLG]")`, or None for no mode tokens.'
        )
    regular, sequential, extreme = tokens
    settings = (
        (0.15, 3.0, regular),
        (0.15, 8.0, regular),
        (0.25, None, sequential),
        (0.5, 3.0, extreme),
        (0.5, 8.0, extreme),
        (0.15, 64.0, extreme),
        (0.5, 64.0, extreme),
    )
    return tuple(Denoiser(density, length, mode_token=token) for density, length, token in settings)


def checked_span_length(length: object, of: str = " of a span") -> None:
    """Checks a mean number of tokens of spans of noise.

    Raises:
        ValueError: if it is not a finite number of at least 1.
    """
    if isinstance(length, bool) or not isinstance(length, Real) or not 1 <= float(length) < math.inf:
        raise ValueError(
            f"`mean_noise_span_length` must be a finite number of at least 1, but got {length!r}. It is the mean "
            f"number of tokens{of}: pass 3.0 as in T5."
        )


def checked_denoisers(denoisers: Any) -> tuple[Denoiser, ...]:
    """The denoisers as a tuple.

    Raises:
        ValueError: if they are not a sequence of at least one [`Denoiser`].
    """
    is_sequence = isinstance(denoisers, Sequence) and not isinstance(denoisers, str)
    if not is_sequence or not denoisers or not all(isinstance(each, Denoiser) for each in denoisers):
        raise ValueError(
            f"`denoisers` must be a sequence of at least one `Denoiser`, but got {denoisers!r}. Pass "
            "`ul2_denoisers()`, or `[Denoiser(0.15, 3.0), Denoiser(0.25, None)]`, for example."
        )
    return tuple(denoisers)


def draw_denoisers(keys: np.ndarray, denoisers: Sequence[Denoiser]) -> np.ndarray:
    """int64 `[sequences]`: the index of the denoiser that each sequence draws by its key, uint64 `[sequences]`."""
    return draw_components(keys, normalized([float(denoiser.weight) for denoiser in denoisers]))


def draw_densities_and_lengths(keys: np.ndarray, denoisers: Sequence[Denoiser]) -> tuple[np.ndarray, np.ndarray]:
    """The noise density and the mean span length of each sequence, by its key, uint64 `[sequences]`.

    Returns:
        float64 `[sequences]` each. The length is infinite for a single span at the end.
    """
    drawn = draw_denoisers(keys, denoisers)
    densities, lengths = np.empty(len(keys)), np.empty(len(keys))
    for index in np.unique(drawn).tolist():
        rows, density, length = drawn == index, denoisers[index].noise_density, denoisers[index].mean_noise_span_length
        densities[rows] = density.draw(keys[rows]) if isinstance(density, RateDistribution) else density
        lengths[rows] = math.inf if length is None else length
    return densities, lengths


@dataclass(frozen=True)
class DensityQuantile:
    """The densities of all sequences, as the function of a [`RateDistribution`] from uniform draws to rates."""

    denoisers: tuple[Denoiser, ...]

    def __call__(self, draws: np.ndarray) -> np.ndarray:
        ends = np.cumsum(normalized([float(denoiser.weight) for denoiser in self.denoisers]))
        drawn = ends[:-1].searchsorted(draws, side="right")
        starts = np.concatenate([np.zeros(1), ends[:-1]])
        within = np.clip((draws - starts[drawn]) / (ends - starts)[drawn], 0.0, np.nextafter(1.0, 0.0))
        densities = np.empty(len(draws))
        for index, denoiser in enumerate(self.denoisers):
            rows, density = drawn == index, denoiser.noise_density
            densities[rows] = density.quantile(within[rows]) if isinstance(density, RateDistribution) else density
        return densities
