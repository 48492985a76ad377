"""Judges a registered study by its own file: at its looks, by its contrasts, and not before a look is complete.

Each look tests the declared contrasts in MLM loss at its own level (O'Brien and Fleming 1979), adjusted by Holm's
method. A contrast that a look decides stays decided: the next look neither tests nor counts it. The continuations of
a base are averaged first, so that bases are the independent units. The same contrasts in test F1 are secondary, and
not adjusted.

A simulation of studies without a difference is in `tests/benchmarks/ner/analysis/test_registered.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from benchmarks.ner.analysis.comparison import NO_DIFFERENCE
from benchmarks.ner.analysis.contrasts import Contrast, adjusted, contrast_of, with_equivalence
from benchmarks.ner.analysis.outcomes import F1, LOSS
from benchmarks.ner.analysis.study_runs import (
    RunsByCell,
    StudyRuns,
    is_complete,
    left_out,
    pairs_of,
    seeds_of_look,
    study_runs,
)
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.experiments.study import ArmPair, Look, Study


class Dose(NamedTuple):
    """How much a number of passes over each mask costs, against an arm that never repeats one.

    `differences` are those of MLM loss, by seed.
    """

    arm: str
    passes: float
    differences: dict[int, float]
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
    looks: list[LookResult] = []
    decided: dict[ArmPair, Contrast] = {}
    for look in study.looks:
        if not is_complete(study, runs.by_cell, arms, look.pairs):
            break
        looks.append(_look(study, runs.by_cell, look, decided))
        decided |= {
            each.arms: each._replace(decided_at=look.pairs)
            for each in looks[-1].primary
            if each.arms not in decided and each.p_adjusted is not None and each.verdict != NO_DIFFERENCE
        }
    return Judgement(study, runs, looks)


def _look(study: Study, runs: RunsByCell, look: Look, decided: Mapping[ArmPair, Contrast]) -> LookResult:
    seeds, family = seeds_of_look(study, look.pairs), len(study.contrasts)
    of_arms = {arms: pairs_of(runs, *arms, seeds) for arms in (*study.contrasts, study.control)}
    primary = [contrast_of(LOSS, arms, of_arms[arms], look.level, family) for arms in study.contrasts]
    secondary = [contrast_of(F1, arms, of_arms[arms], look.level) for arms in study.contrasts]
    repeats = [(arm, study.reference) for arm in study.repeats]
    compared = {frozenset(arms): arms for arms in (*repeats, study.control, *study.contrasts)}
    return LookResult(
        look,
        adjusted(primary, decided),
        [with_equivalence(each, study.smallest_difference) for each in secondary],
        contrast_of(LOSS, study.control, of_arms[study.control], look.level),
        [_dose(study, runs, arms, seeds, look.level) for arms in repeats],
        [reason for arms in compared.values() for reason in left_out(runs, *arms, seeds)],
    )


def _dose(study: Study, runs: RunsByCell, arms: ArmPair, seeds: Sequence[int], level: float) -> Dose:
    pairs = pairs_of(runs, *arms, seeds)
    values = LOSS.differences(pairs)
    by_seed = {run["seed"]: float(value) for (run, _), value in zip(pairs, values, strict=True)}
    return Dose(arms[0], study.passes(arms[0]), by_seed, contrast_of(LOSS, arms, pairs, level))
