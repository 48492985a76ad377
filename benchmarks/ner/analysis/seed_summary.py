"""Test F1 of one arm over its seeds, in points: 0 to 100."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from benchmarks.ner.analysis.estimate import LEVEL

FEWEST_FOR_INTERVAL = 3


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
