"""The answer of a study says what was found, what was not, and what is not known, in each way a study can end."""

from __future__ import annotations

import pytest
from support.made_study import all_results

from benchmarks.ner.analysis.comparison import NO_DIFFERENCE
from benchmarks.ner.analysis.contrasts import NOT_KNOWN, TOO_FEW, Contrast
from benchmarks.ner.analysis.estimate import Estimate
from benchmarks.ner.analysis.outcomes import F1, LOSS
from benchmarks.ner.analysis.registered import Dose, Judgement, LookResult, judge
from benchmarks.ner.experiments.study import STUDIES, read_study
from benchmarks.ner.report.study_answer import answer_sentences, chance_sentence, cost_sentence


@pytest.fixture(scope="module")
def study():
    return read_study(STUDIES / "repeated_masks.yaml")


@pytest.fixture(scope="module")
def judged(study) -> Judgement:
    return judge(study, all_results(study, 6))


def contrast(arms, difference=None, reach=0.02, outcome=LOSS, verdict=TOO_FEW, **changes) -> Contrast:
    if difference is None:
        return Contrast(outcome, *arms, 0, 0.005)
    found = Estimate(difference, 0.01, 0.0, 6, 1)
    limits = difference - reach, difference + reach
    return Contrast(outcome, *arms, 6, 0.005, found, *limits, 0.001, 0.003, None, verdict, **changes)


def cost(look: LookResult, difference, verdict, **changes) -> str:
    """The cost of masks that are seen four times, in its own words."""
    declared = contrast(
        ("dynamic", "static10"), None if difference is None else -difference, verdict=verdict, **changes
    )
    dose = Dose("static10", 4, {}, contrast(("static10", "dynamic"), difference, verdict=verdict))
    said = cost_sentence(look._replace(primary=[declared], doses=[dose]))
    assert said.startswith("Compared to new masks in each epoch, a mask that is seen 4 times ")
    return said.partition("4 times ")[2]


def test_a_cost_is_said_with_its_interval_and_its_bases(judged) -> None:
    (look,) = judged.looks
    assert cost(look, 0.2134, "better") == (
        "costs 0.213 nat of MLM loss (0.193 to 0.233); 99.5 % intervals, 6 pairs of runs from 6 bases."
    )


@pytest.mark.parametrize(
    ("difference", "verdict", "said"),
    [
        (-0.05, "worse", "gains 0.050 nat of MLM loss (0.030 to 0.070); "),
        (0.01, NO_DIFFERENCE, "has no cost that was found (+0.010 nat of MLM loss, -0.010 to 0.030); "),
        (
            0.03,
            NO_DIFFERENCE,
            "has a cost that is not certain once adjusted (+0.030 nat of MLM loss, 0.010 to 0.050); ",
        ),
    ],
)
def test_what_is_not_a_cost_is_not_called_one(judged, difference, verdict, said) -> None:
    assert cost(judged.looks[0], difference, verdict).startswith(said)


def test_a_cost_that_cannot_be_judged_has_no_number(judged) -> None:
    assert cost(judged.looks[0], None, TOO_FEW) == "cannot be judged: fewer than two bases."


def test_a_decision_of_an_earlier_look_is_told_as_one(judged) -> None:
    said = cost(judged.looks[0], 0.01, "better", decided_at=6)
    assert said.startswith("costs 0.010 nat of MLM loss (-0.010 to 0.030; decided at 6 pairs); ")


def answer(judged: Judgement, **changes) -> str:
    return answer_sentences(judged._replace(looks=[judged.looks[0]._replace(**changes)]))


@pytest.mark.parametrize(
    ("difference", "verdict", "said"),
    [
        (0.01, NO_DIFFERENCE, "Between {first} and {second}, no difference in MLM loss is found (+0.010 nat, -0.01"),
        (0.05, "worse", "In MLM loss, {first} is worse than {second} (+0.050 nat, 0.030 to 0.070)."),
        (None, TOO_FEW, "In MLM loss, {first} minus {second} cannot be judged: fewer than two bases."),
    ],
)
def test_another_contrast_has_a_sentence_of_its_own(judged, difference, verdict, said) -> None:
    words = {
        "first": "anneal (new masks in each epoch, from 30 % to 15 % of tokens)",
        "second": "constant_mean (new masks in each epoch, 22.5 % of tokens)",
    }
    primary = [contrast(("anneal", "constant_mean"), difference, verdict=verdict)]
    assert said.format(**words) in answer(judged, primary=primary)


def test_f1_says_what_is_known_and_what_is_not(judged) -> None:
    secondary = [
        contrast(("dynamic", "static10"), 0.5, 2.0, F1, NOT_KNOWN),
        contrast(("anneal", "constant_mean"), 0.3, 0.2, F1, "better, but by less than 1 point"),
        contrast(("dynamic", "static"), outcome=F1),
        contrast(("dynamic", "static4"), 0.25, 2.0, F1, NOT_KNOWN),
    ]
    said = answer(judged, primary=[], secondary=secondary)
    assert "22.5 % of tokens) is +0.30 points (0.10 to 0.50), better, but by less than 1 point; dynamic" in said
    assert "seen 40 times) cannot be judged: fewer than two bases. " in said
    assert (
        "Not known is whether, in test F1, dynamic differs from static10 (10 masks for each example, each seen 4 "
        "times; +0.50 points, -1.50 to 2.50) or static4 (4 masks for each example, each seen 10 times; +0.25 points, "
        "-1.75 to 2.25). " in said
    )
    assert "Verdicts on F1 are secondary, and not adjusted for 4 contrasts. This is look 1 of 2" in said


def test_chance_is_said_with_its_interval() -> None:
    arms = ("dynamic_again", "dynamic")
    assert chance_sentence(contrast(arms, 0.002, verdict=NO_DIFFERENCE)).endswith(
        "of their masks: no difference found (+0.002 nat, -0.018 to 0.022)."
    )
    assert chance_sentence(contrast(arms)).endswith("of their masks: cannot be judged: fewer than two bases.")


def test_the_setting_is_said(judged) -> None:
    assert answer_sentences(judged).startswith(
        "Each of 6 pre-trained bases (tiny) is trained further by each arm, for 40 epochs of train.txt[75%:] of "
        "conll2003. "
    )
