"""The outcomes of a comparison: MLM loss and test F1, each with the estimate of its difference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.ner.analysis import bootstrap
from benchmarks.ner.analysis.estimate import Estimate, estimate_of_units, mean_by_unit
from benchmarks.ner.analysis.pairing import Pair, counts
from benchmarks.ner.experiments.result import Result

Units = Sequence[object]


@dataclass(frozen=True)
class Outcome:
    """An outcome in which arms are compared.

    Attributes:
        name: its name in a report.
        unit: the unit of a difference.
        higher_is_better: False for a loss.
        decimals: the decimals of a difference in a report.
        is_measured: whether a result has it.
        differences: first minus second of each pair, float `[pairs]`.
        estimate: the estimated difference, over the unit of each pair.
    """

    name: str
    unit: str
    higher_is_better: bool
    decimals: int
    is_measured: Callable[[Result], bool]
    differences: Callable[[Sequence[Pair]], np.ndarray]
    estimate: Callable[[Sequence[Pair], Units], Estimate]


def _losses(pairs: Sequence[Pair]) -> np.ndarray:
    return np.array([first["mlm"]["eval_loss"] - second["mlm"]["eval_loss"] for first, second in pairs])


def _loss_estimate(pairs: Sequence[Pair], units: Units) -> Estimate:
    """The validation text and the evaluation masks are the same for all runs, and regarded as fixed."""
    return estimate_of_units(mean_by_unit(_losses(pairs), units))


def _f1(pairs: Sequence[Pair]) -> np.ndarray:
    return bootstrap.differences(*counts(pairs))


def _f1_estimate(pairs: Sequence[Pair], units: Units) -> Estimate:
    first, second = counts(pairs)
    return bootstrap.estimate(first, second, units)


def _has_loss(result: Result) -> bool:
    return result["mlm"].get("eval_loss") is not None


def _has_counts(result: Result) -> bool:
    return result["quality"].get("test_sentences") is not None


LOSS = Outcome("MLM loss", "nat", False, 3, _has_loss, _losses, _loss_estimate)
F1 = Outcome("test F1", "points", True, 2, _has_counts, _f1, _f1_estimate)
OUTCOMES = (LOSS, F1)
