"""The structure of a report: verdicts, then each task with its tables and figures, then runs without results."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ner.analysis.comparison import PLANNED_CONTRASTS, Comparison, comparisons, incomparable_reason
from benchmarks.ner.analysis.pairing import conditions, groups
from benchmarks.ner.data.display import printable
from benchmarks.ner.report.blocks import Block, Figure, Heading, Paragraph, Table
from benchmarks.ner.report.cost_tables import EXPLAINED, cost_tables
from benchmarks.ner.report.figures import draw_f1, draw_speeds, draw_training, has_curve
from benchmarks.ner.report.grouping import launches, tasks
from benchmarks.ner.report.labels import Result
from benchmarks.ner.report.quality_tables import (
    ArmRuns,
    by_arm,
    comparison_tables,
    contrasts,
    no_entities,
    quality_table,
)
from benchmarks.ner.report.speed_tables import STAGES, Speed, speed_table, speeds
from benchmarks.ner.report.status_tables import not_run

TITLE = "Comparison of masking strategies"
METHOD = (
    "F1 is the strict IOB2 score of seqeval, micro-averaged over entities, in percent. ± is the standard deviation "
    "over seeds; the interval is the 95 % confidence interval of their mean. Differences compare runs of the same seed "
    "on the same sentences and treat seeds and documents as random samples. The p-values of planned contrasts, which "
    "this project declared before any run, are adjusted together with Holm's method; all other comparisons are "
    f"exploratory, and their p-values are not adjusted. {EXPLAINED}"
)
NO_CONTRAST = (
    "None of the contrasts that this project declared in advance "
    f"({', '.join(' against '.join(pair) for pair in PLANNED_CONTRASTS)}) is among these runs, so all comparisons are "
    "exploratory."
)


def report(results: Sequence[Result], rejected: Sequence[tuple[Path, str]]) -> list[Block]:
    """Builds the report of the results of a folder."""
    found = _comparisons(results)
    return [
        Heading(TITLE, level=1),
        *(verdicts := list(_verdicts(results, found))),
        Paragraph(METHOD),
        *([] if verdicts else [Paragraph(NO_CONTRAST)]),
        *(block for label, runs in tasks(results) for block in _task(label, runs, found)),
        *not_run(results, rejected),
        *_environments(results),
    ]


def summary(results: Sequence[Result]) -> list[Block]:
    """Builds a summary: verdicts, the F1 of comparable arms, and runs without results."""
    found = _comparisons(results)
    members = [(f"{label}, {name}", runs) for label, of_task in tasks(results) for name, runs in launches(of_task)]
    return [
        *_verdicts(results, found),
        *(block for name, runs in members if len(by_arm(runs)) > 1 for block in _f1(name, runs)),
        *not_run(results),
    ]


def _f1(name: str, runs: Sequence[Result]) -> Iterator[Block]:
    yield quality_table(name, runs)
    yield _figure(f"F1 by arm, {name}", lambda path: draw_f1(by_arm(runs), path))


def _comparisons(results: Iterable[Result]) -> list[Comparison]:
    return comparisons([each for members in groups(results) if not incomparable_reason(members) for each in members])


def _verdicts(results: Sequence[Result], found: Sequence[Comparison]) -> Iterator[Paragraph]:
    names = {
        conditions(runs[0]): f"{label}, {launched}"
        for label, members in tasks(results)
        for launched, runs in launches(members)
    }
    return contrasts(found, names)


def _task(label: str, results: Sequence[Result], found: Sequence[Comparison]) -> Iterator[Block]:
    yield Heading(label)
    for launched, runs in launches(results):
        among = [comparison for comparison in found if comparison.conditions == conditions(runs[0])]
        yield quality_table(launched, runs)
        yield from no_entities(runs)
        yield from _arms(f"{label}, {launched}", by_arm(runs), among)
        if reason := incomparable_reason([each for each in runs if each["status"] == "ok"]):
            yield Paragraph(printable(f"These arms cannot be compared: {reason}."))
    yield from _speed(label, {stage: speeds(results, stage) for stage in STAGES})


def _arms(name: str, arms: Sequence[ArmRuns], found: Sequence[Comparison]) -> Iterator[Block]:
    if len([arm for arm in arms if arm.successful]) > 1:
        yield _figure(f"F1 by arm, {name}", lambda path: draw_f1(arms, path))
    yield from comparison_tables(found)
    if any(map(has_curve, arms)):
        yield _figure(f"MLM loss and mask rate, {name}", lambda path: draw_training(arms, path))
    yield from cost_tables(arms)


def _speed(label: str, by_stage: dict[str, list[Speed]]) -> Iterator[Block]:
    if not any(by_stage.values()):
        return
    yield Heading("Speed", level=3)
    yield from (speed_table(found, stage) for stage, found in by_stage.items() if found)
    if any(len(found) > 1 for found in by_stage.values()):
        yield _figure(f"Speed, {label}", lambda path: draw_speeds(by_stage, path))


def _figure(about: str, draw: Callable[[Path], None]) -> Figure:
    """Names the file after the content of the figure, so that further figures do not change it."""
    name = f"{about.split(',')[0].lower().replace(' ', '-')}-{hashlib.sha256(about.encode()).hexdigest()[:8]}.png"
    return Figure(name, about, draw)


def _environments(results: Iterable[Result]) -> Iterator[Block]:
    made = Counter(_environment(each["env"]) for each in results if each["status"] != "skipped")
    if made:
        yield Heading("Environment")
        yield Table(
            "", ("software and machine", "runs"), [(maker, str(runs)) for maker, runs in made.most_common()], True
        )


def _environment(env: Any) -> str:
    if not isinstance(env, Mapping) or not isinstance(env.get("packages"), Mapping):
        return "unknown"
    packages = [f"{name} {version}" for name, version in env["packages"].items()]
    named = [f"Python {env.get('python')}", *packages, f"commit {env.get('commit')}", str(env.get("processor"))]
    return printable(", ".join(named))
