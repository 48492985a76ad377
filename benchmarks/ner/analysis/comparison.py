"""What the results of several seeds say: the spread of each arm, and which arm is better than which, if any.

All F1 is of test entities, strict and micro-averaged, in points: 0 to 100. `bootstrap.py` says how the errors of
differences are worked out, and why so; on tests for such scores, and why a single test set is not all there is, see
Dror et al. 2018, The Hitchhiker's Guide to Testing Statistical Significance in Natural Language Processing.
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
    p_value,
    sign_flip_p,
    smallest_difference,
)
from benchmarks.ner.analysis.pairing import arms, conditions, groups, has_counts, pair_runs, runs_by_seed

PLANNED_CONTRASTS = (
    ("dynamic", "static10"),
    ("anneal", "constant_mean"),
)  # before any of them was run; all else is exploratory
ONE_SEED = "no verdict: one seed tells nothing of the spread"
NO_ENTITY = "no verdict: no run of either arm found an entity"
SAME_SCORES = "no verdict: both arms scored the same with every seed"
SAME_DIFFERENCE = "no verdict: the difference is the same with every seed, which tells nothing of its spread"
ROUNDING = 1e-9  # points


class Comparison(NamedTuple):
    """Test F1 of `first` minus that of `second`, under the same seeds on the same sentences; None for what one seed, or
    the same difference with every seed, does not tell.
    """

    dataset: str
    conditions: str  # dataset, model, budget and launch, as JSON
    first: str
    second: str
    seeds: tuple[int, ...]
    difference: float
    low: float | None  # 95 % interval of this difference alone
    high: float | None
    p: float | None  # that there is no difference: below 0.05 just where the interval leaves out 0
    p_sign_flips: float | None  # beside it: of a permutation test over seeds, which takes the sentences as given
    p_adjusted: float | None  # by Holm, over all that was declared; None where exploratory
    smallest: float | None  # the difference that would have been found with a probability of 80 %
    verdict: str  # what follows for `first`, from `p_adjusted` or, where exploratory, from `p`
    exploratory: bool


def compare(results: Sequence[Mapping[str, Any]], first: str, second: str, family: int = 1) -> Comparison:
    """The arm `first` minus the arm `second` over the seeds they share, out of results of one dataset, model, budget
    and launch. Failed runs and other arms are passed over.

    Args:
        family: how many comparisons were declared together. A declared one's `smallest` is for the level 0.05 / family,
            Holm's strictest.

    Raises `ValueError` for runs that are no pairs: without common seeds, under other conditions, on other sentences.
    """
    run, seeds, counts = pair_runs(results, first, second)
    declared = is_planned(first, second)
    return Comparison(
        run["dataset"]["name"],
        conditions(run),
        first,
        second,
        seeds,
        **_numbers(counts[0], counts[1], LEVEL / family if declared else LEVEL, declared),
        exploratory=not declared,
    )


def comparisons(results: Iterable[Mapping[str, Any]]) -> list[Comparison]:
    """All pairs of arms that share a seed, under each dataset, model, budget and launch; those declared come first, and
    are one family for Holm's procedure. Results without counts by sentence are passed over.
    """
    counted = (result for result in results if has_counts(result))
    pairs = [(members, *pair) for members in groups(counted) for pair in _pairs(members)]
    pairs.sort(key=lambda pair: not is_planned(*pair[1:]))
    family = sum(is_planned(*pair[1:]) for pair in pairs)
    found = [compare(*pair, family=family) for pair in pairs]
    adjusted = holm(np.array([1.0 if comparison.p is None else comparison.p for comparison in found[:family]]))
    return [*map(_adjusted, found[:family], adjusted.tolist()), *found[family:]]


def incomparable_reason(members: Sequence[Mapping[str, Any]]) -> str | None:
    """Why [`comparisons`] cannot take results under the same conditions: an arm in two settings, or other sentences in
    one run than in another. None when it can.
    """
    try:
        for pair in _pairs([result for result in members if has_counts(result)]):
            pair_runs(members, *pair)
    except ValueError as error:
        return str(error)
    return None


def is_planned(first: str, second: str) -> bool:
    """Whether two arms, in either order, were to be compared before they were run."""
    return (first, second) in PLANNED_CONTRASTS or (second, first) in PLANNED_CONTRASTS


def verdict(difference: float, p: float, smallest: float | None) -> str:
    """In words, what follows for the first arm."""
    if p < LEVEL:
        return "better" if difference > 0 else "worse"
    return f"no difference found (could have seen {smallest:.2f} points)"


def _numbers(first: np.ndarray, second: np.ndarray, level: float, declared: bool) -> dict[str, Any]:
    """The numbers of a comparison and its verdict, of counts `[seeds, documents, 2]`."""
    by_seed = differences(first, second)
    if np.ptp(by_seed) < ROUNDING:
        unknown = dict.fromkeys(("low", "high", "p", "p_sign_flips", "p_adjusted", "smallest"))
        return {"difference": float(by_seed[0]), **unknown, "verdict": _no_verdict(first, second, by_seed)}
    found = estimate(first, second)
    p, smallest = p_value(found), smallest_difference(found, level)
    return {
        "difference": found.difference,
        "low": found.difference - half_width(found),
        "high": found.difference + half_width(found),
        "p": p,
        "p_sign_flips": sign_flip_p(by_seed),
        "p_adjusted": p if declared else None,
        "smallest": smallest,
        "verdict": verdict(found.difference, p, smallest),
    }


def _no_verdict(first: np.ndarray, second: np.ndarray, by_seed: np.ndarray) -> str:
    """Why differences `[seeds]` without a spread have no verdict."""
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
