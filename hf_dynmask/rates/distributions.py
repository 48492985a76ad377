"""Distributions of mask rates: each sequence draws a new rate for each mask, as in masked diffusion models."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from hf_dynmask.core.checks import (
    as_numbers,
    checked_flag,
    checked_integer,
    checked_number,
    checked_positive,
    checked_rate,
)
from hf_dynmask.core.draws import Purpose, as_fraction, as_index, draw_in_rows, draw_per_row
from hf_dynmask.core.rows import positions_in_rows
from hf_dynmask.rates.curves import printed_call

if TYPE_CHECKING:
    import torch  # which takes seconds to import, and few distributions need

_MIDPOINTS = (np.arange(10_000) + 0.5) / 10_000


class TokenRates(NamedTuple):
    """Rates that differ within a sequence.

    Attributes:
        values: float64 `[tokens]`, the rate of each token.
    """

    values: np.ndarray


class StepPart(NamedTuple):
    """The part of an optimizer step that a batch is: one of its accumulated batches, on one rank.

    Attributes:
        number: from 0.
        total: the number of parts of the step.
        key: uint64 `[1]`, the same for all parts of the step.
    """

    number: int
    total: int
    key: np.ndarray


@dataclass(frozen=True, repr=False)
class RateDistribution:
    """A distribution of mask rates, for any argument that accepts a rate.

    Args:
        quantile: the inverse distribution function, from uniform draws in [0, 1), float64 `[sequences]`, to rates in
            [0, 1]. Spawned workers need a function that can be pickled.
        low_discrepancy: distribute the draws of a batch evenly (Kingma et al. 2021, "Variational diffusion models";
            Sahoo et al. 2024, MDLM): with `n` sequences, one draw is in each `[i / n, (i + 1) / n)`. With
            [`MaskRateCallback`] or [`start_epoch`], the batch is that of the optimizer step: the sequences of all ranks
            and of all accumulated batches, if they have as many each. This reduces the variance of the loss, but the
            rate of an example then depends on its batch.
        block_size: draw a rate for each block of this many tokens instead of each sequence (Arriola et al. 2025,
            "Block diffusion"). Blocks begin at the first token of a sequence, and the last one may be shorter. The rate
            of a unit is that of its first token.

    Raises:
        ValueError: if `quantile` is not a function, `low_discrepancy` is neither True nor False, or `block_size` is not
            an integer of at least 1.
    """

    quantile: Callable[[np.ndarray], np.ndarray]
    low_discrepancy: bool = False
    block_size: int | None = None

    _part: ClassVar[StepPart | None] = None  # of a copy that a batch draws from

    def __post_init__(self) -> None:
        if not callable(self.quantile):
            raise ValueError(
                f"`quantile` must be a function from uniform draws to rates, but got {self.quantile!r}. Pass a number "
                "in place of the distribution for a constant rate."
            )
        checked_flag(self.low_discrepancy, "low_discrepancy")
        if self.block_size is not None:
            checked_integer(self.block_size, "block_size", 1, "Pass None for one rate per sequence.", 1 << 31)

    def __repr__(self) -> str:
        settings: dict[str, Any] = {"low_discrepancy": self.low_discrepancy}
        if self.block_size is not None:
            settings["block_size"] = self.block_size
        if isinstance(self.quantile, _Quantile):
            return printed_call(self.quantile.made_by, {**vars(self.quantile), **settings})
        return printed_call("RateDistribution", {"quantile": self.quantile, **settings}).replace("quantile=", "", 1)

    def for_part(self, part: StepPart) -> RateDistribution:
        """A copy from which one of the batches of an optimizer step draws."""
        clone = dataclasses.replace(self)
        clone.__dict__["_part"] = part
        return clone

    def draw(self, keys: np.ndarray) -> np.ndarray:
        """Draws the rate of each sequence, float64 `[sequences]`, by its key, uint64 `[sequences]`.

        Raises:
            ValueError: if `quantile` does not return rates in [0, 1].
        """
        return self._rates_of(draw_per_row(keys, Purpose.RATE), keys)

    def draw_in_blocks(self, keys: np.ndarray, lengths: np.ndarray) -> TokenRates:
        """Draws the rate of each block of sequences with these keys, uint64, and lengths, int64 `[sequences]` each."""
        size = self.block_size
        assert size is not None
        blocks = -(-lengths // size)
        number = positions_in_rows(blocks)
        rates = self._rates_of(draw_in_rows(keys, blocks, number, Purpose.RATE), keys.repeat(blocks))
        return TokenRates(rates.repeat(np.minimum(lengths.repeat(blocks) - number * size, size)))

    def _rates_of(self, draws: np.ndarray, keys: np.ndarray) -> np.ndarray:
        fractions = as_fraction(draws)
        return self._rates(_stratify(fractions, keys, self._part) if self.low_discrepancy else fractions)

    def checked_for_device(self) -> RateDistribution:
        """This distribution, if [`of_tensor`] can draw from it.

        Raises:
            ValueError: if its quantile function is a custom one, or its draws depend on the batch.
        """
        if not isinstance(self.quantile, _Quantile) or self.low_discrepancy or self.block_size is not None:
            raise ValueError(
                "`mlm_probability` must be a number, a tensor or a distribution of this package without "
                f"`low_discrepancy` and `block_size` on a device, but got {self!r}. Pass rates of the host as a tensor."
            )
        return self

    def of_tensor(self, draws: torch.Tensor) -> torch.Tensor:
        """The rates of uniform draws in [0, 1) on any device, float64 of any shape."""
        assert isinstance(self.quantile, _Quantile)
        return self.quantile.of_tensor(draws)

    @property
    def mean(self) -> float:
        """The mean rate, by the midpoint rule."""
        return float(self._rates(_MIDPOINTS).mean())

    @property
    def distance_to_uniform(self) -> float:
        """The largest distance between a quantile and that of U(0, 1)."""
        return float(np.abs(np.sort(self._rates(_MIDPOINTS)) - _MIDPOINTS).max())

    def _rates(self, draws: np.ndarray) -> np.ndarray:
        try:
            returned = self.quantile(draws)
        except Exception as error:
            raise ValueError(
                f"`quantile` must accept uniform draws, float64 [sequences], but {self.quantile!r} raised "
                f"{type(error).__name__}: {error}. Use functions of numpy."
            ) from error
        rates = as_numbers(returned)
        if rates is None or rates.shape != draws.shape or not ((rates >= 0) & (rates <= 1)).all():
            raise ValueError(
                f"`quantile` must return a rate between 0 and 1 for each of {len(draws)} draws, but returned "
                f"{returned!r}. Return an array of the shape of its argument."
            )
        return rates


def uniform_rate(
    low: float = 0.0, high: float = 1.0, low_discrepancy: bool = False, block_size: int | None = None
) -> RateDistribution:
    """`rate ~ U(low, high)`, `rate(u) = low + (high - low) * u`.

    Masked diffusion models use U(0, 1) and weight the loss of each sequence by `1 / rate` (Sahoo et al. 2024, MDLM; Nie
    et al. 2025, LLaDA). For `low_discrepancy` and `block_size`, see [`RateDistribution`].

    Raises:
        ValueError: if `low` is not below `high`, one is not in [0, 1], or `block_size` is not at least 1.

    >>> uniform_rate(0.1, 0.5)
    uniform_rate(low=0.1, high=0.5, low_discrepancy=False)
    >>> uniform_rate(0.1, 0.5).mean
    0.3
    """
    low, high = _interval(low, high)
    return RateDistribution(_Uniform(low, high), low_discrepancy, block_size)


def truncated_normal_rate(
    mean: float = 0.55,
    std: float = 0.25,
    low: float = 0.5,
    high: float = 1.0,
    low_discrepancy: bool = False,
    block_size: int | None = None,
) -> RateDistribution:
    """`rate ~ N(mean, std)`, conditioned on being in `[low, high]`.

    The defaults are those of Li et al. 2023 (MAGE). For `low_discrepancy` and `block_size`, see [`RateDistribution`].

    Raises:
        ValueError: if `low` is not below `high`, one is not in [0, 1], `std` is not above 0, `mean` is more than
            30 `std` away from the interval, or `block_size` is not at least 1.

    >>> round(truncated_normal_rate(0.3, 0.1, low=0.1, high=0.5).mean, 6)
    0.3
    """
    low, high = _interval(low, high)
    mean, std = checked_number(mean, "mean", "It is the mean before truncation."), checked_positive(std, "std")
    if not min(abs(low - mean), abs(high - mean)) < 30 * std and not low < mean < high:
        raise ValueError(
            f"`mean` must be within 30 `std` of `low` or `high`, but got `mean={mean}` and `std={std}` for [{low}, "
            f"{high}], where the distribution has almost no probability. Pass a number for a constant rate."
        )
    return RateDistribution(_TruncatedNormal(mean, std, low, high), low_discrepancy, block_size)


def cosine_rate(low_discrepancy: bool = False, block_size: int | None = None) -> RateDistribution:
    """`rate(u) = cos(pi / 2 * u)` for u ~ U(0, 1) (Chang et al. 2022, MaskGIT).

    The mean is 2 / pi, and high rates are more frequent than low ones. For `low_discrepancy` and `block_size`, see
    [`RateDistribution`].

    >>> round(cosine_rate().mean, 4)
    0.6366
    """
    return RateDistribution(_Cosine(), low_discrepancy, block_size)


def _interval(low: float, high: float) -> tuple[float, float]:
    low, high = checked_rate(low, "low"), checked_rate(high, "high")
    if low >= high:
        raise ValueError(f"`low` must be below `high`, but got {low} and {high}. Pass a number for a constant rate.")
    return low, high


def _stratify(draws: np.ndarray, keys: np.ndarray, part: StepPart | None) -> np.ndarray:
    """One draw in each `[i / n, (i + 1) / n)`, ranked as the draws are. The order of the batch does not matter.

    For a part of a step, `n` is the size of all parts, and each `total`-th interval is for this part.
    """
    number, total, key = part or (0, 1, keys.sum(keepdims=True))
    rank = np.empty(len(keys))
    rank[np.lexsort((keys, draws))] = np.arange(len(keys))
    shift = as_fraction(draw_per_row(key, Purpose.RATE, position=1))
    if total > 1:
        rotation = as_index(draw_per_row(key, Purpose.RATE, position=2), total)
        rank = rank * total + (number + rotation) % total
    return (rank + shift) / (len(keys) * total)


class _Quantile:
    """The quantile function of a distribution that this package makes, by the function `made_by`."""

    made_by: ClassVar[str]

    def of_tensor(self, draws: torch.Tensor) -> torch.Tensor:
        """The function itself, for tensors on any device."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Uniform(_Quantile):
    low: float
    high: float

    made_by = "uniform_rate"

    def __call__(self, draws: np.ndarray) -> np.ndarray:
        return self.low + (self.high - self.low) * draws

    def of_tensor(self, draws: torch.Tensor) -> torch.Tensor:
        return self.low + (self.high - self.low) * draws


