"""The structure of a report: registered studies, what the other runs show, then tables, method, speed, environment."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.ner.analysis.registered import Judgement, judge
from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.experiments.study import registered_studies
from benchmarks.ner.report.blocks import Block, Heading, Paragraph, notes_once
from benchmarks.ner.report.environments import environments
from benchmarks.ner.report.grouping import without_studies
from benchmarks.ner.report.speed_tables import STAGES, speed_table, speeds
from benchmarks.ner.report.status_tables import not_run
from benchmarks.ner.report.study_tables import study_section
from benchmarks.ner.report.task_section import Task, speed_figure, task_finding, task_section, tasks_of

TITLE = "Comparison of masking strategies"
METHOD = (
    "Headings name the dataset, the model, and the epochs of pre-training and of fine-tuning. Differences are "
    "those of runs with the same seed, which share initial weights, the order of examples, and the test "
    "sentences. The intervals treat seeds as random samples and, for F1, the documents of the test split too; the "
    "validation text of the MLM loss is fixed. A p-value is that of the interval, or of a sign-flip permutation "
    "test if that is larger and there are pairs enough for it. Only registered studies, which declare their "
    "comparisons before the first run, have verdicts that are not exploratory."
)
NOT_RUN = "Runs without a result"
EMPTY = "This folder has no results of runs. Make some: python -m benchmarks.ner --output_dir FOLDER"


def report(results: Sequence[Result], rejected: Sequence[tuple[Path, str]]) -> list[Block]:
    """Builds the report of the results of a folder."""
    judged, tasks = judgements(results), tasks_of(without_studies(results))
    blocks: list[Block] = [
        Heading(TITLE, level=1),
        *(block for each in judged for block in study_section(each)),
        *_unknown_studies(results),
        *_findings(tasks, is_headed=bool(judged)),
        *_unfinished(results, rejected),
        *(block for task in tasks for block in task_section(task)),
        *_not_run(results, rejected),
        *_method(tasks),
        *_speed(tasks),
        *environments(results),
    ]
    return list(notes_once(blocks))


def judgements(results: Sequence[Result]) -> list[Judgement]:
    """Judges the registered studies that have results here."""
    names = {each.get("study") for each in results}
    return [judge(study, results) for study in registered_studies() if study.name in names]


def _unknown_studies(results: Sequence[Result]) -> Iterator[Paragraph]:
    """Names the studies of results that have no file here, so that no result is passed over in silence."""
    known = {study.name for study in registered_studies()}
    counts = Counter(each["study"] for each in results if each.get("study") is not None and each["study"] not in known)
    for name, count in counts.items():
        text = f"{name!r} has {count} runs and no file in benchmarks/ner/studies, by which it is judged. Add that file."
        yield Paragraph(printable(text), mark="Unknown study:")


def _findings(tasks: Sequence[Task], is_headed: bool) -> Iterator[Block]:
    """Yields what each task shows; a heading separates it from studies."""
    if tasks and is_headed:
        yield Heading("Exploratory comparisons")
    for task in tasks:
        yield from task_finding(task)


def _method(tasks: Sequence[Task]) -> Iterator[Block]:
    if tasks:
        yield Heading("Method")
        yield Paragraph(METHOD)


def _unfinished(results: Sequence[Result], rejected: Sequence[object]) -> Iterator[Paragraph]:
    """Counts the runs without a result at the top, as their reasons are far below."""
    statuses = Counter(each["status"] for each in results)
    counts = {"failed": statuses["failed"], "skipped": statuses["skipped"], "rejected": len(rejected)}
    if not results and not rejected:
        yield Paragraph(EMPTY)
    elif any(counts.values()):
        named = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        yield Paragraph(f"{named}; the reasons are under '{NOT_RUN}'.", mark="Without a result:")


def _not_run(results: Sequence[Result], rejected: Sequence[tuple[Path, str]]) -> Iterator[Block]:
    if tables := list(not_run(results, rejected)):
        yield Heading(NOT_RUN)
        yield from tables


def _speed(tasks: Sequence[Task]) -> Iterator[Block]:
    """Yields one section with the speeds of all tasks."""
    timed = [(task, {stage: speeds(task.runs, stage) for stage in STAGES}) for task in tasks]
    timed = [(task, by_stage) for task, by_stage in timed if any(by_stage.values())]
    if timed:
        yield Heading("Speed")
    for task, by_stage in timed:
        if len(timed) > 1:
            yield Heading(task.label, level=3)
        yield from (speed_table(found, stage) for stage, found in by_stage.items() if found)
        if any(len(found) > 1 for found in by_stage.values()):
            yield speed_figure(task.label, by_stage)
