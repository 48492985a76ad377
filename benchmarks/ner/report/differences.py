"""How far one arm, the reference, is from each other arm: what a report says first, and shows in its first figure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.ner.analysis.comparison import NO_DIFFERENCE, Comparison
from benchmarks.ner.analysis.outcomes import LOSS, OUTCOMES, Outcome
from benchmarks.ner.analysis.pairing import pair_runs
from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.arm_words import is_pretrained
from benchmarks.ner.report.labels import rank

REFERENCE = "dynamic"


class Difference(NamedTuple):
    """An outcome of `reference` minus that of `other`.

    The 95 % interval is None for fewer than three seeds, and if the difference is the same with every seed: there is no
    verdict then.
    """

    reference: str
    other: str
    seeds: tuple[int, ...]
    by_seed: tuple[float, ...]
    difference: float
    low: float | None
    high: float | None
    is_found: bool  # whether the verdict, which is adjusted for all comparisons, is that there is a difference


def differences(runs: Sequence[Result], found: Sequence[Comparison]) -> dict[Outcome, list[Difference]]:
    """Returns the differences from the reference in each outcome, in the order of the arms.

    The reference is `dynamic` or, if it is not compared, the last arm. MLM loss is that of pre-trained arms alone,
    because that of an untrained model says nothing about masks.

    Args:
        runs: successful runs under the same conditions.
        found: their comparisons.
    """
    untrained = {run["arm"]["name"] for run in runs if not is_pretrained(run)}
    compared = [each for each in found if each.outcome != LOSS or not {each.first, each.second} & untrained]
    names = sorted({name for each in compared for name in (each.first, each.second)}, key=rank)
    if not names:
        return {}
    reference = REFERENCE if REFERENCE in names else names[-1]
    by_outcome: dict[Outcome, list[Difference]] = {}
    for outcome in OUTCOMES:
        measured = [run for run in runs if outcome.is_measured(run)]
        if own := list(_from_reference(measured, [each for each in compared if each.outcome == outcome], reference)):
            by_outcome[outcome] = own
    return by_outcome


def _from_reference(runs: Sequence[Result], compared: Sequence[Comparison], reference: str) -> Iterator[Difference]:
    others = {name: each for each in compared for name in _other(each, reference)}
    for other in sorted(others, key=rank):
        comparison, sign = others[other], 1 if others[other].first == reference else -1
        low, high = (None if end is None else sign * end for end in (comparison.low, comparison.high)[::sign])
        by_seed = comparison.outcome.differences(pair_runs(runs, reference, other))
        yield Difference(
            printable(reference),
            printable(other),
            comparison.seeds,
            tuple(by_seed.tolist()),
            sign * comparison.difference,
            low,
            high,
            comparison.p is not None and not comparison.verdict.endswith(NO_DIFFERENCE),
        )


def _other(comparison: Comparison, reference: str) -> tuple[str, ...]:
    """Returns the arm that is compared with the reference, if any."""
    pair = (comparison.first, comparison.second)
    return tuple(name for name in pair if name != reference) if reference in pair else ()