@dataclass(frozen=True)
class _TruncatedNormal(_Quantile):
    mean: float
    std: float
    low: float
    high: float

    made_by = "truncated_normal_rate"

    def __call__(self, draws: np.ndarray) -> np.ndarray:
        import torch

        return self.of_tensor(torch.from_numpy(draws)).numpy()

    def of_tensor(self, draws: torch.Tensor) -> torch.Tensor:
        return _truncated_normal(draws, **dataclasses.asdict(self))


@dataclass(frozen=True)
class _Cosine(_Quantile):
    made_by = "cosine_rate"

    def __call__(self, draws: np.ndarray) -> np.ndarray:
        return np.cos(math.pi / 2 * draws)

    def of_tensor(self, draws: torch.Tensor) -> torch.Tensor:
        return (math.pi / 2 * draws).cos()


def _truncated_normal(draws: torch.Tensor, *, mean: float, std: float, low: float, high: float) -> torch.Tensor:
    import torch

    if low > mean:  # mirrored, as floats near 0 are more precise than floats near 1
        return 1 - _truncated_normal(1 - draws, mean=1 - mean, std=std, low=1 - high, high=1 - low)
    first, last = (0.5 * math.erfc((mean - edge) / std / math.sqrt(2)) for edge in (low, high))
    quantiles = torch.special.ndtri(first + (last - first) * draws)
    return (mean + std * quantiles).clamp(low, high)
