"""The section of a task, which is a dataset, a model and a budget: what its arms show, then figures and tables."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.ner.analysis.comparison import Comparison, comparisons
from benchmarks.ner.analysis.outcomes import Outcome
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.blocks import Block, Figure, Heading, Paragraph
from benchmarks.ner.report.cost_tables import cost_tables
from benchmarks.ner.report.differences import Difference, differences
from benchmarks.ner.report.environments import mixed_commits
from benchmarks.ner.report.figures import draw_differences, draw_f1, draw_speeds, draw_training, has_curve
from benchmarks.ner.report.finding import comparison_finding
from benchmarks.ner.report.grouping import launches, tasks
from benchmarks.ner.report.loss_tables import loss_blocks
from benchmarks.ner.report.quality_tables import by_arm, comparison_tables, no_entities, percentages, quality_table
from benchmarks.ner.report.speed_tables import Speed
from benchmarks.ner.report.uncompared import uncompared


class Launched(NamedTuple):
    """The runs of a task in one launch, and their comparisons; `name` is that of task and launch."""

    name: str
    launch: str
    runs: list[Result]
    found: list[Comparison]

    @property
    def successful(self) -> list[Result]:
        return [run for run in self.runs if run["status"] == "ok"]

    @property
    def differences(self) -> dict[Outcome, list[Difference]]:
        return differences(self.successful, self.found)


class Task(NamedTuple):
    """The runs of a task, by launch."""

    label: str
    runs: list[Result]
    launches: list[Launched]


def tasks_of(results: Sequence[Result]) -> list[Task]:
    """Groups results, without those of studies, by task and launch, and compares the arms of each launch."""
    return [
        Task(label, members, [_launched(label, launch, runs) for launch, runs in launches(members)])
        for label, members in tasks(results)
    ]


def task_finding(task: Task) -> Iterator[Paragraph]:
    """Yields what each launch shows, or why nothing is compared."""
    compared = [each for each in task.launches if each.differences]
    for each in compared:
        label = each.name if len(compared) > 1 else task.label
        yield comparison_finding(label, each.successful, each.found)
    if not compared:
        yield from uncompared(task.label, [each.runs for each in task.launches])


def task_section(task: Task) -> Iterator[Block]:
    """Yields the figures and the tables of each launch."""
    yield Heading(task.label)
    for each in task.launches:
        yield from _arms(each)


def difference_figure(launched: Launched) -> Figure:
    return _figure(f"Differences, {launched.name}", lambda path: draw_differences(launched.differences, path))


def speed_figure(label: str, by_stage: dict[str, list[Speed]]) -> Figure:
    return _figure(f"Speed, {label}", lambda path: draw_speeds(by_stage, path))


def _launched(label: str, launch: str, runs: list[Result]) -> Launched:
    successful = [run for run in runs if run["status"] == "ok"]
    try:
        found = comparisons(successful)
    except ValueError:  # `uncompared` says why
        found = []
    return Launched(f"{label}, {launch}", launch, runs, found)


def _arms(launched: Launched) -> Iterator[Block]:
    arms = by_arm(launched.runs)
    if launched.differences:
        yield difference_figure(launched)
    yield quality_table(launched.launch, launched.runs)
    yield from no_entities(launched.runs)
    yield from mixed_commits(launched.runs)
    if len([arm for arm in arms if percentages(arm.successful, "test_f1")]) > 1:
        yield _f1_figure(launched)
    yield from comparison_tables(launched.found)
    yield from loss_blocks(arms)
    if any(map(has_curve, arms)):
        yield _figure(f"MLM loss and mask rate, {launched.name}", lambda path: draw_training(arms, path))
    yield from cost_tables(arms)


def _f1_figure(launched: Launched) -> Figure:
    return _figure(f"F1 by arm, {launched.name}", lambda path: draw_f1(by_arm(launched.runs), path))


def _figure(about: str, draw: Callable[[Path], None]) -> Figure:
    """Names the file after the content of the figure, so that further figures do not change it."""
    name = f"{about.split(',')[0].lower().replace(' ', '-')}-{hashlib.sha256(about.encode()).hexdigest()[:8]}.png"
    return Figure(name, about, draw)
