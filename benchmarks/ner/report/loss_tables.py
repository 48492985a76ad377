"""The MLM loss while an arm trains: its lowest value, and whether it rises again, as where masks repeat."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.blocks import Block, Paragraph, RunLinks, Table
from benchmarks.ner.report.number_text import percent
from benchmarks.ner.report.quality_tables import ArmRuns, runs_cell
from benchmarks.ner.training.curve import columns

HEADINGS = ("arm", "seeds", "lowest", "reached after", "at the end", "rise")
NOTE = (
    "Evaluations use one mask of each example, the same throughout, so that 'at the end' differs a little from the "
    "final MLM loss, which is of other masks (--mlm_evaluation_masks). 'lowest' is the mean over runs of the "
    "lowest loss of each; 'reached after' is the share of the training steps at which it is reached; 'rise' is the "
    "range, over runs, of how far the loss at the end is above the lowest."
)
RISE = 0.05  # nat; several times the difference of two evaluations with other masks


class Course(NamedTuple):
    """The evaluation losses of a run: the lowest, the fraction of the steps after which it was reached, the last."""

    lowest: float
    reached: float
    last: float

    @property
    def rise(self) -> float:
        return self.last - self.lowest


def loss_blocks(arms: Sequence[ArmRuns]) -> Iterator[Block]:
    """Yields the table of the arms that were pre-trained, and a sentence on each whose loss rises with every seed."""
    courses = {arm.label: [_course(run) for run in _trained(arm)] for arm in arms if _trained(arm)}
    if not courses:
        return
    rows: list[tuple[str | RunLinks, ...]] = [
        (arm.label, runs_cell(_trained(arm), len(arm.runs)), *_cells(courses[arm.label]))
        for arm in arms
        if arm.label in courses
    ]
    yield Table("MLM loss on fixed masks during pre-training", HEADINGS, rows, note=NOTE)
    yield from (_rises(label, found) for label, found in courses.items() if all(each.rise > RISE for each in found))


def _trained(arm: ArmRuns) -> list[Result]:
    return [run for run in arm.successful if columns(run, "step", "eval_loss").size]


def _course(run: Result) -> Course:
    steps, losses = columns(run, "step", "eval_loss")
    return Course(float(losses.min()), float(steps[losses.argmin()] / steps[-1]), float(losses[-1]))


def _cells(courses: Sequence[Course]) -> tuple[str, ...]:
    return (
        f"{fmean(each.lowest for each in courses):.3f}",
        _reached(courses),
        f"{fmean(each.last for each in courses):.3f}",
        _range([each.rise for each in courses]),
    )


def _rises(label: str, courses: Sequence[Course]) -> Paragraph:
    seeds = "with every seed" if len(courses) > 1 else "with its one seed"
    return Paragraph(
        f"the loss of {label} is lowest after {_reached(courses)} of the training. Then it "
        f"rises again, {seeds}, by {_range([each.rise for each in courses])} nat.",
        mark="Rising loss:",
    )


def _reached(courses: Sequence[Course]) -> str:
    return percent(fmean(each.reached for each in courses), decimals=0)


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"
