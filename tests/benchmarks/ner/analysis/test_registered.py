"""A registered study is judged at its looks by its own file. Without a difference, it finds one in 5 % of studies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from support.made_results import make_result
from support.made_study import DECLARED, EFFECTS, all_results
from support.worlds import BASES, SAME, World, losses, study

from benchmarks.ner.analysis import bootstrap
from benchmarks.ner.analysis.comparison import NO_DIFFERENCE
from benchmarks.ner.analysis.contrasts import TOO_FEW, contrast_of, with_equivalence
from benchmarks.ner.analysis.estimate import Estimate, estimate_of_units, guarded_p, holm, mean_by_unit, sign_flip_p
from benchmarks.ner.analysis.outcomes import F1
from benchmarks.ner.analysis.registered import judge
from benchmarks.ner.experiments.study import Study, parse_study
from benchmarks.ner.report.blocks import markdown
from benchmarks.ner.report.study_figure import draw_doses
from benchmarks.ner.report.study_tables import study_section


@pytest.fixture(scope="module")
def declared() -> Study:
    return parse_study("mine", DECLARED)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch) -> None:
    """The error of documents needs no precision here."""
    monkeypatch.setattr(bootstrap.estimate, "__defaults__", (None, 100))


# -- Looks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pairs", "looks"), [(6, 1), (12, 2)])
def test_a_look_is_there_when_all_its_runs_are(declared, pairs, looks) -> None:
    found = judge(declared, all_results(declared, pairs))
    assert [each.look.pairs for each in found.looks] == [6, 12][:looks]
    assert (found.runs.finished, found.runs.planned) == (6 + 9 * pairs, 6 + 9 * 12)
    results = all_results(declared, pairs)
    for missing in (run for run in results if run["seed"] == pairs - 1 and run["arm"]["name"] in ("static20", "none")):
        fewer = judge(declared, [run for run in results if run is not missing])
        assert len(fewer.looks) == looks - 1, "no verdict before all arms are there"


def test_what_is_of_another_study_or_of_none_counts_nothing(declared) -> None:
    results = all_results(declared)
    others = [{**run, "study": "other"} for run in results] + [make_result("dynamic", 0)]
    assert judge(declared, others).looks == []
    assert judge(declared, [*others, *results]).runs.finished == judge(declared, results).runs.finished


def _stranger(results, **changes) -> dict:
    return {**next(run for run in results if (run["arm"]["name"], run["seed"]) == ("none", 0)), **changes}


def test_a_result_that_the_study_does_not_ask_for_is_named_and_counts_nothing(declared) -> None:
    results = all_results(declared, 6)
    twice = judge(declared, [*results, _stranger(results)])
    assert twice.runs.strangers == ["none, seed 0: already there"]
    assert len(twice.looks) == 1
    run = _stranger(results)
    for changes, said in (
        ({"budget": {**run["budget"], "mlm_epochs": 1}}, "budget"),
        ({"dataset": {"name": "embedded"}}, "dataset, text"),
        ({"harness": 3}, "harness"),
        ({"model": {"name": "minilm"}}, "model"),
        ({"arm": {**run["arm"], "mlm_probability": 0.5}}, "arm"),
    ):
        others = [each for each in results if (each["arm"]["name"], each["seed"]) != ("none", 0)]
        found = judge(declared, [*others, _stranger(results, **changes)])
        assert found.runs.strangers == [f"none, seed 0: it differs from the study in {said}"]
        assert found.looks == [], "its own run is still missing"
    without_base = {name: value for name, value in run.items() if name != "base"}
    assert judge(declared, [without_base]).runs.strangers == ["none, seed 0: it differs from the study in base"]
    assert judge(declared, [_stranger(results, seed=99)]).runs.strangers == [
        "none, seed 99: the study has no such arm and seed"
    ]


def test_the_numbers_are_those_of_the_mean_of_each_base(declared) -> None:
    results = all_results(declared)
    first, second = judge(declared, results).looks
    by_arm = {arm: [] for arm in ("dynamic", "static10")}
    for run in sorted(results, key=lambda run: run["seed"]):
        if run["arm"]["name"] in by_arm:
            by_arm[run["arm"]["name"]].append(run["mlm"]["eval_loss"])
    differences = np.subtract(by_arm["dynamic"], by_arm["static10"])
    for found, by_base in ((first, differences[:6]), (second, differences.reshape(2, 6).mean(axis=0))):
        (contrast,) = (each for each in found.primary if each.second == "static10")
        expected = stats.ttest_1samp(by_base, 0)
        assert contrast.estimate.difference == pytest.approx(by_base.mean())
        of_pairs = sign_flip_p(differences) if found is second else 0.0
        assert contrast.p == pytest.approx(max(expected.pvalue, of_pairs))
        low, high = expected.confidence_interval(1 - found.look.level)
        assert (contrast.low, contrast.high) == pytest.approx((low, high))
        assert contrast.estimate.units == 6
    assert [each.p_adjusted for each in first.primary] == pytest.approx(
        holm(np.array([each.p for each in first.primary])).tolist()
    )
    assert [each.p_adjusted for each in second.primary] == [None, second.primary[1].p, None], "only one was open"


def test_the_verdicts_are_those_of_the_level_of_the_look(declared) -> None:
    first, _ = judge(declared, all_results(declared)).looks
    by_arms = {(each.first, each.second): each.verdict for each in first.primary}
    assert by_arms == {
        ("dynamic", "static10"): "better",
        ("anneal", "constant_mean"): NO_DIFFERENCE,
        ("dynamic", "static"): "better",
    }
    assert first.control.verdict == NO_DIFFERENCE
    for found in judge(declared, all_results(declared, noise=0.12)).looks:
        for each in (each for each in found.primary if each.p_adjusted is not None):
            assert (each.verdict != NO_DIFFERENCE) == (each.p_adjusted < found.look.level)


def test_what_a_look_decides_stays_decided(declared) -> None:
    results = all_results(declared)
    for run in results:  # the second continuations say the opposite
        if run["arm"]["name"] == "dynamic" and run["seed"] >= 6:
            run["mlm"]["eval_loss"] += 0.4
    first, second = judge(declared, results).looks
    assert first.primary[0].verdict == "better"
    assert abs(second.primary[0].estimate.difference) < 0.1
    assert [(each.verdict, each.decided_at) for each in second.primary] == [
        ("better", 6),
        (NO_DIFFERENCE, None),
        ("better", 6),
    ]


def test_test_f1_follows_its_interval_and_is_not_adjusted(declared) -> None:
    for found in judge(declared, all_results(declared)).looks:
        assert [each.p_adjusted for each in found.secondary] == [each.p for each in found.secondary]


def test_passes_are_those_over_each_mask(declared) -> None:
    found = judge(declared, all_results(declared)).looks[-1].doses
    assert {dose.arm: dose.passes for dose in found} == {"static": 40, "static4": 10, "static10": 4, "static20": 2}
    for dose in found:
        assert list(dose.differences) == list(range(12))
        assert np.mean(list(dose.differences.values())) == pytest.approx(dose.contrast.difference)
        assert dose.contrast.estimate.difference == pytest.approx(EFFECTS[dose.arm], abs=0.03)


# -- Pairs ------------------------------------------------------------------------------------------------------------


def _change(results, arm: str, seed: int, **changes):
    return [{**run, **changes} if (run["arm"]["name"], run["seed"]) == (arm, seed) else run for run in results]


def test_a_run_that_diverged_stays_out_and_is_named(declared) -> None:
    reason = "the training diverged: mlm must be finite; lower the learning rate"
    (found,) = judge(declared, _change(all_results(declared, 6), "static10", 2, status="failed", reason=reason)).looks
    assert [each.pairs for each in found.primary] == [5, 6, 6]
    assert found.left_out == [
        f"dynamic and static10, seed 2: static10 failed: {reason}",
    ]


@pytest.mark.parametrize("most", [5, 6])
def test_an_arm_that_always_diverges_cannot_be_judged(declared, most, tmp_path) -> None:
    results = all_results(declared, 6)
    for seed in range(most):
        results = _change(results, "static", seed, status="failed", reason="the training diverged: in nan")
    (found,) = judge(declared, results).looks
    assert [each.verdict for each in found.primary] == ["better", NO_DIFFERENCE, TOO_FEW]
    assert found.secondary[2].verdict == TOO_FEW
    draw_doses(found, tmp_path / "picture.png")
    assert "cannot be judged" in markdown(study_section(judge(declared, results)))


def test_a_run_that_crashed_is_waited_for(declared) -> None:
    results = _change(all_results(declared, 6), "static10", 2, status="failed", reason="time limit")
    assert judge(declared, results).looks == []


def test_runs_from_other_weights_or_another_budget_are_no_pair(declared) -> None:
    results = all_results(declared, 6)
    run = next(run for run in results if (run["arm"]["name"], run["seed"]) == ("static10", 2))
    (found,) = judge(declared, _change(results, "static10", 2, mlm={**run["mlm"], "base_weights": "other"})).looks
    assert found.left_out[0] == (
        "dynamic and static10, seed 2: their bases have other weights, as after a base was trained again"
    )
    assert [each.pairs for each in found.primary] == [5, 6, 6]
    (found,) = judge(declared, _change(results, "static10", 2, base="other")).looks
    assert found.left_out[0] == "dynamic and static10, seed 2: they differ in more than their arm"


def test_a_base_that_was_trained_again_between_two_continuations_is_one_unit(declared) -> None:
    results = all_results(declared)
    for run in results:
        if run["seed"] == 7:
            run["mlm"]["base_weights"] = "trained again"
    _, second = judge(declared, results).looks
    assert {each.estimate.units for each in second.primary} == {6}


# -- Equivalence ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("difference", "error", "verdict"),
    [
        (3.0, 0.1, "better"),
        (-3.0, 0.1, "worse"),
        (0.5, 0.05, "better, but by less than 1 point"),
        (0.05, 0.1, "equivalent (within ± 1 point)"),
        (0.5, 1.0, "not known"),
    ],
)
def test_an_arm_is_better_worse_equivalent_or_not_known(difference, error, verdict) -> None:
    outcome = replace(
        F1,
        estimate=lambda pairs, units: Estimate(difference, error, 0.0, 6, 1),
        differences=lambda pairs: np.full(6, difference),
    )
    pairs = [(run, run) for run in (make_result("dynamic", seed, mlm={"base_weights": seed}) for seed in range(6))]
    pairs = [({**run, "base": run["seed"]}, run) for run, _ in pairs]
    assert with_equivalence(contrast_of(outcome, ("dynamic", "static"), pairs, 0.048), 1.0).verdict == verdict


# -- Simulated studies in which all arms are the same -----------------------------------------------------------------

UNITS = list(range(BASES)) * 2
WORLDS = {**SAME, "bases": World(seed=0.2, own=0.1, base=0.4)}
LOSSES = {  # standard deviations by base and by run, and what the unlucky half of the runs lacks, in nat
    "runs alone": (0.0, 0.03, 0.0),
    "bases prevail": (0.03, 0.01, 0.0),
    "bases and runs": (0.02, 0.02, 0.0),
    "lottery": (0.0, 0.02, 0.5),
    "lottery and bases": (0.05, 0.05, 0.5),
}
LEVELS = [look["level"] for look in DECLARED["looks"]]


def most(studies: int, share: float) -> float:
    """So many hits that more are seen once in 1,000 times, if at most `share` is what there is.

    For few studies this is a smoke test: 60 of them only notice a share above 15 %. With `--stress` there are enough.
    """
    return stats.binom.ppf(0.999, studies, share)


@pytest.mark.parametrize("name", WORLDS)
def test_one_study_of_twenty_finds_a_difference_in_f1_where_there_is_none(name, stress, report_figure) -> None:
    number, draws = (1_000, 200) if stress else (60, 50)
    generator, hits = np.random.default_rng(11), 0
    for first, second in (study(WORLDS[name], 12, generator) for _ in range(number)):
        hits += any(
            guarded_p(
                bootstrap.estimate(first[:pairs], second[:pairs], UNITS[:pairs], draws),
                bootstrap.differences(first[:pairs], second[:pairs]),
                level,
            )
            < level
            for pairs, level in zip((6, 12), LEVELS, strict=True)
        )
    report_figure(f"registered study, F1, {name}", f"a difference where there is none in {hits / number:.1%}")
    assert hits <= most(number, 0.05)


@pytest.mark.parametrize("name", LOSSES)
def test_one_study_of_twenty_finds_a_difference_in_loss_where_there_is_none(name, stress, report_figure) -> None:
    """In any of the three declared contrasts, at either look."""
    number = 2_000 if stress else 100
    generator, hits = np.random.default_rng(5), 0
    for by_arm in (losses(generator, 5, BASES, 2, *LOSSES[name]) for _ in range(number)):
        contrasts = [by_arm[0] - by_arm[1], by_arm[2] - by_arm[3], by_arm[0] - by_arm[4]]
        for pairs, level in zip((6, 12), LEVELS, strict=True):
            p_values = [
                guarded_p(estimate_of_units(mean_by_unit(each[:pairs], UNITS[:pairs])), each[:pairs], level / 3)
                for each in contrasts
            ]
            if min(holm(np.array(p_values))) < level:
                hits += 1
                break
    report_figure(f"registered study, loss, {name}", f"a difference where there is none in {hits / number:.1%}")
    assert hits <= most(number, 0.05)
