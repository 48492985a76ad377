"""A registered study: its cells come in the order of its looks, and its file says all that it is judged by."""

from __future__ import annotations

import copy
import shutil
import subprocess
from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest
import yaml
from support.harness import ROOT

from benchmarks.ner.experiments.result_reader import read_results
from benchmarks.ner.experiments.study import STUDIES, is_study, parse_study, read_study

COMMITTED = ROOT / "benchmarks" / "results"
PATHS = sorted(STUDIES.glob("*.yaml"))


def _primary(contrasts) -> dict[str, Any]:
    return {"primary": {"outcome": "mlm_loss", "contrasts": contrasts}}


@pytest.fixture
def asked() -> dict[str, Any]:
    return yaml.safe_load((STUDIES / "repeated_masks.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_registered_studies_can_be_read(path) -> None:
    assert is_study(path)
    study = read_study(path)
    assert study.name == path.stem
    assert set(study.control) & {study.reference}


def test_the_cells_come_in_the_order_of_the_looks(asked) -> None:
    study = parse_study("mine", asked)
    cells = study.grid.cells
    assert len(cells) == 6 + 12 * 9
    seen = Counter()
    for cell in cells:
        arguments = cell.arguments
        if cell.base is None:
            assert (arguments.save_model, arguments.fine_tunings, arguments.arms) == (True, 0, ["base"])
        else:
            assert cell.base in cells[: cells.index(cell)], "a base precedes its continuations"
            assert cell.base.arguments.split_seed == arguments.split_seed
            assert cell.base.shard_key == cell.shard_key
        seen[tuple(arguments.arms)] += 1
    first_look = cells[: 6 + 6 * 9]
    assert len({cell.arguments.seeds[0] for cell in first_look if cell.base}) == 6
    assert len({cell.arguments.seeds[0] for cell in cells if cell.base}) == 12
    assert seen["base",] == 6
    assert {count for arm, count in seen.items() if arm != ("base",)} == {12}
    assert {cell.arguments.study for cell in cells} == {"mine"}


def test_only_some_arms_are_fine_tuned(asked) -> None:
    found = {cell.arguments.arms[0]: cell.arguments.fine_tunings for cell in parse_study("mine", asked).grid.cells}
    assert {arm for arm, count in found.items() if count == 3} == set(asked["arms"]["fine_tuned"])
    assert {arm for arm, count in found.items() if count == 0} == {"base", *asked["arms"]["mlm_only"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bases": None}, r"`bases` must be a mapping with keys among arm, seeds"),
        ({"looks": [{"pairs": 5, "level": 0.05}]}, r"`looks` must be at \[6, 12\] pairs, one for each continuation"),
        ({"control": ["dynamic", "statik"]}, r"`control` must be among the arms none, .*but got 'statik'"),
        ({"primary": None}, r"`primary` must be a mapping with keys among outcome, contrasts"),
        (_primary([["dynamic"]]), r"`primary: contrasts` must be a list of two arms"),
        (_primary([]), r"`primary: contrasts` must be a list with at least one entry"),
        (_primary([["dynamic", "dynamic"]]), r"`primary: contrasts` must be of two different arms"),
        (_primary([["dynamic", "static4"]]), r"`primary: contrasts` must be among the arms none, .*but got 'static4'"),
        ({"primary": {"outcome": "loss", "contrasts": []}}, r"`primary: outcome` must be mlm_loss, but got 'loss'"),
        ({"fine_tunings": 0}, r"`fine_tunings` must be an integer >= 1, but got 0"),
        ({"time_limit": "soon"}, r"`time_limit` must be a number > 0, but got 'soon'"),
        ({"question": [1]}, r"`question` must be a string"),
        ({"looks": [{"pairs": 6, "level": 7}]}, r"`looks: level` must be between 0 and 1, but got 7"),
        ({"looks": [{"pears": 6, "level": 0.05}]}, r"`looks` must be a mapping with keys among pairs, level"),
        ({"arms": {"fine_tuned": ["none", "static"], "mlm_only": ["static"]}}, r"`arms` must be in one place"),
        ({"repeats": {"reference": "dynamic", "arms": ["anneal"]}}, r"`repeats: arms` must be arms with a `num_mask"),
        ({"registered": "soon"}, r"`registered` must be a day, but got 'soon'"),
        (
            {"secondary": {"outcome": "test_f1", "smallest_difference": "1"}},
            r"`secondary: smallest_difference` must be a number > 0, but got '1'",
        ),
        ({"more": 1}, r"`the study` must be a mapping with keys among question, .*but got 'more'"),
    ],
)
def test_an_invalid_study_is_named(asked, change, message) -> None:
    with pytest.raises(ValueError, match=message):
        parse_study("mine", {**copy.deepcopy(asked), **change})


def test_a_study_without_a_key_is_named(asked) -> None:
    del asked["looks"]
    with pytest.raises(ValueError, match=r"`the study` must be a mapping with .*, but got 'one without looks'"):
        parse_study("mine", asked)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_study_is_older_than_its_first_result(path) -> None:
    """Also its last change is: what it will be judged by is fixed."""
    git = shutil.which("git")

    def said(*words: str) -> str:
        return subprocess.run(
            [str(git), *words], cwd=path.parent, capture_output=True, text=True, check=False
        ).stdout.strip()

    if git is None or said("rev-parse", "--is-shallow-repository") != "false":
        pytest.skip("needs the history of the repository")
    committed = said("log", "-1", "--format=%ct", "--", path.name)
    assert committed, "the study is committed"
    results, _ = read_results(COMMITTED)
    started = [result["time"]["started"] for result in results if result.get("study") == path.stem]
    assert int(committed) < min(started, default=float("inf"))
    day = datetime.fromtimestamp(int(committed), tz=timezone.utc).date()
    assert read_study(path).registered <= day
