"""The runs of a registered study: which continuations each look has, and which of their runs are pairs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks.ner.analysis.pairing import Pair
from benchmarks.ner.experiments.result import Result, canonical_json, configuration
from benchmarks.ner.experiments.study import Study

DIVERGED = "the training diverged"
RunsByCell = Mapping[tuple[str, int], Result]


class StudyRuns(NamedTuple):
    """The results of a study by arm and seed, without those of its bases, and the number of all results it asks for."""

    by_cell: RunsByCell
    finished: int
    planned: int


def study_runs(study: Study, results: Iterable[Result]) -> StudyRuns:
    """Selects the results of a study by the name of the study in their identity.

    Raises `ValueError` for two results of an arm and a seed: runs of two budgets or versions are no study.
    """
    cells = {(cell.arguments.arms[0], cell.arguments.seeds[0]): cell.base for cell in study.grid.cells}
    by_cell: dict[tuple[str, int], Result] = {}
    for result in (result for result in results if result.get("study") == study.name):
        cell = result["arm"]["name"], result["seed"]
        if cell in by_cell:
            raise ValueError(
                "`results` must have one run of each arm and seed of a study, but got two of "
                f"{cell[0]!r}, seed {cell[1]}. Remove those of another budget or version."
            )
        by_cell[cell] = result
    finished = sum(is_final(by_cell[cell]) for cell in cells if cell in by_cell)
    continuations = {cell: run for cell, run in by_cell.items() if cells.get(cell) is not None}
    return StudyRuns(continuations, finished, len(cells))


def is_final(result: Result) -> bool:
    """Whether a run will not be run again: it succeeded, or its training diverged."""
    return result["status"] == "ok" or str(result["reason"]).startswith(DIVERGED)


def seeds_of_look(study: Study, pairs: int) -> list[int]:
    """Returns the seeds of the first continuations, `pairs` of them."""
    seeds = dict.fromkeys(cell.arguments.seeds[0] for cell in study.grid.cells if cell.base is not None)
    return list(seeds)[:pairs]


def is_complete(study: Study, runs: RunsByCell, arms: Iterable[str], pairs: int) -> bool:
    """Whether all runs of the arms that a look needs are final."""
    cells = [(arm, seed) for arm in arms for seed in seeds_of_look(study, pairs)]
    return all(cell in runs and is_final(runs[cell]) for cell in cells)


def pairs_of(runs: RunsByCell, first: str, second: str, seeds: Sequence[int]) -> list[Pair]:
    """Pairs the successful runs of two arms that began with the same weights."""
    return [pair for pair, reason in _candidates(runs, first, second, seeds) if reason is None]


def left_out(runs: RunsByCell, first: str, second: str, seeds: Sequence[int]) -> list[str]:
    """Returns why pairs are left out, in words."""
    return [reason for _, reason in _candidates(runs, first, second, seeds) if reason is not None]


def base_of(pair: Pair) -> str:
    """Returns the base of a pair: the hash of the weights that both runs began with."""
    return pair[0]["mlm"]["base_weights"]


def _candidates(runs: RunsByCell, first: str, second: str, seeds: Sequence[int]) -> Iterator[tuple[Pair, str | None]]:
    for seed in seeds:
        if (first, seed) in runs and (second, seed) in runs:
            pair = runs[first, seed], runs[second, seed]
            yield pair, _reason(*pair)


def _reason(first: Result, second: Result) -> str | None:
    names = f"{first['arm']['name']} and {second['arm']['name']}, seed {first['seed']}"
    for run in (first, second):
        if run["status"] != "ok":
            return f"{names}: {run['arm']['name']} {run['status']}: {run['reason']}"
    if _shared(first) != _shared(second):
        return f"{names}: they differ in more than their arm"
    if first["mlm"].get("base_weights") != second["mlm"].get("base_weights"):
        return f"{names}: their bases have other weights, as after a base was trained again"
    return None


def _shared(run: Result) -> str:
    """The configuration of a run without its arm; arms may have another number of fine-tunings."""
    config = configuration(run)
    budget = {name: value for name, value in config["budget"].items() if name != "fine_tunings"}
    return canonical_json({**config, "arm": None, "budget": budget})
