"""What is said of runs that cannot be compared."""

from __future__ import annotations

from support.made_results import make_result, with_scores

from benchmarks.ner.report.blocks import Paragraph
from benchmarks.ner.report.uncompared import ADVICE, uncompared


def said(*launches: list[dict]) -> Paragraph:
    (paragraph,) = uncompared("toy", launches)
    return paragraph


def test_a_single_run_has_its_scores_and_advice() -> None:
    only = said([with_scores(make_result("dynamic", 1), 0.5)])
    assert only.mark == "toy: one arm, dynamic, so nothing can be compared."
    assert only.text == f"It has a test F1 of 50.00 % and an MLM loss of 3.000 nat (1 seed). {ADVICE}"


def test_several_seeds_of_one_arm_have_their_mean() -> None:
    runs = [with_scores(make_result("none", seed), 0.5 + seed / 100) for seed in range(3)]
    assert "a test F1 of 51.00 ± 1.00 % and an MLM loss of 3.000 nat (3 seeds)" in said(runs).text


def test_an_arm_without_scores_has_its_loss() -> None:
    assert said([with_scores(make_result("static", 0), None, None)]).text.startswith("It has an MLM loss of 2.000 nat")


def test_one_arm_in_several_launches_is_about_speed() -> None:
    assert "'Speed'" in said([make_result("dynamic", 0)], [make_result("dynamic", 0)]).text


def test_arms_without_a_common_seed_are_not_compared() -> None:
    assert said([make_result("dynamic", 0), make_result("static", 1)]).mark.startswith("toy: no two arms share a seed")


def test_arms_in_two_settings_are_not_compared() -> None:
    runs = [make_result("dynamic", 0), make_result("dynamic", 0, rate=0.3), make_result("static", 0)]
    assert said(runs).mark == "toy: these arms cannot be compared."
    assert "one run per arm and seed" in said(runs).text


def test_nothing_is_said_of_runs_that_all_failed() -> None:
    assert list(uncompared("toy", [[make_result("static", 0, status="failed", reason="no")]])) == []
