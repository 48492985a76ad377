"""Mask rates that each sequence draws for itself, anew with each mask, as masked diffusion models are trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from hf_dynmask.core.checks import as_numbers, checked_flag, checked_number, checked_positive, checked_rate
from hf_dynmask.core.draws import Purpose, as_fraction, draw_per_row

_MIDPOINTS = (np.arange(10_000) + 0.5) / 10_000


@dataclass(frozen=True)
class RateDistribution:
    """A distribution of mask rates. Takes the place of a number wherever a rate is taken.

    Args:
        quantile: its inverse distribution function, from uniform numbers in [0, 1), float64 `[sequences]`, to rates in
            [0, 1]; picklable.
        low_discrepancy: spread the draws of a batch evenly (Kingma et al. 2021, "Variational diffusion models";
            Sahoo et al. 2024, MDLM): of a batch of `n`, one uniform number lies in each `[i / n, (i + 1) / n)`. The
            variance of the loss falls, but an example's rate then depends on the batch that it is in.
    """

    quantile: Callable[[np.ndarray], np.ndarray]
    low_discrepancy: bool = False

    def __post_init__(self) -> None:
        checked_flag(self.low_discrepancy, "low_discrepancy")

    def draw(self, keys: np.ndarray) -> np.ndarray:
        """A rate for each sequence, float64 `[sequences]`, from their keys, uint64 `[sequences]`.

        Raises:
            ValueError: if `quantile` gives something else than rates in [0, 1].
        """
        draws = as_fraction(draw_per_row(keys, Purpose.RATE))
        if self.low_discrepancy:
            draws = _spread(draws, keys)
        return self._rates(draws)

    @property
    def mean(self) -> float:
        """The mean rate, by the midpoint rule."""
        return float(self._rates(_MIDPOINTS).mean())

    def _rates(self, draws: np.ndarray) -> np.ndarray:
        given = self.quantile(draws)
        rates = as_numbers(given)
        if rates is None or rates.shape != draws.shape or not ((rates >= 0) & (rates <= 1)).all():
            raise ValueError(
                f"`quantile` must give a rate between 0 and 1 for each of {len(draws)} numbers, but gave {given!r}."
            )
        return rates


def uniform_rate(low: float = 0.0, high: float = 1.0, low_discrepancy: bool = False) -> RateDistribution:
    """`rate ~ U(low, high)`, `rate(u) = low + (high - low) * u`.

    Masked diffusion models take U(0, 1) and weigh each sequence's loss by `1 / rate` (Sahoo et al. 2024, MDLM; Nie et
    al. 2025, LLaDA). `low` must be below `high`, both in [0, 1], or a `ValueError` is raised; `low_discrepancy` is as
    for [`RateDistribution`].

    >>> uniform_rate(0.1, 0.5).mean
    0.3
    """
    low, high = _interval(low, high)
    return RateDistribution(partial(_uniform, low=low, high=high), low_discrepancy)


def truncated_normal_rate(
    mean: float = 0.55, std: float = 0.25, low: float = 0.5, high: float = 1.0, low_discrepancy: bool = False
) -> RateDistribution:
    """`rate ~ N(mean, std)`, given that it lies in `[low, high]`.

    The defaults are those of Li et al. 2023 (MAGE). `low` must be below `high`, both in [0, 1], `std` above 0, and
    `mean` no further than 30 `std` from the interval, or a `ValueError` is raised; `low_discrepancy` is as for
    [`RateDistribution`].

    >>> round(truncated_normal_rate(0.3, 0.1, low=0.1, high=0.5).mean, 6)
    0.3
    """
    low, high = _interval(low, high)
    mean, std = checked_number(mean, "mean", "It is that of the whole normal."), checked_positive(std, "std")
    if not min(abs(low - mean), abs(high - mean)) < 30 * std and not low < mean < high:
        raise ValueError(
            f"`mean` must lie within 30 `std` of `low` or `high`, but got {mean} and {std} for [{low}, {high}]: next "
            "to nothing of the distribution is there. Pass a number for a constant rate."
        )
    return RateDistribution(partial(_truncated_normal, mean=mean, std=std, low=low, high=high), low_discrepancy)


def cosine_rate(low_discrepancy: bool = False) -> RateDistribution:
    """`rate(u) = cos(pi / 2 * u)` for u ~ U(0, 1) (Chang et al. 2022, MaskGIT): mean 2 / pi, high rates more often.

    `low_discrepancy` is as for [`RateDistribution`].

    >>> round(cosine_rate().mean, 4)
    0.6366
    """
    return RateDistribution(_cosine, low_discrepancy)


def _interval(low: float, high: float) -> tuple[float, float]:
    low, high = checked_rate(low, "low"), checked_rate(high, "high")
    if low >= high:
        raise ValueError(f"`low` must be below `high`, but got {low} and {high}. Pass a number for a constant rate.")
    return low, high


def _spread(draws: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """One number in each n-th of [0, 1), in the order of the draws; the order of the batch does not matter."""
    rank = np.empty(len(keys))
    rank[np.lexsort((keys, draws))] = np.arange(len(keys))
    shift = as_fraction(draw_per_row(keys.sum(keepdims=True), Purpose.RATE, position=1))
    return (rank + shift) / len(keys)


def _uniform(draws: np.ndarray, *, low: float, high: float) -> np.ndarray:
    return low + (high - low) * draws


def _truncated_normal(draws: np.ndarray, *, mean: float, std: float, low: float, high: float) -> np.ndarray:
    if low > mean:  # turned over, as probabilities near 0 are known better than those near 1
        return 1 - _truncated_normal(1 - draws, mean=1 - mean, std=std, low=1 - high, high=1 - low)
    first, last = (0.5 * math.erfc((mean - edge) / std / math.sqrt(2)) for edge in (low, high))
    quantiles = torch.special.ndtri(torch.from_numpy(first + (last - first) * draws)).numpy()
    return np.clip(mean + std * quantiles, low, high)


def _cosine(draws: np.ndarray) -> np.ndarray:
    return np.cos(math.pi / 2 * draws)
