"""The finding and the picture of a README are of one comparison."""

from __future__ import annotations

import pytest
from support.made_results import make_result
from support.made_study import all_results

from benchmarks.ner.experiments.study import STUDIES, read_study
from benchmarks.ner.report.blocks import Figure, Paragraph
from benchmarks.ner.report.front_page import front_page


@pytest.fixture(scope="module")
def study():
    return read_study(STUDIES / "repeated_masks.yaml")


def runs(dataset: str, arms: tuple[str, ...], seeds: int, requested: tuple | dict = ()) -> list[dict]:
    """Runs of arms whose masks repeat, except those of `dynamic`."""
    made = [
        make_result(arm, seed, dataset={"name": dataset, "fingerprint": "0f"}, requested=requested)
        for arm in arms
        for seed in range(seeds)
    ]
    return [
        {**run, "arm": {**run["arm"], "num_mask_patterns": None if run["arm"]["name"] == "dynamic" else 1}}
        for run in made
    ]


MOST_ARMS = runs("arms", ("static", "static4", "dynamic"), 3)
MOST_SEEDS = runs("seeds", ("static", "dynamic"), 4)


def test_both_are_of_the_task_with_most_seeds_of_repeated_masks() -> None:
    said, picture = front_page([*MOST_ARMS, *MOST_SEEDS])
    assert isinstance(said, Paragraph)
    assert isinstance(picture, Figure)
    assert (said.mark or "").startswith("seeds, toy, 12 + 6.5 epochs: ")
    assert picture.alt == "Differences, seeds, toy, 12 + 6.5 epochs, 1 process, fp32"


def test_the_finding_is_that_of_most_masks() -> None:
    arms = [{**run, "arm": {**run["arm"], "num_mask_patterns": 4}} for run in runs("seeds", ("static4",), 4)]
    said, _ = front_page([*MOST_SEEDS, *arms])
    assert isinstance(said, Paragraph)
    assert "static4 (4 masks for each example" in (said.mark or "")
    assert "static (" not in (said.mark or "")


def test_both_are_of_the_launch_with_most_seeds() -> None:
    few = runs("seeds", ("static", "dynamic"), 2, {"num_processes": 2})
    said, picture = front_page([*few, *MOST_SEEDS])
    assert isinstance(said, Paragraph)
    assert isinstance(picture, Figure)
    assert said.text.startswith("Exploratory: 4 seeds")
    assert picture.alt.endswith("1 process, fp32")


def test_a_task_without_a_comparison_is_passed_over() -> None:
    said, _ = front_page([*runs("alone", ("dynamic",), 9), *MOST_ARMS])
    assert isinstance(said, Paragraph)
    assert (said.mark or "").startswith("arms, toy")


def test_both_are_of_a_study_after_its_first_look(study) -> None:
    said, picture = front_page([*MOST_ARMS, *all_results(study, 6)])
    assert isinstance(said, Paragraph)
    assert isinstance(picture, Figure)
    assert (said.mark or "").startswith("Compared to new masks in each epoch")
    assert picture.file == "repeated_masks.png"


def test_a_study_before_its_first_look_is_under_way(study) -> None:
    said, picture = front_page([*MOST_ARMS, *all_results(study, 6)[:-1]])
    assert isinstance(said, Paragraph)
    assert isinstance(picture, Figure)
    assert said.text.endswith(" A registered study is under way: 59 of 114 runs are finished.")
    assert picture.alt.startswith("Differences, arms, toy")
