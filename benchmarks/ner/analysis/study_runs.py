"""The runs of a registered study: which continuations each look has, and which of their runs are pairs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from benchmarks.ner.analysis.pairing import Pair
from benchmarks.ner.experiments.argument_checks import make_budget
from benchmarks.ner.experiments.grid import GridCell
from benchmarks.ner.experiments.result import DIVERGED, HARNESS_VERSION, Result, canonical_json, configuration
from benchmarks.ner.experiments.study import Study
from benchmarks.ner.training.arms import load_arm

Cell = tuple[str, int]
RunsByCell = Mapping[Cell, Result]


class StudyRuns(NamedTuple):
    """The results of a study by arm and seed, without those of its bases; the numbers of final and of all runs.

    `strangers` names the results that bear the name of the study but are not what its file asks for.
    """

    by_cell: RunsByCell
    finished: int
    planned: int
    strangers: list[str]


def study_runs(study: Study, results: Iterable[Result]) -> StudyRuns:
    """Selects the results that have the name of the study in their identity and the settings of one of its cells."""
    cells = {_cell_of(cell): cell for cell in study.grid.cells}
    by_cell: dict[Cell, Result] = {}
    strangers = []
    for result in (result for result in results if result.get("study") == study.name):
        cell = result["arm"]["name"], result["seed"]
        if reason := "already there" if cell in by_cell else _stranger_reason(result, cells.get(cell)):
            strangers.append(f"{cell[0]}, seed {cell[1]}: {reason}")
        else:
            by_cell[cell] = result
    finished = sum(is_final(run) for run in by_cell.values())
    continuations = {cell: run for cell, run in by_cell.items() if cells[cell].base is not None}
    return StudyRuns(continuations, finished, len(cells), strangers)


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
    """Returns the run id of the base of a pair, also if the base was trained again between two continuations."""
    return pair[0]["base"]


def _cell_of(cell: GridCell) -> Cell:
    return cell.arguments.arms[0], cell.arguments.seeds[0]


def _stranger_reason(result: Result, cell: GridCell | None) -> str | None:
    """Returns in what a result differs from its cell of the study, or None. Fingerprints need the corpora."""
    if cell is None:
        return "the study has no such arm and seed"
    own, text = cell.arguments, result["dataset"].get("mlm", {})
    found = {
        "harness": result.get("harness"),
        "arm": result["arm"],
        "budget": result["budget"],
        "model": result["model"]["name"],
        "dataset": result["dataset"]["name"],
        "text": (text.get("files"), text.get("split_seed")),
        "launch": result["launch"]["requested"].get("config"),
        "base": "base" in result,
    }
    expected = {
        "harness": HARNESS_VERSION,
        "arm": load_arm(own.arms[0]).settings(),
        "budget": asdict(make_budget(own)),
        "model": Path(own.model).name,
        "dataset": own.dataset_name,
        "text": ([Path(file).name for file in own.mlm_train_file], own.split_seed),
        "launch": cell.launch.name,
        "base": cell.base is not None,
    }
    differing = [name for name, value in expected.items() if found[name] != value]
    return f"it differs from the study in {', '.join(differing)}" if differing else None


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
