"""Estimates against scipy's tests where these apply, and against simulated power where they do not."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.ner.analysis.estimate import (
    LEVEL,
    MIN_P,
    Estimate,
    detectable,
    equivalence_p,
    estimate_of_units,
    guarded_p,
    half_width,
    holm,
    mean_by_unit,
    p_value,
    sign_flip_p,
)

EVERY = settings(derandomize=True, deadline=None, max_examples=60)


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


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(st.integers(-40, 40), min_size=2, max_size=7))
def test_sign_flips_are_all_tried(by_pair) -> None:
    flipped = [abs(sum(np.multiply(by_pair, signs))) for signs in product((1, -1), repeat=len(by_pair))]
    share = sum(value >= abs(sum(by_pair)) for value in flipped) / len(flipped)
    assert sign_flip_p(np.array(by_pair, dtype=float)) == pytest.approx(share)


@pytest.mark.parametrize(("pairs", "level", "is_used"), [(5, 0.05, False), (6, 0.05, True), (6, 0.005, False)])
def test_sign_flips_guard_where_they_can_decide(pairs, level, is_used) -> None:
    by_pair = np.full(pairs, 1.0) + np.arange(pairs) / 1000
    found = estimate_of_units(by_pair)
    assert p_value(found) < 1e-6
    expected = 2 / 2**pairs if is_used else p_value(found)
    assert guarded_p(found, by_pair, level) == pytest.approx(expected)


# -- Against Student's t ----------------------------------------------------------------------------------------------

ERRORS = st.floats(0.01, 9)
ESTIMATES = st.builds(Estimate, st.floats(-20, 20), ERRORS, ERRORS, st.integers(2, 9), st.integers(1, 999))


@EVERY
@given(ERRORS, st.integers(2, 9), st.integers(2, 999))
def test_the_reach_lies_between_those_of_its_parts(error, units, documents) -> None:
    found = Estimate(0.0, error, 0.0, units, documents)
    of_units, of_documents = half_width(found), half_width(found._replace(of_units=0.0, of_documents=error))
    assert of_units == pytest.approx(stats.t(units - 1).ppf(0.975) * error)
    assert of_documents == pytest.approx(stats.t(documents - 1).ppf(0.975) * error)
    assert half_width(found._replace(of_documents=error)) == pytest.approx(math.sqrt(of_units**2 + of_documents**2))


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


@pytest.mark.parametrize("level", [0.05, 0.005])
@pytest.mark.parametrize("units", [2, 3, 5, 6, 12])
def test_what_could_be_found_has_the_power_of_the_noncentral_t(units, level) -> None:
    found = Estimate(0.0, 0.7, 0.0, units, 9)
    critical, shifted = (
        stats.t(units - 1).isf(level / 2),
        stats.nct(units - 1, detectable(found, level).difference / 0.7),
    )
    assert shifted.sf(critical) == pytest.approx(0.8, abs=0.002), "the other tail is below 1e-6"


@pytest.mark.parametrize("of_documents", [0.2, 1.0, 5.0])
def test_what_could_be_found_is_found_in_four_of_five_studies_of_units_and_documents(of_documents) -> None:
    units, studies, generator = 5, 4_000, np.random.default_rng(0)
    smallest = detectable(Estimate(0.0, 1.0, of_documents, units, 300)).difference
    of_units = np.sqrt(generator.chisquare(units - 1, studies) / (units - 1))
    found = generator.normal(smallest, math.hypot(1.0, of_documents), studies)
    power = np.mean(
        [
            abs(one) > half_width(Estimate(one, error, of_documents, units, 300))
            for one, error in zip(found, of_units, strict=True)
        ]
    )
    assert power == pytest.approx(0.8, abs=0.025)


@pytest.mark.parametrize("units", [3, 6])
def test_the_range_covers_what_the_true_deviation_could_find(units) -> None:
    """In 19 of 20 studies: the true error is 1, and each study estimates its own."""
    truth = detectable(Estimate(0.0, 1.0, 0.0, units, 1)).difference
    errors = np.sqrt(np.random.default_rng(1).chisquare(units - 1, 300) / (units - 1))
    ranges = [detectable(Estimate(0.0, float(error), 0.0, units, 1)) for error in errors]
    assert all(each.low < each.difference < each.high for each in ranges)
    assert np.mean([each.low <= truth <= each.high for each in ranges]) == pytest.approx(0.95, abs=0.04)


@EVERY
@given(ESTIMATES, st.integers(1, 9))
def test_a_difference_that_is_not_found_is_smaller_than_what_could_be_found(found, family) -> None:
    if p_value(found) * family >= LEVEL:
        assert abs(found.difference) < detectable(found, LEVEL / family).difference


# -- Equivalence ------------------------------------------------------------------------------------------------------


@EVERY
@given(
    st.lists(st.floats(-3, 3), min_size=3, max_size=9).filter(lambda values: np.ptp(values) > 0.01), st.floats(0.1, 4)
)
def test_equivalence_is_that_of_two_one_sided_t_tests(values, smallest) -> None:
    found = estimate_of_units(np.array(values))
    expected = max(
        stats.ttest_1samp(values, -smallest, alternative="greater").pvalue,
        stats.ttest_1samp(values, smallest, alternative="less").pvalue,
    )
    assert equivalence_p(found, smallest) == pytest.approx(expected, abs=1e-6)


@EVERY
@given(ESTIMATES, st.floats(0.1, 30), st.sampled_from([0.005, 0.025, 0.05]))
def test_equivalence_holds_where_the_interval_is_within_the_limits(found, smallest, level) -> None:
    within = abs(found.difference) + half_width(found, 2 * level) < smallest
    assert (equivalence_p(found, smallest) < level) == within


# -- Units ------------------------------------------------------------------------------------------------------------


def test_the_pairs_of_a_unit_are_averaged() -> None:
    differences, units = np.array([1.0, 5.0, 3.0, 8.0, 2.0]), ["b", "a", "b", "c", "a"]
    assert mean_by_unit(differences, units).tolist() == [2.0, 3.5, 8.0]


def test_the_mean_of_units_is_the_test_of_a_random_effect_of_the_base() -> None:
    """The F-test of a balanced nested design: the mean square of the mean over that of bases."""
    by_base = np.random.default_rng(0).normal(0.4, 1, (6, 1)) + np.random.default_rng(1).normal(0, 1, (6, 2))
    bases, repeats = by_base.shape
    of_mean = bases * repeats * by_base.mean() ** 2
    of_bases = repeats * ((by_base.mean(axis=1) - by_base.mean()) ** 2).sum() / (bases - 1)
    found = estimate_of_units(mean_by_unit(by_base.ravel(), np.repeat(np.arange(bases), repeats)))
    assert p_value(found) == pytest.approx(stats.f(1, bases - 1).sf(of_mean / of_bases))
