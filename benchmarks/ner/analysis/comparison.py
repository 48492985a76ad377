"""Compares arms over several seeds: which arm is better, if any.

All F1 is strict and micro-averaged over test entities, in points: 0 to 100. `bootstrap.py` explains the errors of
differences. On tests for such scores, and on the limits of a single test set, see Dror et al. 2018, The Hitchhiker's
Guide to Testing Statistical Significance in Natural Language Processing.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from benchmarks.ner.analysis.bootstrap import (
    LEVEL,
    differences,
    estimate,
    half_width,
    holm,
    minimum_detectable_difference,
    p_value,
    sign_flip_p,
)
from benchmarks.ner.analysis.pairing import arms, conditions, groups, has_counts, pair_runs, runs_by_seed

PLANNED_CONTRASTS = (
    ("dynamic", "static10"),
    ("anneal", "constant_mean"),
)  # before any run
ONE_SEED = "no verdict: one seed has no variance"
NO_ENTITY = "no verdict: no run of either arm found an entity"
SAME_SCORES = "no verdict: both arms have the same score with every seed"
SAME_DIFFERENCE = "no verdict: the difference is the same with every seed"
ROUNDING = 1e-9  # points


class Comparison(NamedTuple):
    """Test F1 of `first` minus that of `second`, with the same seeds on the same sentences.

    Fields are None if the differences have no variance: for one seed, or the same difference with every seed.
    """

    dataset: str
    conditions: str  # dataset, model, budget and launch, as JSON
    first: str
    second: str
    seeds: tuple[int, ...]
    difference: float
    low: float | None  # 95 % interval, not adjusted
    high: float | None
    p: float | None  # of no difference; below 0.05 exactly if the interval excludes 0
    p_sign_flips: float | None  # of a permutation test over seeds, for comparison; it regards the sentences as fixed
    p_adjusted: float | None  # by Holm, over all planned contrasts; None if exploratory
    smallest: float | None  # the minimum detectable difference, at a power of 80 %
    verdict: str  # about `first`, by `p_adjusted` or, if exploratory, by `p`
    exploratory: bool


def compare(results: Sequence[Mapping[str, Any]], first: str, second: str, family: int = 1) -> Comparison:
    """Compares the arms `first` and `second` over their common seeds, under the same conditions.

    Failed runs and other arms are ignored.

    Args:
        family: number of planned contrasts. Their `smallest` is for the level 0.05 / family, the strictest of Holm's.

    Raises `ValueError` for runs that are not pairs: without common seeds, under different conditions, on different
    sentences.
    """
    run, seeds, counts = pair_runs(results, first, second)
    planned = is_planned(first, second)
    return Comparison(
        run["dataset"]["name"],
        conditions(run),
        first,
        second,
        seeds,
        **_numbers(counts[0], counts[1], LEVEL / family if planned else LEVEL, planned),
        exploratory=not planned,
    )


def comparisons(results: Iterable[Mapping[str, Any]]) -> list[Comparison]:
    """Compares all pairs of arms that share a seed, under the same conditions.

    Planned contrasts come first and are one family for Holm's procedure. Results without counts per sentence are
    ignored.
    """
    counted = (result for result in results if has_counts(result))
    pairs = [(members, *pair) for members in groups(counted) for pair in _pairs(members)]
    pairs.sort(key=lambda pair: not is_planned(*pair[1:]))
    family = sum(is_planned(*pair[1:]) for pair in pairs)
    found = [compare(*pair, family=family) for pair in pairs]
    adjusted = holm(np.array([1.0 if comparison.p is None else comparison.p for comparison in found[:family]]))
    return [*map(_adjusted, found[:family], adjusted.tolist()), *found[family:]]


def incomparable_reason(members: Sequence[Mapping[str, Any]]) -> str | None:
    """Returns why [`comparisons`] rejects results under the same conditions, or None.

    Reasons are an arm in two settings, and different sentences in two runs.
    """
    try:
        for pair in _pairs([result for result in members if has_counts(result)]):
            pair_runs(members, *pair)
    except ValueError as error:
        return str(error)
    return None


def is_planned(first: str, second: str) -> bool:
    """Whether two arms, in either order, are a planned contrast."""
    return (first, second) in PLANNED_CONTRASTS or (second, first) in PLANNED_CONTRASTS


def verdict(difference: float, p: float, smallest: float | None) -> str:
    """Returns the verdict on the first arm, in words."""
    if p < LEVEL:
        return "better" if difference > 0 else "worse"
    return f"no difference found (minimum detectable difference: {smallest:.2f} points)"


def _numbers(first: np.ndarray, second: np.ndarray, level: float, planned: bool) -> dict[str, Any]:
    """Returns the values and the verdict of a comparison, from counts `[seeds, documents, 2]`."""
    by_seed = differences(first, second)
    if np.ptp(by_seed) < ROUNDING:
        unknown = dict.fromkeys(("low", "high", "p", "p_sign_flips", "p_adjusted", "smallest"))
        return {"difference": float(by_seed[0]), **unknown, "verdict": _no_verdict(first, second, by_seed)}
    found = estimate(first, second)
    p, smallest = p_value(found), minimum_detectable_difference(found, level)
    return {
        "difference": found.difference,
        "low": found.difference - half_width(found),
        "high": found.difference + half_width(found),
        "p": p,
        "p_sign_flips": sign_flip_p(by_seed),
        "p_adjusted": p if planned else None,
        "smallest": smallest,
        "verdict": verdict(found.difference, p, smallest),
    }


def _no_verdict(first: np.ndarray, second: np.ndarray, by_seed: np.ndarray) -> str:
    """Returns why differences `[seeds]` without variance have no verdict."""
    if not (first[..., 0].any() or second[..., 0].any()):
        return NO_ENTITY
    if len(by_seed) == 1:
        return ONE_SEED
    return SAME_SCORES if abs(by_seed[0]) < ROUNDING else SAME_DIFFERENCE


def _adjusted(comparison: Comparison, p: float) -> Comparison:
    if comparison.p is None:
        return comparison
    return comparison._replace(p_adjusted=p, verdict=verdict(comparison.difference, p, comparison.smallest))


def _pairs(members: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    seeds = {arm: runs_by_seed(members, arm).keys() for arm in arms(members)}
    return [(first, second) for first, second in combinations(seeds, 2) if seeds[first] & seeds[second]]
