"""Errors of differences, against plain loops, against scipy's tests where these apply, and by simulated studies."""

import math
from collections import Counter
from fractions import Fraction
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from scipy import stats

from benchmarks.ner.analysis import bootstrap
from benchmarks.ner.analysis.bootstrap import (
    LEVEL,
    MIN_P,
    Estimate,
    differences,
    estimate,
    half_width,
    holm,
    minimum_detectable_difference,
    p_value,
    points,
    resampled,
    shared_variance,
    sign_flip_p,
)
from benchmarks.ner.analysis.comparison import verdict

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
    assert (found.seeds, found.documents) == first.shape[:2]


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


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(st.integers(-40, 40), min_size=2, max_size=7))
def test_sign_flips_are_all_tried(by_seed) -> None:
    flipped = [abs(sum(np.multiply(by_seed, signs))) for signs in product((1, -1), repeat=len(by_seed))]
    share = sum(value >= abs(sum(by_seed)) for value in flipped) / len(flipped)
    assert sign_flip_p(np.array(by_seed, dtype=float)) == pytest.approx(share)
    assert share >= 2 / 2 ** len(by_seed)


def test_sign_flips_of_many_seeds_are_drawn_and_the_same_each_time() -> None:
    by_seed = np.random.default_rng(1).normal(0.4, 1.0, 20)
    assert sign_flip_p(by_seed) == sign_flip_p(by_seed)
    assert sign_flip_p(by_seed) == pytest.approx(stats.ttest_1samp(by_seed, 0).pvalue, abs=0.02)


@EVERY
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=7), st.integers(1, 999))
def test_holm_rejects_what_its_steps_reject(numbers, level) -> None:
    """In rising order, each p against the level divided by the tests that are left, up to the first that is above."""
    p_values = np.array(numbers) / 1000
    left, rejected = len(p_values), set()
    for index in np.argsort(p_values, kind="stable"):
        if Fraction(numbers[index], 1000) * left > Fraction(level, 1000):
            break
        rejected.add(int(index))
        left -= 1
    assert set(np.flatnonzero(holm(p_values) <= level / 1000 + 1e-12).tolist()) == rejected
    assert holm(p_values).max() <= 1


# -- Against Student's t ----------------------------------------------------------------------------------------------

ERRORS = st.floats(0.01, 9)
ESTIMATES = st.builds(Estimate, st.floats(-20, 20), ERRORS, ERRORS, st.integers(2, 9), st.integers(1, 999))


@EVERY
@given(arms(most_documents=1).filter(lambda both: np.ptp(differences(*both)) > 1e-6))
def test_of_one_document_it_is_the_paired_t_test(both) -> None:
    found, expected = estimate(*both), stats.ttest_rel(points(both[0].sum(1)), points(both[1].sum(1)))
    assert p_value(found) == pytest.approx(expected.pvalue, rel=1e-6)
    low, high = expected.confidence_interval(1 - LEVEL)
    assert (found.difference - half_width(found), found.difference + half_width(found)) == pytest.approx(
        (low, high), abs=1e-6
    )


@EVERY
@given(ERRORS, st.integers(2, 9), st.integers(2, 999))
def test_the_reach_lies_between_those_of_its_parts(error, seeds, documents) -> None:
    found = Estimate(0.0, error, 0.0, seeds, documents)
    of_seeds, of_documents = half_width(found), half_width(found._replace(of_seeds=0.0, of_documents=error))
    assert of_seeds == pytest.approx(stats.t(seeds - 1).ppf(0.975) * error)
    assert of_documents == pytest.approx(stats.t(documents - 1).ppf(0.975) * error)
    assert half_width(found._replace(of_documents=error)) == pytest.approx(math.sqrt(of_seeds**2 + of_documents**2))


@EVERY
@given(ESTIMATES)
def test_the_interval_at_the_p_value_ends_at_no_difference(found) -> None:
    p = p_value(found)
    assert MIN_P <= p <= 1
    if MIN_P < p < 1:
        assert half_width(found, p) == pytest.approx(abs(found.difference), rel=1e-3, abs=1e-9)
    assert (p < LEVEL) == (abs(found.difference) > half_width(found))


def test_without_any_spread_a_difference_is_sure_and_none_is_none() -> None:
    assert p_value(Estimate(0.0, 0.0, 0.0, 3, 9)) == 1.0
    assert p_value(Estimate(0.1, 0.0, 0.0, 3, 9)) == MIN_P


@pytest.mark.parametrize(("seeds", "expected"), [(2, 0.73), (3, 0.77), (5, 0.79), (10, 0.8), (30, 0.8)])
def test_the_smallest_difference_is_found_in_four_of_five_studies(seeds, expected) -> None:
    """Against the exact power of the t-test, by the noncentral t."""
    smallest = minimum_detectable_difference(Estimate(0.0, 1.0, 0.0, seeds, 9))
    critical, power = stats.t(seeds - 1).isf(LEVEL / 2), stats.nct(seeds - 1, smallest)
    assert power.sf(critical) + power.cdf(-critical) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("of_documents", [0.2, 1.0, 5.0])
