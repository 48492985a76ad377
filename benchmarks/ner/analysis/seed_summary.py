"""Test F1 of one arm over its seeds, in points: 0 to 100."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from benchmarks.ner.analysis.estimate import LEVEL
from benchmarks.ner.analysis.pairing import arms, conditions, groups, runs_by_seed

FEWEST_FOR_INTERVAL = 3


class Summary(NamedTuple):
    """Test F1 of one arm over its seeds. The deviation is None for one seed, the interval for less than three."""

    dataset: str
    conditions: str  # dataset, model, budget and launch, as JSON
    arm: str
    seeds: tuple[int, ...]
    mean: float
    deviation: float | None
    low: float | None  # 95 % interval of the mean over seeds, by Student's t, clipped to [0, 100]
    high: float | None


def summaries(results: Iterable[Mapping[str, Any]]) -> list[Summary]:
    """Summarizes each arm under each dataset, model, budget and launch, from its fine-tuned runs."""
    return [_summary(members, arm) for members in map(_scored, groups(results)) for arm in arms(members)]


def _scored(results: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [result for result in results if result["quality"]["test_f1"] is not None]


def _summary(members: Sequence[Mapping[str, Any]], arm: str) -> Summary:
    runs = runs_by_seed(members, arm)
    seeds = tuple(sorted(runs))
    values = [100 * runs[seed]["quality"]["test_f1"] for seed in seeds]
    return Summary(members[0]["dataset"]["name"], conditions(members[0]), arm, seeds, *spread(values))


def spread(percentages: Sequence[float]) -> tuple[float, float | None, float | None, float | None]:
    """Returns the mean, the sample standard deviation, and the 95 % interval of the mean, clipped to [0, 100].

    Two values have no interval: theirs is 13 times as wide as their distance, so it says nothing.
    """
    mean = float(np.mean(percentages))
    if len(percentages) == 1:
        return mean, None, None, None
    deviation = float(np.std(percentages, ddof=1))
    if len(percentages) < FEWEST_FOR_INTERVAL:
        return mean, deviation, None, None
    half_width = float(stats.t.isf(LEVEL / 2, len(percentages) - 1) * stats.sem(percentages))
    return mean, deviation, max(mean - half_width, 0.0), min(mean + half_width, 100.0)
