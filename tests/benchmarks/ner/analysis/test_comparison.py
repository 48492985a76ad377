"""Verdicts from results: what is paired, adjusted and said. How sure they are is tested in `test_bootstrap.py`."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.harness import ROOT
from support.made_results import SENTENCES, make_result

from benchmarks.ner.analysis.comparison import (
    EXPLORATORY,
    FEW_SEEDS,
    NO_DIFFERENCE,
    SAME_DIFFERENCE,
    Comparison,
    comparisons,
    describe,
)
from benchmarks.ner.analysis.comparison import compare as compare_outcome
from benchmarks.ner.analysis.outcomes import F1, LOSS, OUTCOMES
from benchmarks.ner.analysis.seed_summary import spread
from benchmarks.ner.experiments.entity_counts import by_document
from benchmarks.ner.experiments.result import result_path
from benchmarks.ner.experiments.result_reader import load, read_results
from benchmarks.ner.experiments.storage import write_result
from benchmarks.ner.report.grouping import without_studies
from benchmarks.ner.report.quality_tables import by_arm, percentages

COMMITTED = ROOT / "benchmarks" / "results"


def without_counts(result):
    quality = {name: value for name, value in result["quality"].items() if name != "test_sentences"}
    return {**result, "quality": quality}


def arms(shares, seeds=range(5), **changes):
    """Results of several arms, each of which finds its share of the entities."""
    return [make_result(arm, seed, share, **changes) for arm, share in shares.items() for seed in seeds]


def compare(results, first, second) -> Comparison:
    return compare_outcome(results, first, second, F1)


def of_f1(results) -> list[Comparison]:
    return [each for each in comparisons(results) if each.outcome is F1]


# -- One comparison ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "said"), [(0.8, 0.5, "better"), (0.5, 0.8, "worse"), (0.6, 0.6, NO_DIFFERENCE)]
)
def test_the_verdict_is_that_of_the_interval(ours, theirs, said) -> None:
    found = compare(arms({"dynamic": ours, "static10": theirs}), "dynamic", "static10")
    assert found.verdict == EXPLORATORY + said
    assert found.low < found.difference < found.high
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0) == (said != NO_DIFFERENCE), "five seeds: no sign flips"
    assert found.detectable.low < found.detectable.difference < found.detectable.high
    assert (found.dataset, found.first, found.second, found.seeds) == ("tiny", "dynamic", "static10", (0, 1, 2, 3, 4))
    assert found.p_adjusted == found.p


def test_a_lower_loss_is_better() -> None:
    results = arms({"dynamic": 0.6, "static10": 0.6})
    for result in results:
        result["mlm"]["eval_loss"] += (result["arm"]["name"] == "static10") * (1 + result["seed"] / 10)
    found = compare_outcome(results, "dynamic", "static10", LOSS)
    differences = [-1 - seed / 10 for seed in range(5)]
    assert found.difference == pytest.approx(np.mean(differences))
    assert found.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert found.verdict == EXPLORATORY + "better"
    assert compare_outcome(results, "static10", "dynamic", LOSS).verdict == EXPLORATORY + "worse"


def test_the_difference_is_that_of_the_means_in_the_table() -> None:
    results = arms({"anneal": 0.75, "none": 0.6})
    (ours, *_), (theirs, *_) = (spread(percentages(arm.successful, "test_f1")) for arm in by_arm(results)[::-1])
    assert compare(results, "anneal", "none").difference == pytest.approx(ours - theirs)


def test_results_in_any_order_say_the_same_each_time() -> None:
    results = arms({"dynamic": 0.6, "static10": 0.5, "none": 0.3})
    assert compare(results[::-1], "dynamic", "static10") == compare(results, "dynamic", "static10")
    assert comparisons(results[::-1]) == comparisons(results)


def test_other_seeds_other_arms_and_failed_runs_count_nothing() -> None:
    results = arms({"dynamic": 0.6, "static10": 0.5})
    more = [
        make_result("dynamic", 7),
        make_result("static10", 8),
        make_result("none", 0),
        make_result("dynamic", 9, status="failed", reason="launch"),
        make_result("static10", 9),
    ]
    assert compare([*more, *results], "dynamic", "static10") == compare(results, "dynamic", "static10")


@pytest.mark.parametrize("seeds", [[3], [3, 4]])
def test_one_seed_or_two_have_no_verdict(seeds) -> None:
    found = compare(arms({"dynamic": 0.9, "static10": 0.1}, seeds=seeds), "dynamic", "static10")
    assert found.verdict == FEW_SEEDS
    assert found.difference > 20
    assert (found.low, found.high, found.p, found.p_adjusted, found.detectable) == (None,) * 5


@pytest.mark.parametrize(("ours", "theirs", "difference"), [(0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 0.0, 100.0)])
def test_the_same_difference_with_every_seed_has_no_verdict(ours, theirs, difference) -> None:
    results = [
        make_result(arm, seed, share, spurious=0)
        for arm, share in {"dynamic": ours, "static10": theirs}.items()
        for seed in range(3)
    ]
    (found,) = of_f1(results)
    assert (found.difference, found.verdict) == (difference, SAME_DIFFERENCE)
    assert (found.low, found.high, found.p, found.p_adjusted, found.detectable) == (None,) * 5


def test_sentences_of_one_document_are_drawn_together() -> None:
    """All in one document: then nothing is known but the seeds, and the test is the paired t-test."""
    results = arms({"dynamic": 0.65, "static10": 0.6}, documents=[SENTENCES])
    scores = [[r["quality"]["test_f1"] for r in results if r["arm"]["name"] == arm] for arm in ("dynamic", "static10")]
    assert compare(results, "dynamic", "static10").p == pytest.approx(stats.ttest_rel(*scores).pvalue, rel=1e-6)
    alone = compare(arms({"dynamic": 0.65, "static10": 0.6}), "dynamic", "static10")
    each = compare(arms({"dynamic": 0.65, "static10": 0.6}, documents=[1] * SENTENCES), "dynamic", "static10")
    assert alone == each


@settings(derandomize=True, deadline=None)
@given(st.lists(st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=4), min_size=1, max_size=5))
def test_a_document_has_the_sums_of_its_sentences(documents) -> None:
    columns = zip(*(sentence for sentences in documents for sentence in sentences), strict=True)
    counts = dict(zip(("correct", "predicted", "gold"), map(list, columns), strict=True))
    assert by_document({**counts, "documents": list(map(len, documents))}).tolist() == [
        [sum(2 * correct for correct, _, _ in sentences), sum(found + gold for _, found, gold in sentences)]
        for sentences in documents
    ]


@settings(derandomize=True, deadline=None)
@given(st.floats(-9, 9).filter(bool), st.floats(0, 1), st.sampled_from(OUTCOMES))
def test_the_words_follow_from_the_numbers(difference, p, outcome) -> None:
    gain = difference if outcome is F1 else -difference
    assert describe(outcome, difference, p) == (NO_DIFFERENCE if p >= 0.05 else "better" if gain > 0 else "worse")


# -- What is no pair --------------------------------------------------------------------------------------------------


def other(**changes):
    """Two arms of which one has a run that differs."""
    return [*arms({"dynamic": 0.6}), *arms({"static10": 0.6}, seeds=range(4)), make_result("static10", 4, **changes)]


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (
            other(budget={"mlm_epochs": 9, "ner_epochs": 1.5}),
            "share harness, dataset, model, budget, launch and base; got another budget",
        ),
        (other(dataset={"name": "tiny", "fingerprint": "1f"}), "got another dataset in 'static10', seed 4 than"),
        (other(model={"name": "big"}), "got another model"),
        (
            other(launch={"requested": {"num_processes": 2, "mixed_precision": "no"}, "observed": {}}),
            "got another launch",
        ),
        (other(sentences=SENTENCES + 1), "the same test sentences; got other gold entities or documents in 'static10'"),
        (other(documents=[SENTENCES]), "the same test sentences; got other gold"),
        (other(rate=0.3), "one setting per arm; got several for"),
        ([*other(), make_result("dynamic", 2)], "one run per arm and seed; got two of 'dynamic', seed 2"),
        (
            [*map(without_counts, other())],
            "have entity counts per sentence; got no quality.test_sentences in 'dynamic', seed",
        ),
        (
            arms({"dynamic": 0.5}, seeds=[0, 1]),
            "a seed that first and second share; got 'dynamic' with 0, 1 and 'static10' with none",
        ),
        (
            [*arms({"dynamic": 0.5}, seeds=[0, 1]), *arms({"static10": 0.5}, seeds=[2])],
            "got 'dynamic' with 0, 1 and 'static10' with 2; run both with the same",
        ),
        ([], "got 'dynamic' with none and 'static10' with none"),
    ],
)
def test_runs_that_are_no_pairs_are_refused(results, message) -> None:
    with pytest.raises(ValueError, match=f"^results must .*{re.escape(message)}") as error:
        compare(results, "dynamic", "static10")
    assert str(error.value).count(";") == 2


def test_an_arm_is_not_compared_with_itself() -> None:
    with pytest.raises(ValueError, match="first and second must be different arms; both are 'none'; pass another"):
        compare(arms({"none": 0.5}), "none", "none")


# -- All comparisons --------------------------------------------------------------------------------------------------


def test_the_comparisons_of_a_table_are_adjusted_together() -> None:
    shares = {"none": 0.3, "dynamic": 0.65, "static10": 0.6, "anneal": 0.62, "constant_mean": 0.6}
    names = ("one", "two", "three")
    results = [
        one
        for name in names
        for one in arms(shares, dataset={"name": name, "fingerprint": name}, sentences=len(name) * 15)
    ]
    found = of_f1(results)
    assert len(found) == 3 * math.comb(5, 2)
    for name in names:
        members = sorted((one for one in found if one.dataset == name), key=lambda one: one.p)
        highest = np.maximum.accumulate([min(1.0, one.p * (10 - rank)) for rank, one in enumerate(members)])
        assert [one.p_adjusted for one in members] == pytest.approx(highest.tolist())
    for one in found:
        alone = compare([r for r in results if r["dataset"]["name"] == one.dataset], one.first, one.second)
        assert (one.p, one.difference, one.low, one.high) == (alone.p, alone.difference, alone.low, alone.high)
        assert one.verdict.startswith(EXPLORATORY)
        assert (one.verdict != EXPLORATORY + NO_DIFFERENCE) == (one.p_adjusted < 0.05)
    assert any(one.p < 0.05 <= one.p_adjusted for one in found), "or nothing here would show the adjustment"


@pytest.mark.parametrize("seeds", [5, 6, 8, 12])
def test_a_large_difference_is_found_with_any_number_of_seeds(seeds) -> None:
    """Sign flips, which have a smallest p-value, are no part of a family in which they could not decide."""
    shares = {"none": 0.1, "dynamic": 0.9, "static": 0.3, "static10": 0.5, "anneal": 0.7}
    found = of_f1(arms(shares, seeds=range(seeds)))
    assert [one.verdict for one in found if NO_DIFFERENCE in one.verdict] == []


def test_a_pair_of_one_seed_counts_in_the_family_and_has_no_verdict() -> None:
    results = [*arms({"dynamic": 0.7, "static10": 0.6}), *arms({"anneal": 0.7, "constant_mean": 0.6}, seeds=[0])]
    by_pair = {(one.first, one.second): one for one in of_f1(results)}
    assert by_pair["anneal", "constant_mean"].verdict == FEW_SEEDS
    assert by_pair["anneal", "constant_mean"].p_adjusted is None
    assert by_pair["dynamic", "static10"].p_adjusted == pytest.approx(6 * by_pair["dynamic", "static10"].p)


def test_what_cannot_be_compared_is_passed_over() -> None:
    results = [
        *arms({"dynamic": 0.7}, seeds=[0, 1]),
        *arms({"none": 0.7}, seeds=[2, 3]),
        *map(without_counts, arms({"static10": 0.6}, seeds=[0, 1])),
        *arms({"anneal": 0.7}, seeds=[0, 1], budget={"mlm_epochs": 9, "ner_epochs": 1.5}),
    ]
    assert of_f1(results) == []
    assert comparisons([]) == []


# -- Summaries --------------------------------------------------------------------------------------------------------


def test_a_summary_is_of_student_s_t() -> None:
    scores = np.array([61.0, 60.2, 62.7, 59.9])
    interval = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert spread(scores) == pytest.approx((scores.mean(), scores.std(ddof=1), *interval))


@pytest.mark.parametrize(("scores", "interval"), [((2.0, 40.0, 90.0), (0.0, 100.0)), ((0.0, 0.0, 0.0), (0.0, 0.0))])
def test_an_interval_of_f1_is_within_what_f1_can_be(scores, interval) -> None:
    assert spread(scores)[2:] == interval


def test_two_seeds_have_no_interval() -> None:
    assert spread([60.0, 62.0]) == (61.0, pytest.approx(math.sqrt(2)), None, None)


def test_one_seed_has_no_spread() -> None:
    assert spread([60.0]) == (60.0, None, None, None)


def test_the_committed_results_can_be_compared() -> None:
    results, _ = read_results(COMMITTED)
    found = comparisons(without_studies(results))
    assert found
    assert all(each.seeds for each in found)


def test_written_results_say_the_same(tmp_path) -> None:
    results = arms({"dynamic": 0.6, "static10": 0.5}, documents=[20, SENTENCES - 20])
    for result in results:
        path = result_path(tmp_path, result["arm"]["name"], result["seed"], result["run_id"])
        write_result(path, result)
        assert load(path) == result
    assert comparisons(read_results(tmp_path)[0]) == comparisons(results)
