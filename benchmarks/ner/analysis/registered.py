"""Judges a registered study by its own file: at its looks, by its contrasts, and not before a look is complete.

Each look tests the declared contrasts in MLM loss, adjusted by Holm's method, at its own level (O'Brien and Fleming
1979): a contrast that is decided at a look stays decided. The continuations of a base are averaged first, so that bases
are the independent units. In 1,000 simulated studies with no difference, in each of seven worlds, at most 5 % decide a
contrast at either look; `tests/benchmarks/ner/analysis/test_registered.py` repeats the simulation.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.ner.analysis.comparison import NO_DIFFERENCE
from benchmarks.ner.analysis.estimate import (
    Detectable,
    Estimate,
    detectable,
    equivalence_p,
    guarded_p,
    half_width,
    holm,
)
from benchmarks.ner.analysis.outcomes import F1, LOSS, Outcome
from benchmarks.ner.analysis.pairing import Pair
from benchmarks.ner.analysis.study_runs import (
    RunsByCell,
    StudyRuns,
    base_of,
    is_complete,
    left_out,
    pairs_of,
    seeds_of_look,
    study_runs,
)
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.experiments.study import Look, Study


class Contrast(NamedTuple):
    """An outcome of `first` minus that of `second` at a look; the interval has the confidence 1 - level of the look."""

    outcome: Outcome
    first: str
    second: str
    pairs: int
    level: float
    estimate: Estimate
    low: float
    high: float
    p: float
    p_adjusted: float
    p_equivalent: float | None  # of a difference of interest; None for the primary outcome
    detectable: Detectable
    verdict: str


class Dose(NamedTuple):
    """How much a number of passes over each mask costs, against an arm that never repeats one.

    `differences` are those of MLM loss, float `[pairs]`.
    """

    arm: str
    passes: float
    differences: np.ndarray
    contrast: Contrast


class LookResult(NamedTuple):
    """What a complete look found. `left_out` names the pairs that are not counted, and why."""

    look: Look
    primary: list[Contrast]
    secondary: list[Contrast]
    control: Contrast
    doses: list[Dose]
    left_out: list[str]


class Judgement(NamedTuple):
    """A study, how far it is, and the results of its complete looks, in order."""

    study: Study
    runs: StudyRuns
    looks: list[LookResult]


def judge(study: Study, results: Iterable[Result]) -> Judgement:
    """Judges a study by the results of a folder."""
    runs = study_runs(study, results)
    arms = {cell.arguments.arms[0] for cell in study.grid.cells if cell.base is not None}
    complete = [look for look in study.looks if is_complete(study, runs.by_cell, arms, look.pairs)]
    return Judgement(study, runs, [_look(study, runs.by_cell, look) for look in complete])


def decided_at(judgement: Judgement, first: str, second: str) -> Look | None:
    """Returns the first look that decided a declared contrast, or None."""
    for found in judgement.looks:
        for contrast in found.primary:
            if (contrast.first, contrast.second) == (first, second) and contrast.verdict != NO_DIFFERENCE:
                return found.look
    return None


def contrast_of(outcome: Outcome, pairs: Sequence[Pair], level: float) -> Contrast:
    """Compares the arms of pairs over their bases, without adjustment; the verdict is that of a single contrast."""
    found = outcome.estimate(pairs, [base_of(pair) for pair in pairs])
    p, reach = guarded_p(found, outcome.differences(pairs), level), half_width(found, level)
    names = [run["arm"]["name"] for run in pairs[0]]
    return Contrast(
        outcome,
        names[0],
        names[1],
        len(pairs),
        level,
        found,
        found.difference - reach,
        found.difference + reach,
        p,
        p,
        None,
        detectable(found, level),
        _direction(outcome, found.difference, p, level),
    )


def _look(study: Study, runs: RunsByCell, look: Look) -> LookResult:
    seeds = seeds_of_look(study, look.pairs)
    primary = [contrast_of(LOSS, pairs_of(runs, *arms, seeds), look.level) for arms in study.contrasts]
    secondary = [contrast_of(F1, pairs_of(runs, *arms, seeds), look.level) for arms in study.contrasts]
    return LookResult(
        look,
        _adjust(primary),
        [_with_equivalence(each, study.smallest_difference) for each in _adjust(secondary)],
        contrast_of(LOSS, pairs_of(runs, *study.control, seeds), look.level),
        [_dose(runs, arm, study.reference, seeds, look.level) for arm in study.repeats],
        [reason for arms in (*study.contrasts, study.control) for reason in left_out(runs, *arms, seeds)],
    )


def _adjust(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Adjusts the p-values of contrasts together, and their verdicts."""
    adjusted = holm(np.array([each.p for each in contrasts])).tolist()
    return [
        each._replace(p_adjusted=p, verdict=_direction(each.outcome, each.estimate.difference, p, each.level))
        for each, p in zip(contrasts, adjusted, strict=True)
    ]


def _direction(outcome: Outcome, difference: float, p: float, level: float) -> str:
    if p >= level:
        return NO_DIFFERENCE
    return "better" if (difference > 0) == outcome.higher_is_better else "worse"


def _with_equivalence(contrast: Contrast, smallest: float) -> Contrast:
    """Adds the test of equivalence, and says "not known" where neither test decides."""
    p = equivalence_p(contrast.estimate, smallest)
    is_equivalent, differs = p < contrast.level, contrast.verdict != NO_DIFFERENCE
    limit = f"{smallest:g} {contrast.outcome.unit}"
    verdict = {
        (True, True): f"{contrast.verdict}, but by less than {limit}",
        (True, False): contrast.verdict,
        (False, True): f"equivalent (within ± {limit})",
        (False, False): "not known",
    }[differs, is_equivalent]
    return contrast._replace(p_equivalent=p, verdict=verdict)


def _dose(runs: RunsByCell, arm: str, reference: str, seeds: Sequence[int], level: float) -> Dose:
    pairs = pairs_of(runs, arm, reference, seeds)
    run = pairs[0][0]
    passes = run["budget"]["mlm_epochs"] / run["arm"]["num_mask_patterns"]
    return Dose(arm, passes, LOSS.differences(pairs), contrast_of(LOSS, pairs, level))
