"""Views: several masks of each example in one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_dynmask.core.checks import checked_integer
from hf_dynmask.rates.distributions import TokenRates
from hf_dynmask.strategies.units import Units

_COMPLEMENTARY = "complementary"


@dataclass(frozen=True)
class Views:
    """The masks that each example has in a batch. Those of an example are consecutive rows.

    Independent views of an epoch are the masks of consecutive patterns: with `count=2`, those that epochs `2 * epoch`
    and `2 * epoch + 1` have with one view. The second of two complementary views masks what the first does not.

    Attributes:
        count: the number of views.
        complementary: whether there are two that complement each other.
    """

    count: int = 1
    complementary: bool = False

    @property
    def patterns_per_epoch(self) -> int:
        """The number of patterns that an example uses in an epoch."""
        return 1 if self.complementary else self.count

    def pattern(self, pattern: int, view: int) -> int:
        """The pattern of a view, from the one that the epoch has with a single view."""
        return pattern if self.complementary else pattern * self.count + view

    def patterns(self, pattern: int, rows: int) -> int | np.ndarray:
        """The pattern of each row: one number, or uint64 `[rows]`."""
        if self.complementary:
            return pattern
        views = np.arange(self.count, dtype=np.uint64) + np.uint64(pattern * self.count % 2**64)  # wraps around
        return np.resize(views, rows)

    def complemented(self, rows: int) -> np.ndarray | None:
        """Which rows are the complement of the row before: bool `[rows]`; None if none is."""
        return np.arange(rows) % 2 == 1 if self.complementary else None


SINGLE_VIEW = Views()


def views_of(collator: Any) -> Views:
    """The views that a collator makes of each example."""
    return getattr(collator._plan, "views", SINGLE_VIEW)


def checked_views(views: object) -> Views:
    """The views of the argument of this name.

    Raises:
        ValueError: if it is neither a number of views nor "complementary".
    """
    if views == _COMPLEMENTARY:
        return Views(2, complementary=True)
    remedy = f'Pass 1 for one mask of each example, or "{_COMPLEMENTARY}" for two that share no token.'
    return Views(checked_integer(views, "views", 1, remedy, maximum=1 << 20))


def complement(
    units: Units, indices: np.ndarray, rates: float | np.ndarray | TokenRates, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray | TokenRates]:
    """Replaces the masks of some sequences by their complements: all other units that can be masked.

    Args:
        units: the units of the batch.
        indices: int64 `[masked]`, the indices of the masked tokens.
        rates: the mask rate; one number, float64 `[sequences]`, or the rates of tokens.
        rows: bool `[sequences]`, the sequences whose masks are replaced.

    Returns:
        The indices of the tokens that are masked now, int64 in rising order, and the rates.
    """
    is_complemented = rows.repeat(units.tokens.lengths)
    masked, can_be_masked = np.zeros((2, len(is_complemented)), dtype=bool)
    masked[indices] = True
    can_be_masked[units.indices(units.maskable)] = True
    masked = np.where(is_complemented, can_be_masked & ~masked, masked)
    if isinstance(rates, TokenRates):
        return masked.nonzero()[0], TokenRates(np.where(is_complemented, 1 - rates.values, rates.values))
    return masked.nonzero()[0], np.where(rows, 1 - rates, rates)
