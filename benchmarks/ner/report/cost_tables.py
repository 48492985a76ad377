"""The training cost, in tokens, labels and seconds, at which an arm reaches the loss of another arm."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.blocks import RunLinks, Table
from benchmarks.ner.report.number_text import number
from benchmarks.ner.report.quality_tables import ArmRuns, runs_cell
from benchmarks.ner.training.curve import evaluations

TOKENS = "num_input_tokens_seen"
MASKED = "num_masked_tokens_seen"
SECONDS = "train_seconds"
COSTS = {
    "million tokens": (TOKENS, 1e-6, "{:,.4g}"),
    "million labels": (MASKED, 1e-6, "{:,.4g}"),
    "seconds": (SECONDS, 1, "{:,.0f}"),
}

NOTE = (
    "A cell is the training, the mean over runs, after which the arm of the row first has the MLM loss in the "
    "heading, interpolated between evaluations. That loss is the lowest that all runs of the named arm reach. '-' "
    "means that a run of the row does not reach it."
)


def cost_tables(arms: Sequence[ArmRuns]) -> Iterator[Table]:
    """Builds tables of the mean cost of each arm to reach the loss of each arm, "-" if a run does not reach it.

    A single arm has no tables. Seconds count only on a machine of their own, labels only where they were counted.
    """
    timed = [arm for arm in arms if any(_timed(run) for run in arm.successful)]
    if len(timed) < 2:
        return
    losses = [(arm.label, reached_loss(arm.successful)) for arm in timed]
    headings = ("arm", "seeds", *(f"loss of {label} ({loss:.3f})" for label, loss in losses))
    runs = [run for arm in timed for run in arm.successful if _timed(run)]
    for what, (name, unit, form) in COSTS.items():
        if not all(_counts(run, name) for run in runs):
            continue
        rows: list[tuple[str | RunLinks, ...]] = [
            (
                arm.label,
                runs_cell(arm.successful, len(arm.successful)),
                *_cells(arm.successful, losses, name, unit, form),
            )
            for arm in timed
        ]
        yield Table(f"Training needed to reach the best MLM loss of an arm ({what})", headings, rows, note=NOTE)


def reached_loss(runs: Iterable[Result]) -> float:
    """Returns the lowest MLM evaluation loss that all runs reach."""
    return float(max(evaluations(run, TOKENS)[1].min() for run in runs if _timed(run)))


def cost(result: Result, loss: float, name: str) -> float | None:
    """Returns the value of `name` when the evaluation loss first reaches `loss`, or None if it never does.

    The value is interpolated linearly from the previous evaluation.
    """
    costs, losses = evaluations(result, name)
    below = losses <= loss
    if not below.any():
        return None
    first = int(below.argmax())
    around = slice(max(first - 1, 0), first + 1)
    return float(
        np.interp(-loss, -losses[around], costs[around])
    )  # np.interp needs increasing values, and -loss increases


def _cells(
    runs: Iterable[Result], losses: Iterable[tuple[str, float]], name: str, unit: float, form: str
) -> Iterator[str]:
    for _, loss in losses:
        costs = [cost(run, loss, name) for run in runs if _timed(run)]
        there = [each for each in costs if each is not None]
        yield number(unit * float(np.mean(there)) if len(there) == len(costs) else None, form)


def _counts(run: Result, name: str) -> bool:
    """Whether a run knows this cost."""
    if name == SECONDS and not (run["env"] or {}).get("own_machine"):
        return False
    return evaluations(run, name).size > 0


def _timed(run: Result) -> bool:
    return evaluations(run, TOKENS).size > 0
