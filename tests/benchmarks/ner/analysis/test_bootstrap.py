"""Errors of differences, against plain loops, against scipy's tests where these apply, and by simulated studies."""

import math
from collections import Counter
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from scipy import stats
from support.worlds import GOLD, SAME, SPURIOUS, study

from benchmarks.ner.analysis import bootstrap
from benchmarks.ner.analysis.bootstrap import differences, estimate, points, resampled, shared_variance
from benchmarks.ner.analysis.comparison import NO_DIFFERENCE, describe
from benchmarks.ner.analysis.estimate import LEVEL, half_width, p_value
from benchmarks.ner.analysis.outcomes import F1

EVERY = settings(derandomize=True, deadline=None, max_examples=60)


@st.composite
def arms(draw, most_documents=5):
    """Counts of two arms, each `[seeds, documents, 2]`."""
    shape = (2, draw(st.integers(2, 4)), draw(st.integers(1, most_documents)))
    correct, missed, spurious = (draw(of_numpy.arrays(int, shape, elements=st.integers(0, 4))) for _ in range(3))
    return np.stack([2 * correct, 2 * correct + missed + spurious], axis=-1)


def f1(documents):
    """By hand, of pairs of counts."""
    right, entities = (sum(int(pair[index]) for pair in documents) for index in (0, 1))
    return float(100 * Fraction(right, entities)) if entities else 0.0


# -- Against plain loops ----------------------------------------------------------------------------------------------


@EVERY
@given(arms())
def test_a_difference_is_that_of_the_f1_of_summed_counts(both) -> None:
    first, second = both
    expected = [f1(ours) - f1(theirs) for ours, theirs in zip(first, second, strict=True)]
    assert differences(first, second) == pytest.approx(expected, abs=1e-9)
    found = estimate(first, second, draws=50)
    assert found.difference == pytest.approx(sum(expected) / len(expected), abs=1e-9)
    assert (found.units, found.documents) == first.shape[:2]


@settings(derandomize=True, deadline=None, max_examples=15)
@given(arms(most_documents=4))
def test_documents_are_drawn_as_often_as_all_draws_there_are(both) -> None:
    """With few documents all draws can be made in turn, so that the distribution of what is drawn is known."""
    first, second = both
    count, draws = first.shape[1], 4_000
    rows = [
        tuple(
            round(f1([ours[i] for i in drawn]) - f1([theirs[i] for i in drawn]), 6)
            for ours, theirs in zip(first, second, strict=True)
        )
        for drawn in product(range(count), repeat=count)
    ]
    expected = Counter(rows)
    found = resampled(first, second, draws)
    seen = Counter(tuple(round(value, 6) + 0.0 for value in row) for row in found.tolist())
    assert set(seen) <= set(expected)
    for row, ways in expected.items():
        share = ways / len(rows)
        assert abs(seen[row] / draws - share) < 5 * math.sqrt(share * (1 - share) / draws) + 1e-9
    exact = np.cov(np.array(rows * 2), rowvar=False, ddof=0)  # twice: numpy 1.24 takes a single row for a column
    between = np.mean([exact[i, j] for i, j in product(range(len(exact)), repeat=2) if i != j])
    noise = 5 * np.trace(exact) / len(exact) * math.sqrt(2 / draws)
    assert shared_variance(found) == pytest.approx(max(0.0, between), abs=2 * noise + 1e-9)


@EVERY
@given(arms(), st.integers(1, 30), st.integers(1, 40))
def test_what_is_drawn_is_the_same_each_time_whatever_is_drawn_at_once(both, chunk, draws) -> None:
    expected = resampled(*both, draws)
    assert expected.shape == (draws, both.shape[1])
    assert np.array_equal(resampled(*both, 40)[:draws], expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "CHUNK", chunk)
        assert np.array_equal(resampled(*both, draws), expected)


@EVERY
@given(arms())
def test_the_arms_change_places_with_the_sign(both) -> None:
    ours, theirs = estimate(*both, draws=50), estimate(*both[::-1], draws=50)
    assert theirs.difference == pytest.approx(-ours.difference, abs=1e-9)
    assert theirs[1:] == pytest.approx(ours[1:])
    assert p_value(theirs) == pytest.approx(p_value(ours))


@EVERY
@given(arms(most_documents=1).filter(lambda both: np.ptp(differences(*both)) > 1e-6))
def test_of_one_document_it_is_the_paired_t_test(both) -> None:
    found, expected = estimate(*both), stats.ttest_rel(points(both[0].sum(1)), points(both[1].sum(1)))
    assert p_value(found) == pytest.approx(expected.pvalue, rel=1e-6)
    low, high = expected.confidence_interval(1 - LEVEL)
    assert (found.difference - half_width(found), found.difference + half_width(found)) == pytest.approx(
        (low, high), abs=1e-6
    )


@pytest.mark.parametrize(("alike", "own"), [(2.0, 1.0), (0.5, 3.0), (0.0, 1.0)])
def test_the_shared_variance_is_that_of_what_all_seeds_have_in_common(alike, own) -> None:
    generator = np.random.default_rng(2)
    drawn = generator.normal(0, alike, (20_000, 1)) + generator.normal(0, own, (20_000, 4))
    assert shared_variance(drawn) == pytest.approx(alike**2, abs=0.1)
    assert shared_variance(np.stack([drawn[:, 0], -drawn[:, 0]], axis=1)) == 0.0