def test_the_smallest_difference_is_found_in_four_of_five_studies_of_seeds_and_documents(of_documents) -> None:
    seeds, studies, generator = 5, 2_000, np.random.default_rng(0)
    smallest = minimum_detectable_difference(Estimate(0.0, 1.0, of_documents, seeds, 300))
    of_seeds = np.sqrt(generator.chisquare(seeds - 1, studies) / (seeds - 1))
    found = generator.normal(smallest, math.hypot(1.0, of_documents), studies)
    power = np.mean(
        [
            abs(one) > half_width(Estimate(one, error, of_documents, seeds, 300))
            for one, error in zip(found, of_seeds, strict=True)
        ]
    )
    assert 0.75 < power < 0.87


@EVERY
@given(ESTIMATES, st.integers(1, 9))
def test_a_difference_that_is_not_found_is_smaller_than_the_smallest(found, family) -> None:
    if p_value(found) * family >= LEVEL:
        assert abs(found.difference) < minimum_detectable_difference(found, LEVEL / family)


@pytest.mark.parametrize(("alike", "own"), [(2.0, 1.0), (0.5, 3.0), (0.0, 1.0)])
def test_the_shared_variance_is_that_of_what_all_seeds_have_in_common(alike, own) -> None:
    generator = np.random.default_rng(2)
    drawn = generator.normal(0, alike, (20_000, 1)) + generator.normal(0, own, (20_000, 4))
    assert shared_variance(drawn) == pytest.approx(alike**2, abs=0.1)
    assert shared_variance(np.stack([drawn[:, 0], -drawn[:, 0]], axis=1)) == 0.0


# -- Simulated studies ------------------------------------------------------------------------------------------------

SENTENCES, GOLD, SPURIOUS = 300, 1.2, 0.5  # gold entities a sentence, and how many others one finds at the worst


class World(NamedTuple):
    """Standard deviations of what makes an entity be found, in logits."""

    seed: float = 0.0  # by seed, alike in both arms
    own: float = 0.0  # by seed and arm
    sentence: float = 1.0  # by sentence, alike in both arms
    other: float = 0.0  # by sentence and arm: each arm does well on other sentences
    topic: float = 0.0  # by document of ten sentences and arm
    shift: float = 0.0  # between the arms' means: 0 for the same distribution


SAME = {
    "sentences alone": World(seed=0.1, sentence=2.0),
    "seeds and sentences": World(seed=0.2, own=0.2, sentence=2.0),
    "seeds prevail": World(seed=0.3, own=0.5),
    "other sentences": World(seed=0.2, own=0.05, other=1.5),
    "all": World(seed=0.2, own=0.3, other=1.0),
    "documents": World(seed=0.2, own=0.2, topic=0.7),
}
DIFFERENT = {
    "all, shifted": SAME["all"]._replace(shift=0.5),
    "seeds, shifted": SAME["seeds prevail"]._replace(shift=0.7),
}


WORLDS = {**SAME, **DIFFERENT}


def study(world, seeds, generator):
    """Counts of two arms in one study, `[2, seeds, documents, 2]`; a sentence is a document unless there are topics."""
    logits = np.array([world.shift / 2, -world.shift / 2])[:, None, None]
    for deviation, shape in (
        (world.seed, (1, seeds, 1)),
        (world.own, (2, seeds, 1)),
        (world.sentence, (1, 1, SENTENCES)),
        (world.other, (2, 1, SENTENCES)),
    ):
        logits = logits + generator.normal(0, deviation, shape)
    logits = logits + np.repeat(generator.normal(0, world.topic, (2, 1, SENTENCES // 10)), 10, axis=-1)
    gold, chance = generator.poisson(GOLD, SENTENCES), 1 / (1 + np.exp(-logits))
    correct = generator.binomial(gold, chance)
    predicted = correct + generator.poisson(SPURIOUS * (1 - chance))
    counts = np.stack([2 * correct, predicted + gold], axis=-1)
    return counts.reshape(2, seeds, -1, 10, 2).sum(axis=3) if world.topic else counts


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
    found = estimate(*counts, draws)
    missed = abs(found.difference - truth) > half_width(found)
    assert truth or missed == (verdict(found.difference, p_value(found), 0.0) in ("better", "worse"))
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
        np.mean([half_width(estimate(*study(SAME["other sentences"], seeds, generator), 200)) for _ in range(10)])
        for seeds in (2, 4, 16)
    ]
    assert all(more > less for more, less in pairwise(errors))
    assert errors[2] > errors[1] / 2
