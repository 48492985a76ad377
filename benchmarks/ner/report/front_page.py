"""The finding and the picture for the top of a README, both of one comparison."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.ner.analysis.comparison import Comparison
from benchmarks.ner.analysis.pairing import runs_by_seed
from benchmarks.ner.analysis.registered import Judgement
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.arm_words import is_repeated
from benchmarks.ner.report.blocks import Block
from benchmarks.ner.report.differences import REFERENCE
from benchmarks.ner.report.document import judgements
from benchmarks.ner.report.finding import comparison_finding
from benchmarks.ner.report.grouping import without_studies
from benchmarks.ner.report.labels import rank
from benchmarks.ner.report.study_answer import study_answer
from benchmarks.ner.report.task_section import Launched, difference_figure, tasks_of


def front_page(results: Sequence[Result]) -> list[Block]:
    """Returns the answer and the picture of a registered study.

    Before its first look, they are those of the exploratory comparison with most seeds of an arm whose masks repeat.
    """
    study = next(iter(judgements(results)), None)
    if study is not None and study.looks:
        return list(study_answer(study))
    label, launched = max(_compared(results), key=lambda each: _repeated_seeds(each[1].successful))
    shown = comparison_finding(label, launched.successful, launched.found, _with_most_masks(launched))
    return [replace(shown, text=shown.text + _progress(study)), difference_figure(launched)]


def _compared(results: Sequence[Result]) -> list[tuple[str, Launched]]:
    """Returns the launches whose arms are compared, with the labels of their tasks."""
    tasks = tasks_of(without_studies(results))
    return [(task.label, launched) for task in tasks for launched in task.launches if launched.differences]


def _with_most_masks(launched: Launched) -> list[Comparison]:
    """Returns the comparisons of the reference with the arm that has most masks for each example, if there is one.

    They say what a front page has room for. The picture shows all arms.
    """
    masks = {run["arm"]["name"]: run["arm"]["num_mask_patterns"] for run in launched.successful if is_repeated(run)}
    names = {REFERENCE, max(masks, key=lambda name: masks[name], default=REFERENCE)}
    return [each for each in launched.found if {each.first, each.second} == names]


def _repeated_seeds(runs: Sequence[Result]) -> int:
    """Returns the most seeds that the reference shares with an arm whose masks repeat."""
    repeated = {run["arm"]["name"] for run in runs if is_repeated(run)}
    own = runs_by_seed(runs, REFERENCE).keys()
    return max((len(own & runs_by_seed(runs, name).keys()) for name in sorted(repeated, key=rank)), default=0)


def _progress(study: Judgement | None) -> str:
    if study is None:
        return ""
    return f" A registered study is under way: {study.runs.finished} of {study.runs.planned} runs are finished."
