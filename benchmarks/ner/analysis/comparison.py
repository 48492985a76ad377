"""Compares arms over several seeds, in MLM loss and in test F1. All of these comparisons are exploratory.

Verdicts on declared contrasts come from registered studies alone: see `registered.py`. Test F1 is strict and
micro-averaged over entities, in points: 0 to 100. On tests for such scores, and on the limits of a single test set, see
Dror et al. 2018, The Hitchhiker's Guide to Testing Statistical Significance in Natural Language Processing.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from benchmarks.ner.analysis.estimate import LEVEL, Detectable, detectable, guarded_p, half_width, holm
from benchmarks.ner.analysis.outcomes import OUTCOMES, Outcome
from benchmarks.ner.analysis.pairing import Pair, arms, conditions, groups, pair_runs, runs_by_seed
from benchmarks.ner.analysis.seed_summary import FEWEST_FOR_INTERVAL

EXPLORATORY = "exploratory: "
NO_DIFFERENCE = "no difference found"
FEW_SEEDS = "no verdict: fewer than 3 seeds"
SAME_DIFFERENCE = "no verdict: the difference is the same with every seed"
ROUNDING = 1e-9


class Comparison(NamedTuple):
    """An outcome of `first` minus that of `second`, with the same seeds.

    Fields are None for fewer than three seeds, and if the difference is the same with every seed.
    """

    outcome: Outcome
    dataset: str
    conditions: str  # all that the runs share, as JSON
    first: str
    second: str
    seeds: tuple[int, ...]
    difference: float
    low: float | None  # 95 % interval, not adjusted
    high: float | None
    p: float | None  # of no difference
    p_adjusted: float | None  # by Holm's method, over the comparisons of this outcome under these conditions
    detectable: Detectable | None  # at the level 0.05
    verdict: str  # about `first`, by `p_adjusted`


def compare(
    results: Sequence[Mapping[str, Any]], first: str, second: str, outcome: Outcome, family: int = 1
) -> Comparison:
    """Compares the arms `first` and `second` over their common seeds, under the same conditions.

    Failed runs and other arms are ignored. `p_adjusted` is that of a single comparison, `p`.

    Args:
        family: the number of comparisons that Holm's method will adjust together.

    Raises `ValueError` for runs that are not pairs: without common seeds, under different conditions, on different
    sentences.
    """
    pairs = pair_runs(results, first, second)
    seeds = tuple(run["seed"] for run, _ in pairs)
    run = pairs[0][0]
    return Comparison(
        outcome, run["dataset"]["name"], conditions(run), first, second, seeds, **_numbers(pairs, outcome, family)
    )


def comparisons(results: Iterable[Mapping[str, Any]]) -> list[Comparison]:
    """Compares all pairs of arms that share a seed, under the same conditions, in each outcome that both have.

    Holm's method adjusts the comparisons of one outcome under the same conditions together.
    """
    return [
        each
        for members in groups(results)
        for outcome in OUTCOMES
        for each in _adjusted(_compare_all([run for run in members if outcome.is_measured(run)], outcome))
    ]


def incomparable_reason(members: Sequence[Mapping[str, Any]]) -> str | None:
    """Returns why [`comparisons`] rejects results under the same conditions, or None.

    Reasons are an arm in two settings, and different sentences in two runs.
    """
    try:
        for outcome in OUTCOMES:
            _compare_all([run for run in members if outcome.is_measured(run)], outcome)
    except ValueError as error:
        return str(error)
    return None


def describe(outcome: Outcome, difference: float, p: float, level: float = LEVEL) -> str:
    """Returns the verdict on the first arm, in words."""
    if p >= level:
        return NO_DIFFERENCE
    return "better" if (difference > 0) == outcome.higher_is_better else "worse"


def _compare_all(members: Sequence[Mapping[str, Any]], outcome: Outcome) -> list[Comparison]:
    seeds = {arm: runs_by_seed(members, arm).keys() for arm in arms(members)}
    pairs = [pair for pair in combinations(seeds, 2) if seeds[pair[0]] & seeds[pair[1]]]
    return [compare(members, *pair, outcome, len(pairs)) for pair in pairs]


def _numbers(pairs: Sequence[Pair], outcome: Outcome, family: int) -> dict[str, Any]:
    """Returns the values and the verdict of a comparison."""
    by_seed = outcome.differences(pairs)
    if len(by_seed) < FEWEST_FOR_INTERVAL or np.ptp(by_seed) < ROUNDING:
        unknown = dict.fromkeys(("low", "high", "p", "p_adjusted", "detectable"))
        verdict = FEW_SEEDS if len(by_seed) < FEWEST_FOR_INTERVAL else SAME_DIFFERENCE
        return {"difference": float(by_seed.mean()), **unknown, "verdict": verdict}
    found = outcome.estimate(pairs, range(len(pairs)))
    p = guarded_p(found, by_seed, LEVEL / family)
    return {
        "difference": found.difference,
        "low": found.difference - half_width(found),
        "high": found.difference + half_width(found),
        "p": p,
        "p_adjusted": p,
        "detectable": detectable(found),
        "verdict": EXPLORATORY + describe(outcome, found.difference, p),
    }


def _adjusted(found: Sequence[Comparison]) -> list[Comparison]:
    p_values = holm(np.array([1.0 if each.p is None else each.p for each in found]))
    return [each if each.p is None else _with_p(each, float(p)) for each, p in zip(found, p_values, strict=True)]


def _with_p(comparison: Comparison, p: float) -> Comparison:
    verdict = EXPLORATORY + describe(comparison.outcome, comparison.difference, p)
    return comparison._replace(p_adjusted=p, verdict=verdict)
