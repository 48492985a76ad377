"""What it costs an arm to reach a loss: steps, tokens and seconds of pre-training, out of the curves of results."""

from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.ner.curve import columns
from benchmarks.ner.report.blocks import Runs, Table
from benchmarks.ner.report.labels import Result
from benchmarks.ner.report.quality import ArmRuns, runs_cell, with_deviation

HEADINGS = ("arm", "seeds", "steps", "million tokens", "seconds")
COSTS = ("step", "num_input_tokens_seen", "train_seconds")


def reached_by_all(runs: Iterable[Result]) -> float | None:
    """The lowest MLM evaluation loss that every run got to; None without curves of what it took."""
    lowest = [losses.min() for *_, losses in map(_evaluations, runs) if losses.size]
    return float(max(lowest)) if lowest else None


def cost_table(arms: Sequence[ArmRuns], loss: float) -> Table:
    """Steps, tokens and seconds of training until an MLM evaluation loss, mean and standard deviation over seeds."""
    title = f"Cost of an MLM loss of {loss:.3f}, the lowest that every run reached"
    return Table(title, HEADINGS, [row for arm in arms if (row := _row(arm, loss))])


def cost(result: Result, loss: float) -> np.ndarray:
    """`COSTS` until the evaluation loss first was `loss` or less, on a straight line from the evaluation before."""
    *costs, losses = _evaluations(result)
    first = int(np.argmax(losses <= loss))
    # np.interp wants what it looks up to rise: the negative loss does, from the evaluation before to this one.
    around = slice(max(first - 1, 0), first + 1)
    return np.array([np.interp(-loss, -losses[around], cost[around]) for cost in costs])


def _row(arm: ArmRuns, loss: float) -> tuple[str | Runs, ...] | None:
    runs = [run for run in arm.sound if _evaluations(run).size]
    if not runs:
        return None
    steps, tokens, seconds = np.array([cost(run, loss) for run in runs]).T.tolist()
    return (
        arm.label,
        runs_cell(runs, len(runs)),
        with_deviation(steps, "{:,.0f}"),
        with_deviation([count / 1e6 for count in tokens], "{:,.3f}"),
        with_deviation(seconds, "{:,.0f}"),
    )


def _evaluations(result: Result) -> np.ndarray:
    return columns(result, *COSTS, "eval_loss")
