"""The identity of a run: but for the version of the harness, the grids ask for the results of the first version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.harness import ROOT

from benchmarks.ner.experiments import plan
from benchmarks.ner.experiments.argument_checks import make_budget
from benchmarks.ner.experiments.cell import Task
from benchmarks.ner.experiments.grid import read_grid
from benchmarks.ner.experiments.harness_arguments import HarnessArguments, dataset_name
from benchmarks.ner.experiments.plan import PlannedCell, plan_cells
from benchmarks.ner.experiments.result import file_name, result_path, run_id
from benchmarks.ner.experiments.result_reader import read_results
from benchmarks.ner.experiments.sweep_arguments import SweepArguments

COMMITTED = ROOT / "benchmarks" / "results"
GRIDS = ROOT / "benchmarks" / "ner" / "config" / "grids"


@pytest.fixture
def no_corpora(monkeypatch) -> None:
    """Corpora and encoders are not part of the project: what results say of them takes their place."""
    results = [result for result in read_results(COMMITTED)[0] if "harness" not in result]  # of the first version
    datasets = {result["dataset"]["name"]: result["dataset"] for result in results}
    models = {result["model"]["name"]: result["model"] for result in results}
    tiny = {result["dataset"]["name"]: result["model"] for result in results if result["model"]["name"] == "tiny"}

    def loaded(arguments: HarnessArguments, requested: dict) -> Task:
        dataset, model = datasets[dataset_name(arguments)], models[Path(arguments.model).name]
        model = tiny[dataset["name"]] if model["name"] == "tiny" else model
        return Task(dataset, None, None, [], model["name"], model, None, make_budget(arguments), requested, None)

    monkeypatch.setattr(plan, "_load_task", loaded)


def _files(folder: Path) -> Iterator[str]:
    for grid in GRIDS.glob("*.yaml"):
        if "embedded" not in grid.read_text(encoding="utf-8"):
            yield from map(_first_version, plan_cells(read_grid(grid), SweepArguments(), folder))


def _first_version(planned: PlannedCell) -> str:
    """The name of the file of a cell in the first version of the harness, which had neither of the new settings."""
    config = {**planned.config, "budget": dict(planned.config["budget"])}
    assert config.pop("harness") == 2
    assert (config["budget"].pop("mlm_evaluation_masks"), config["budget"].pop("fine_tunings")) == (5, 1)
    return result_path(Path(), config["arm"]["name"], config["seed"], run_id(config)).name


def test_the_grids_ask_for_every_committed_result(tmp_path, no_corpora) -> None:
    results, _ = read_results(COMMITTED)
    committed = {file_name(result) for result in results if "harness" not in result}
    assert len(committed) > 70
    assert committed <= set(_files(tmp_path))
