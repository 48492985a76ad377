"""The sentences on runs that cannot be compared."""

from __future__ import annotations

import pytest
from support.made_results import make_result, with_scores

from benchmarks.ner.report.blocks import Paragraph, Table
from benchmarks.ner.report.document import report
from benchmarks.ner.report.uncompared import ADVICE, uncompared


def said(*launches: list[dict]) -> Paragraph:
    (paragraph,) = uncompared("toy", launches)
    return paragraph


def test_a_single_run_has_its_scores_and_advice() -> None:
    only = said([with_scores(make_result("dynamic", 1), 0.5)])
    assert only.mark == "toy: one arm, dynamic, so nothing can be compared."
    assert only.text == f"It has a test F1 of 50.00 % and an MLM loss of 3.000 nat (1 run). {ADVICE}"


def test_several_seeds_of_one_arm_have_their_mean() -> None:
    runs = [with_scores(make_result("none", seed), 0.5 + seed / 100) for seed in range(3)]
    assert "a test F1 of 51.00 ± 1.00 % and an MLM loss of 3.000 nat (3 runs)" in said(runs).text


def test_an_arm_without_scores_has_its_loss() -> None:
    assert said([with_scores(make_result("static", 0), None, None)]).text.startswith("It has an MLM loss of 2.000 nat")


def in_two_processes(arm: str = "dynamic", **changes: object) -> dict:
    return make_result(arm, 0, requested={"num_processes": 2}, **changes)


def test_one_arm_in_several_launches_is_about_speed() -> None:
    runs = [make_result("dynamic", 0), in_two_processes()]
    assert said(*([run] for run in runs)).text == "Its launches are compared under 'Speed'."
    tables = [block for block in report(runs, []) if isinstance(block, Table) and block.headings[0] == "launch"]
    assert [len(table.rows) for table in tables] == [2, 2]


@pytest.mark.parametrize(
    "changes",
    [{"status": "failed", "reason": "no"}, {"speed": {"mlm": None, "ner": None}}],
)
def test_one_arm_without_two_timed_launches_has_its_scores(changes: dict) -> None:
    only = said([make_result("dynamic", 0)], [in_two_processes(**changes)])
    assert only.text.startswith("It has a test F1 of ")
    assert only.text.endswith(ADVICE)


def test_arms_without_a_common_seed_are_not_compared() -> None:
    only = said([make_result("dynamic", 0), make_result("static", 1)])
    assert only.mark == "toy: no two arms share a seed, so nothing can be compared."


def test_arms_with_a_common_seed_in_two_launches_are_not_compared() -> None:
    only = said([make_result("dynamic", 0)], [in_two_processes("static")])
    assert only.mark == "toy: no two arms share a seed in one launch, so nothing can be compared."


def test_a_launch_that_failed_is_no_launch() -> None:
    failed = in_two_processes(status="failed", reason="no")
    only = said([make_result("dynamic", 0), make_result("static", 1)], [failed])
    assert only.mark == "toy: no two arms share a seed, so nothing can be compared."


def test_arms_without_a_common_outcome_are_not_compared() -> None:
    runs = [with_scores(make_result(arm, 0), None, None) for arm in ("none", "dynamic")]
    only = said(runs)
    assert only.mark == "toy: no two arms share an outcome, so nothing can be compared."
    assert "--fine_tunings" in only.text


def test_arms_in_two_settings_are_not_compared() -> None:
    runs = [make_result("dynamic", 0), make_result("dynamic", 0, rate=0.3), make_result("static", 0)]
    assert said(runs).mark == "toy: these arms cannot be compared."
    assert "one run per arm and seed" in said(runs).text


def test_nothing_is_said_of_runs_that_all_failed() -> None:
    assert list(uncompared("toy", [[make_result("static", 0, status="failed", reason="no")]])) == []
