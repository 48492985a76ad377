"""An estimated difference of two arms: its interval, its p-values, and what could have been found.

A difference is the mean over independent units: seeds, or the bases of a study, whose continuations are averaged first.
For as many continuations of each base this is the exact test of a mixed model with a random effect of the base. The
error of units is the standard error of that mean, as in a paired t-test. Scores of a sample of test documents have a
second error, that of the choice of documents (see `bootstrap.py`). The half-width of an interval is
sqrt((t_units * error_of_units)^2 + (t_documents * error_of_documents)^2), with a quantile of Student's t for each. If
units dominate, the interval is that of the paired t-test; if documents dominate, it is that of many documents.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

LEVEL = 0.05
POWER = 0.8
MIN_P = 1e-12
QUANTILES = (np.arange(2_000) + 0.5) / 2_000


class Estimate(NamedTuple):
    """A difference in the unit of its outcome, and its errors."""

    difference: float
    of_units: float
    of_documents: float
    units: int
    documents: int


class Detectable(NamedTuple):
    """The difference that a study would find with a power of 80 %: with the deviation that was estimated, and with the
    limits of its own 95 % interval."""

    difference: float
    low: float
    high: float


def mean_by_unit(differences: np.ndarray, units: Sequence[object]) -> np.ndarray:
    """Averages the differences of the pairs of each unit, `[units]`, in the order in which units first occur."""
    labels = list(dict.fromkeys(units))
    return np.array([np.mean(differences[[unit == label for unit in units]]) for label in labels])


def estimate_of_units(by_unit: np.ndarray, of_documents: float = 0.0, documents: int = 1) -> Estimate:
    """Estimates the mean difference of at least two units."""
    return Estimate(float(by_unit.mean()), float(stats.sem(by_unit)), of_documents, len(by_unit), documents)


def half_width(found: Estimate, level: float = LEVEL) -> float:
    """Returns the half-width of the interval with confidence 1 - `level`."""
    # Quantiles of Student's t. `stats.t.isf` takes a hundred times as long, and `p_value` needs many.
    of_units, of_documents = special.stdtrit([found.units - 1, max(found.documents - 1, 1)], level / 2)
    return float(np.hypot(of_units * found.of_units, of_documents * found.of_documents))


def p_value(found: Estimate) -> float:
    """Returns the level at which the interval ends at 0, at least `MIN_P`."""
    distance = abs(found.difference)
    if distance <= half_width(found, 1.0):  # 0 up to rounding
        return 1.0
    if half_width(found, MIN_P) <= distance:
        return MIN_P
    return float(optimize.brentq(lambda level: half_width(found, level) - distance, MIN_P, 1.0))


def guarded_p(found: Estimate, by_pair: np.ndarray, level: float) -> float:
    """Returns the p-value of no difference that verdicts use: the larger of [`p_value`] and [`sign_flip_p`].

    Where runs end in one of two states, such as on a plateau of the loss or past it, differences are not normal, and
    [`p_value`] is below 5 % in 6 % of the simulated studies without a difference. Sign flips hold 5 % there. They are
    left out where so few pairs cannot have a p-value below `level`, as 5 pairs for 5 %. For a family of tests, pass the
    level of the strictest.

    Args:
        by_pair: the difference of each pair, float `[pairs]`.
    """
    p = p_value(found)
    return max(p, sign_flip_p(by_pair)) if 2 ** (1 - len(by_pair)) < level else p


def sign_flip_p(by_pair: np.ndarray) -> float:
    """Returns the two-sided p-value of a permutation test of the mean, exact up to 13 pairs.

    It assumes that the arms of each pair are exchangeable, and regards documents as fixed.
    """
    test = stats.permutation_test(
        (by_pair,), np.mean, permutation_type="samples", vectorized=True, n_resamples=9_999, random_state=0
    )
    return float(test.pvalue)


def equivalence_p(found: Estimate, smallest: float) -> float:
    """Returns the p-value of two one-sided tests (TOST; Schuirmann 1987) that the difference is within ± `smallest`.

    It is below a level exactly if the interval with confidence 1 - 2 * level is within these limits.
    """
    distance = smallest - abs(found.difference)
    one_sided = p_value(found._replace(difference=distance)) / 2
    return one_sided if distance > 0 else 1 - one_sided


def power(found: Estimate, difference: float, level: float = LEVEL) -> float:
    """Returns the probability that a two-sided test at `level` finds a true difference, if the errors are those given.

    It is the mean over what the error of units may be estimated as, a scaled chi. Without an error of documents this is
    the power of a t-test, by the noncentral t.
    """
    freedom = found.units - 1
    estimated = found.of_units * np.sqrt(stats.chi2.ppf(QUANTILES, freedom) / freedom)
    of_units, of_documents = special.stdtrit([freedom, max(found.documents - 1, 1)], 1 - level / 2)
    reach = np.hypot(of_units * estimated, of_documents * found.of_documents)
    error = math.hypot(found.of_units, found.of_documents)
    return float(np.mean(special.ndtr((difference - reach) / error) + special.ndtr((-difference - reach) / error)))


def detectable(found: Estimate, level: float = LEVEL) -> Detectable:
    """Returns the differences that a two-sided test at `level` finds with a power of 80 %.

    The range follows from the 95 % interval of the standard deviation of units, by the chi-squared distribution.
    """
    freedom = found.units - 1
    limits = np.sqrt(freedom / stats.chi2.ppf([0.975, 0.025], freedom))
    at = [found, *(found._replace(of_units=found.of_units * float(limit)) for limit in limits)]
    return Detectable(*(_detectable(each, level) for each in at))


def _detectable(found: Estimate, level: float) -> float:
    if not (found.of_units or found.of_documents):
        return 0.0
    most = 2 * half_width(found, level) + 10 * math.hypot(found.of_units, found.of_documents)
    return float(optimize.brentq(lambda difference: power(found, difference, level) - POWER, 0.0, most))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Returns p-values adjusted for the family-wise error rate (Holm 1979)."""
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.empty_like(p_values, dtype=float)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
