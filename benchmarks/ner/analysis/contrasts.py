"""Contrasts of a registered study: the difference of two arms over the bases of their pairs, and its verdict."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.ner.analysis.comparison import NO_DIFFERENCE, describe
from benchmarks.ner.analysis.estimate import (
    Detectable,
    Estimate,
    detectable,
    equivalence_p,
    guarded_p,
    half_width,
    holm,
)
from benchmarks.ner.analysis.outcomes import Outcome
from benchmarks.ner.analysis.pairing import Pair
from benchmarks.ner.analysis.study_runs import base_of
from benchmarks.ner.experiments.study import ArmPair

TOO_FEW = "cannot be judged: fewer than two bases"
NOT_KNOWN = "not known"


class Contrast(NamedTuple):
    """An outcome of `first` minus that of `second` at a look; the interval has the confidence 1 - level of the look.

    With fewer than two bases there are no numbers: they are None.
    """

    outcome: Outcome
    first: str
    second: str
    pairs: int
    level: float
    estimate: Estimate | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    detectable: Detectable | None = None  # at the level of the look, divided by the number of declared contrasts
    verdict: str = TOO_FEW
    decided_at: int | None = None  # the pairs of the earlier look that the verdict is from

    @property
    def arms(self) -> ArmPair:
        return self.first, self.second

    @property
    def difference(self) -> float | None:
        return None if self.estimate is None else self.estimate.difference


def contrast_of(outcome: Outcome, arms: ArmPair, pairs: Sequence[Pair], level: float, family: int = 1) -> Contrast:
    """Compares the arms of pairs over their bases; the verdict is that of a single contrast.

    Args:
        family: the number of contrasts that [`adjusted`] will adjust together.
    """
    units = [base_of(pair) for pair in pairs]
    if len(set(units)) < 2:
        return Contrast(outcome, *arms, len(pairs), level)
    found = outcome.estimate(pairs, units)
    p, reach = guarded_p(found, outcome.differences(pairs), level / family), half_width(found, level)
    return Contrast(
        outcome,
        *arms,
        len(pairs),
        level,
        found,
        found.difference - reach,
        found.difference + reach,
        p,
        p,
        detectable(found, level / family),
        describe(outcome, found.difference, p, level),
    )


def adjusted(contrasts: Sequence[Contrast], decided: Mapping[ArmPair, Contrast]) -> list[Contrast]:
    """Adjusts the p-values of the contrasts that are not `decided` yet, and their verdicts, by Holm's method.

    The others have the verdict of the look that decided them.
    """
    still_open = [each for each in contrasts if each.p is not None and each.arms not in decided]
    p_values = holm(np.array([each.p for each in still_open], dtype=float)).tolist()
    by_arms = {each.arms: p for each, p in zip(still_open, p_values, strict=True)}
    return [_with_verdict(each, by_arms.get(each.arms), decided.get(each.arms)) for each in contrasts]


def with_equivalence(contrast: Contrast, smallest: float) -> Contrast:
    """Adds the verdict of two one-sided tests, and says "not known" where neither test decides."""
    if contrast.estimate is None:
        return contrast
    is_equivalent = equivalence_p(contrast.estimate, smallest) < contrast.level
    differs = contrast.verdict != NO_DIFFERENCE
    limit = f"{smallest:g} {contrast.outcome.unit if smallest != 1 else contrast.outcome.unit.removesuffix('s')}"
    verdict = {
        (True, True): f"{contrast.verdict}, but by less than {limit}",
        (True, False): contrast.verdict,
        (False, True): f"equivalent (within ± {limit})",
        (False, False): NOT_KNOWN,
    }[differs, is_equivalent]
    return contrast._replace(verdict=verdict)


def _with_verdict(contrast: Contrast, p: float | None, decided: Contrast | None) -> Contrast:
    if decided is not None:
        return contrast._replace(p_adjusted=None, verdict=decided.verdict, decided_at=decided.decided_at)
    if contrast.estimate is None or p is None:
        return contrast
    verdict = describe(contrast.outcome, contrast.estimate.difference, p, contrast.level)
    return contrast._replace(p_adjusted=p, verdict=verdict)
