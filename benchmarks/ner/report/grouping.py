"""Groups the results of a report by task, and those of a task by launch."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from benchmarks.ner.experiments.result import IDENTITY_SINCE_2, Result, canonical_json, configuration
from benchmarks.ner.report.labels import disambiguate, launch, task


def without_studies(results: Iterable[Result]) -> list[Result]:
    """Returns the results that belong to no registered study, which is judged by its own file."""
    return [each for each in results if each.get("study") is None]


def tasks(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    """Groups results by dataset, model and budget, with labels, those with most arms and most runs first.

    Skipped runs are left out.
    """
    found = _group_with_labels([each for each in results if each["status"] != "skipped"], task, _task_settings)
    return sorted(found, key=lambda named: (-len({each["arm"]["name"] for each in named[1]}), -len(named[1])))


def launches(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    """Groups the results of one task by launch."""
    return _group_with_labels(
        results, launch, lambda result: {"launch": result["launch"]["requested"], **_workers(result)}
    )


def _group_with_labels(
    results: Iterable[Result], name: Callable[[Result], str], settings: Callable[[Result], dict[str, Any]]
) -> list[tuple[str, list[Result]]]:
    def key(result: Result) -> tuple[str, str]:
        return name(result), canonical_json(settings(result))

    members = [list(runs) for _, runs in groupby(sorted(results, key=key), key=key)]
    labels = disambiguate([name(runs[0]) for runs in members], [settings(runs[0]) for runs in members])
    return list(zip(labels, members, strict=True))


def _task_settings(result: Result) -> dict[str, Any]:
    asked, workers = configuration(result), _workers(result)
    budget = {name: value for name, value in asked["budget"].items() if name not in workers}
    since_2 = {name: asked[name] for name in IDENTITY_SINCE_2 if name in asked}
    return {"dataset": asked["dataset"], "model": asked["model"], "budget": budget, **since_2}


def _workers(result: Result) -> dict[str, Any]:
    return {name: value for name, value in result["budget"].items() if name.startswith("dataloader_")}