# -- Simulated studies ------------------------------------------------------------------------------------------------

DIFFERENT = {
    "all, shifted": SAME["all"]._replace(shift=0.5),
    "seeds, shifted": SAME["seeds prevail"]._replace(shift=0.7),
}


# In a lottery the method does not hold with few seeds; `test_registered.py` tests it for registered studies.
WORLDS = {**{name: world for name, world in SAME.items() if not world.lottery}, **DIFFERENT}


def true_difference(world):
    """Of the mean F1 over all seeds, on all sentences there could be."""
    normal = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    by_seed, by_sentence = (
        math.hypot(*deviations) * normal
        for deviations in ((world.seed, world.own), (world.sentence, world.other, world.topic))
    )
    found = [
        np.mean(1 / (1 + np.exp(-(shift + by_seed[:, None] + by_sentence))), axis=1)
        for shift in (world.shift / 2, -world.shift / 2)
    ]
    scores = [np.mean(200 * GOLD * p / (GOLD * p + SPURIOUS * (1 - p) + GOLD)) for p in found]
    return scores[0] - scores[1]


def percentile_miss(counts, draws, truth):
    """Whether the percentiles of a bootstrap that draws seeds, then documents leave out the truth."""
    drawn, seeds = resampled(*counts, draws), counts.shape[1]
    weights = np.random.default_rng(6).multinomial(seeds, [1 / seeds] * seeds, size=draws) / seeds
    low, high = np.percentile((drawn * weights).sum(axis=1), [2.5, 97.5])
    return not low <= truth <= high


def paired_t_miss(counts, truth):
    return stats.ttest_1samp(differences(*counts), truth).pvalue < LEVEL


def miss(counts, draws, truth):
    """Whether the truth is outside of the interval; where there is no difference, whether the verdict finds one."""
    found = estimate(*counts, draws=draws)
    missed = abs(found.difference - truth) > half_width(found)
    assert truth or missed == (describe(F1, found.difference, p_value(found)) != NO_DIFFERENCE)
    return missed


def studies_of(world, number, seeds=5):
    generator = np.random.default_rng(3)
    return [study(world, seeds, generator) for _ in range(number)]


def most(studies, share):
    """So many hits that more are seen once in 1,000 times, if at most `share` is what there is."""
    return stats.binom.ppf(0.999, studies, share)


@pytest.mark.parametrize("name", WORLDS)
def test_the_truth_is_outside_of_the_interval_in_one_of_twenty_studies(name, stress, report_figure) -> None:
    """Where both arms are the same, these are the false positives of the verdict."""
    number, draws = (1_000, 1_000) if stress else (150, 100)
    truth = true_difference(WORLDS[name])
    missed = sum(miss(counts, draws, truth) for counts in studies_of(WORLDS[name], number))
    kind = "the truth is outside" if truth else "a difference where there is none"
    report_figure(f"comparison of arms, {name}", f"{kind} in {missed / number:.1%} of {number:,} studies of 5 seeds")
    assert missed <= most(number, 0.05)


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_any_number_of_seeds_will_do(seeds, stress, report_figure) -> None:
    number, draws = (1_000, 500) if stress else (60, 100)
    missed = sum(miss(counts, draws, 0.0) for counts in studies_of(SAME["all"], number, seeds))
    report_figure(f"comparison of arms, {seeds} seeds", f"a difference where there is none in {missed / number:.1%}")
    assert missed <= most(number, 0.05)


@pytest.mark.parametrize(
    ("name", "too_many"), [("seeds prevail", True), ("sentences alone", False)], ids=["too narrow", "too wide"]
)
def test_why_it_is_not_the_percentiles_of_a_bootstrap(name, too_many, stress, report_figure) -> None:
    """With few seeds these are too narrow, and too wide where chance in single sentences counts three times."""
    number, draws = (1_000, 1_000) if stress else (150, 100)
    missed = sum(percentile_miss(counts, draws, 0.0) for counts in studies_of(SAME[name], number))
    report_figure(f"percentiles of a bootstrap, {name}", f"a difference where there is none in {missed / number:.1%}")
    assert missed > most(number, 0.05) if too_many else missed < number * 0.02


@pytest.mark.parametrize("name", ["other sentences", "documents"])
def test_why_it_is_not_a_paired_t_test(name, report_figure) -> None:
    """It takes the sentences as given."""
    missed = sum(paired_t_miss(counts, 0.0) for counts in studies_of(SAME[name], 150))
    report_figure(f"paired t-test, {name}", f"a difference where there is none in {missed / 150:.1%}")
    assert missed > most(150, 0.05)


def test_the_means_of_many_studies_are_the_true_difference() -> None:
    """Of the simulation itself."""
    world, generator = DIFFERENT["all, shifted"], np.random.default_rng(4)
    found = [differences(*study(world, 5, generator)).mean() for _ in range(400)]
    assert np.mean(found) == pytest.approx(true_difference(world), abs=4 * stats.sem(found))
    assert true_difference(SAME["all"]) == 0


def test_the_error_shrinks_with_seeds_only_as_far_as_documents_let_it() -> None:
    generator = np.random.default_rng(5)
    errors = [
        np.mean([half_width(estimate(*study(SAME["other sentences"], seeds, generator), draws=200)) for _ in range(10)])
        for seeds in (2, 4, 16)
    ]
    assert all(more > less for more, less in pairwise(errors))
    assert errors[2] > errors[1] / 2
