"""The structure of a report: registered studies, then each task with its tables and figures, then what has not run."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ner.analysis.comparison import Comparison, comparisons, incomparable_reason
from benchmarks.ner.analysis.pairing import conditions, groups
from benchmarks.ner.analysis.registered import Judgement, judge
from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.experiments.study import registered_studies
from benchmarks.ner.report.blocks import Block, Figure, Heading, Paragraph, Table
from benchmarks.ner.report.cost_tables import EXPLAINED, cost_tables
from benchmarks.ner.report.figures import draw_f1, draw_speeds, draw_training, has_curve
from benchmarks.ner.report.grouping import launches, tasks, without_studies
from benchmarks.ner.report.loss_tables import loss_blocks
from benchmarks.ner.report.quality_tables import (
    ArmRuns,
    by_arm,
    comparison_tables,
    no_entities,
    percentages,
    quality_table,
)
from benchmarks.ner.report.speed_tables import STAGES, Speed, speed_table, speeds
from benchmarks.ner.report.status_tables import not_run
from benchmarks.ner.report.study_tables import study_answer, study_section

TITLE = "Comparison of masking strategies"
METHOD = (
    "F1 is the strict IOB2 score of seqeval, micro-averaged over entities, in percent. ± is the standard "
    "deviation over seeds; the interval is the 95 % confidence interval of their mean, for three seeds or more. "
    "Differences compare runs of the same seed on the same sentences. They treat seeds as random samples, and for "
    "F1 documents too; MLM loss is that of this validation text. A p-value is that of the interval, or of a "
    "sign-flip permutation test if that is larger and there are pairs enough. Verdicts on contrasts that were "
    "declared before any run come from registered studies alone. All other comparisons are exploratory: Holm's "
    "method adjusts those of a table together. The column '80 % power for' has the difference that a test at 5 % "
    f"finds with a power of 80 %, and its range, as the standard deviation is itself an estimate. {EXPLAINED}"
)


def report(results: Sequence[Result], rejected: Sequence[tuple[Path, str]]) -> list[Block]:
    """Builds the report of the results of a folder."""
    others = without_studies(results)
    found = _comparisons(others)
    blocks: list[Block] = [
        Heading(TITLE, level=1),
        *(block for each in judgements(results) for block in study_section(each)),
        *_unknown_studies(results),
        *_method(others),
        *(block for label, runs in tasks(others) for block in _task(label, runs, found)),
        *not_run(results, rejected),
        *_environments(results),
    ]
    return blocks


def summary(results: Sequence[Result]) -> list[Block]:
    """Builds a summary: the answers of registered studies, and the tables of comparable arms."""
    others = without_studies(results)
    members = [(f"{label}, {name}", runs) for label, of_task in tasks(others) for name, runs in launches(of_task)]
    return [
        *(block for each in judgements(results) for block in study_answer(each)),
        *(block for name, runs in members if len(by_arm(runs)) > 1 for block in _f1(name, runs)),
        *not_run(results),
    ]


def _unknown_studies(results: Sequence[Result]) -> Iterator[Paragraph]:
    """Names the studies of results that have no file here, so that no result is passed over in silence."""
    known = {study.name for study in registered_studies()}
    counts = Counter(each["study"] for each in results if each.get("study") is not None and each["study"] not in known)
    for name, count in counts.items():
        text = f"{name!r} has {count} runs and no file in benchmarks/ner/studies, by which it is judged. Add that file."
        yield Paragraph(printable(text), mark="Unknown study:")


def _method(others: Sequence[Result]) -> Iterator[Block]:
    if others:
        yield Heading("Exploratory comparisons")
        yield Paragraph(METHOD)


def judgements(results: Sequence[Result]) -> list[Judgement]:
    """Judges the registered studies that have results here."""
    names = {each.get("study") for each in results}
    return [judge(study, results) for study in registered_studies() if study.name in names]


def _f1(name: str, runs: Sequence[Result]) -> Iterator[Block]:
    yield quality_table(name, runs)
    yield _figure(f"F1 by arm, {name}", lambda path: draw_f1(by_arm(runs), path))


def _comparisons(results: Iterable[Result]) -> list[Comparison]:
    return comparisons([each for members in groups(results) if not incomparable_reason(members) for each in members])


def _task(label: str, results: Sequence[Result], found: Sequence[Comparison]) -> Iterator[Block]:
    yield Heading(label)
    for launched, runs in launches(results):
        among = [comparison for comparison in found if comparison.conditions == conditions(runs[0])]
        yield quality_table(launched, runs)
        yield from _mixed_commits(runs)
        yield from no_entities(runs)
        yield from _arms(f"{label}, {launched}", by_arm(runs), among)
        if reason := incomparable_reason([each for each in runs if each["status"] == "ok"]):
            yield Paragraph(printable(f"These arms cannot be compared: {reason}."))
    yield from _speed(label, {stage: speeds(results, stage) for stage in STAGES})


def _arms(name: str, arms: Sequence[ArmRuns], found: Sequence[Comparison]) -> Iterator[Block]:
    if len([arm for arm in arms if percentages(arm.successful, "test_f1")]) > 1:
        yield _figure(f"F1 by arm, {name}", lambda path: draw_f1(arms, path))
    yield from loss_blocks(arms)
    yield from comparison_tables(found)
    if any(map(has_curve, arms)):
        yield _figure(f"MLM loss and mask rate, {name}", lambda path: draw_training(arms, path))
    yield from cost_tables(arms)


def _mixed_commits(runs: Iterable[Result]) -> Iterator[Paragraph]:
    """Warns of runs under the same conditions that were made by several commits of this project."""
    commits = Counter(str((each["env"] or {}).get("commit"))[:8] for each in runs if each["status"] == "ok")
    if len(commits) > 1:
        made = ", ".join(f"{commit} ({count})" for commit, count in commits.most_common())
        text = f"these runs were made by several commits, so pairs may differ in more than their arm: {made}."
        yield Paragraph(printable(text), mark="Mixed commits:")


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
