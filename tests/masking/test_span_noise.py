from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import oracle

from hf_dynmask import uniform_rate
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.masking.span_noise import NoisePlan, noise_tokens

PLAN = NoisePlan(mean_noise_span_length=3.0, max_runs=99, seed=7)
# (id, whether it may be noise), a few, or enough for many spans
TOKEN = st.tuples(st.integers(0, 99), st.sampled_from([True, True, True, False]))
ROWS = st.lists(st.lists(TOKEN, max_size=8) | st.lists(TOKEN, min_size=20, max_size=50), min_size=1, max_size=4)
RATES = st.sampled_from([0.0, 0.15, 0.5, 1.0]) | st.floats(0, 1)
PLANS = st.builds(NoisePlan, st.sampled_from([1.0, 3.0, 4.5]) | st.floats(1, 50), st.integers(2, 12), st.integers(0, 5))
EVERY = settings(derandomize=True, deadline=None, max_examples=120)


def _noise(rows, rate, pattern: int = 0, plan: NoisePlan = PLAN) -> list[list[bool]]:
    lengths = np.array([len(row) for row in rows])
    flat = np.array([pair for row in rows for pair in row], dtype=np.int64).reshape(-1, 2)
    noise = noise_tokens(RaggedTokens(flat[:, 0], lengths), flat[:, 1] == 1, rate, pattern, plan)
    return [each.tolist() for each in np.split(noise, np.cumsum(lengths)[:-1])]


def _many(rows: int, length: int, rate: float, plan: NoisePlan = PLAN) -> np.ndarray:
    """The noise of `rows` examples, no two alike, all maskable: bool `[rows, length]`."""
    ids = np.random.default_rng(0).integers(0, 50_000, rows * length)
    tokens = RaggedTokens(ids, np.full(rows, length))
    return noise_tokens(tokens, np.ones(len(ids), dtype=bool), rate, 0, plan).reshape(rows, length)


def _runs(noise: list[bool]) -> list[list[int]]:
    """The places of each run of noise."""
    places = [i for i, each in enumerate(noise) if each]
    return [[i for _, i in run] for _, run in itertools.groupby(enumerate(places), lambda pair: pair[1] - pair[0])]


def _expected(row, rate: float, pattern: int, plan: NoisePlan) -> list[bool]:
    """The noise of one sequence, by Python integers and loops, from the documentation."""
    stream = oracle.key(plan.seed, [id_ for id_, _ in row], pattern)
    places = [i for i, (_, maskable) in enumerate(row) if maskable]
    tokens = len(places)
    count = math.ceil(rate * tokens - oracle.draw(stream, 0, 3) / 2**32)
    if 0 < rate < 1 and tokens >= 2:
        count = min(max(count, 1), tokens - 1)
    spans = max(min(round(count / plan.mean_noise_span_length), tokens - count, plan.max_runs - 1), 1 if count else 0)

    def lengths(numbers: range) -> list[int]:
        """A random composition: a span begins at the first number, and at those of the lowest draws."""
        ranked = sorted(numbers[1:], key=lambda number: oracle.draw(stream, number, 7))
        begins = sorted([*numbers[:1], *ranked[: spans - 1]])
        return [end - begin for begin, end in itertools.pairwise([*begins, numbers.stop])]

    in_turn: list[bool] = []
    if count:
        for noise, kept in itertools.zip_longest(lengths(range(count)), lengths(range(count, tokens)), fillvalue=0):
            in_turn += [True] * noise + [False] * kept
    offset = oracle.draw(stream, 0, 8) * tokens >> 32
    noise = [False] * len(row)
    for number, each in enumerate(in_turn):
        noise[places[(number + offset) % tokens]] = each

    runs = sorted(_runs(noise), key=lambda run: oracle.draw(stream, run[0], 0))
    for place in itertools.chain.from_iterable(runs[plan.max_runs :]):
        noise[place] = False
    return noise


@EVERY
@given(ROWS, RATES, st.integers(0, 9), PLANS)
def test_noise_equals_that_of_the_oracle(rows, rate, pattern, plan) -> None:
    assert _noise(rows, rate, pattern, plan) == [_expected(row, rate, pattern, plan) for row in rows]


@EVERY
@given(ROWS, RATES, PLANS)
def test_what_holds_for_every_sequence(rows, rate, plan) -> None:
    for row, noise in zip(rows, _noise(rows, rate, plan=plan), strict=True):
        maskable = [allowed for _, allowed in row]
        tokens, count, runs = sum(maskable), sum(noise), len(_runs(noise))
        assert all(allowed for allowed, each in zip(maskable, noise, strict=True) if each)
        assert runs <= plan.max_runs
        assert 0 < count < tokens or tokens < 2 or rate in (0, 1)
        assert count or rate < 1 or not tokens
        if rate == 0:
            assert count == 0
        if all(maskable):
            low, high = math.floor(rate * tokens), math.ceil(rate * tokens)
            assert {low, high} & {count} or (0 < rate < 1 and count in (1, tokens - 1))
            spans = min(round(count / plan.mean_noise_span_length), tokens - count, plan.max_runs - 1)
            assert max(spans, min(count, 1)) <= runs <= max(spans, min(count, 1)) + 1


@EVERY
@given(ROWS, RATES, PLANS, st.data())
def test_noise_does_not_depend_on_the_batch(rows, rate, plan, data) -> None:
    together = _noise(rows, rate, plan=plan)
    order = data.draw(st.permutations(range(len(rows))))
    assert _noise([rows[i] for i in order], rate, plan=plan) == [together[i] for i in order]
    assert [_noise([row], rate, plan=plan)[0] for row in rows] == together
    assert _noise(rows, np.full(len(rows), rate), plan=plan) == together, "a rate for each sequence"


def test_each_sequence_draws_its_own_rate_from_a_distribution() -> None:
    fractions = _many(4000, 100, uniform_rate(0.2, 0.6)).mean(1)
    assert stats.kstest(fractions, stats.uniform(0.2, 0.4).cdf).statistic < 0.03  # counts are whole numbers of 100


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.5, 0.9])
@pytest.mark.parametrize("length", [2, 7, 40, 333])
def test_the_count_is_the_rate_times_the_tokens_rounded_at_random(length, rate) -> None:
    counts = _many(3000, length, rate).sum(1)
    low = math.floor(rate * length)
    up = rate * length - low
    if low == 0 or low == length - 1:
        assert set(counts.tolist()) == {max(low, 1)}, "at least one is noise, and one is not"
    elif up < 1e-9:
        assert set(counts.tolist()) == {low}
    else:
        assert set(counts.tolist()) == {low, low + 1}
        assert stats.binomtest(int((counts > low).sum()), len(counts), up).pvalue > 1e-4


@pytest.mark.parametrize("mean_length", [1.0, 3.0, 8.0])
def test_every_place_is_equally_likely_to_be_noise(mean_length) -> None:
    rows, length, rate = 6000, 30, 0.2
    noise = _many(rows, length, rate, NoisePlan(mean_length, 99, 3))
    pvalues = [stats.binomtest(int(count), rows, rate).pvalue for count in noise.sum(0)]
    assert min(pvalues) > 1e-4
    assert max(pvalues) > 0.1, "the counts vary as chance has them vary"


def test_a_span_goes_round_the_end() -> None:
    """The first and the last token are neighbours: noise together as often as any other two, 4 of the 30 pairs."""
    rows, length = 6000, 30
    noise = _many(rows, length, 0.2)  # 6 tokens of noise in 2 spans have 4 pairs of neighbours
    together = (noise & np.roll(noise, 1, axis=1)).sum(0)
    assert together.sum() == rows * 4
    assert min(stats.binomtest(int(count), rows, 4 / length).pvalue for count in together) > 1e-4


@pytest.mark.parametrize(("mean_length", "spans"), [(1.0, 60), (3.0, 20), (4.4, 14), (4.5, 13), (60.0, 1)])
def test_spans_have_the_mean_length(mean_length, spans) -> None:
    for noise in _many(300, 400, 0.15, NoisePlan(mean_length, 99, 0)).tolist():
        around = len(_runs(noise)) - (noise[0] and noise[-1])  # a span that goes round is two runs
        assert around == spans


def test_all_ways_to_cut_and_to_turn_are_equally_likely() -> None:
    tokens, count, spans = 9, 4, 2
    expected: Counter[tuple[bool, ...]] = Counter()
    for noise, kept, offset in itertools.product(range(1, count), range(1, tokens - count), range(tokens)):
        row = [True] * noise + [False] * kept + [True] * (count - noise) + [False] * (tokens - count - kept)
        expected[tuple(row[-offset:] + row[:-offset])] += 1
    observed = Counter(map(tuple, _many(20_000, tokens, count / tokens, NoisePlan(count / spans, 99, 0)).tolist()))
    assert set(observed) == set(expected)
    frequencies = np.array([expected[row] for row in expected]) * 20_000 / expected.total()
    assert stats.chisquare([observed[row] for row in expected], frequencies).pvalue > 1e-4


def test_one_token_is_noise_with_the_odds_of_the_rate() -> None:
    assert stats.binomtest(int(_many(5000, 1, 0.3).sum()), 5000, 0.3).pvalue > 1e-4


@pytest.mark.parametrize("max_runs", [2, 5])
def test_few_sentinels_make_spans_long_and_leave_the_count(max_runs) -> None:
    noise = _many(500, 200, 0.15, NoisePlan(3.0, max_runs, 0))
    assert set(noise.sum(1).tolist()) == {30}
    assert {len(_runs(row)) for row in noise.tolist()} == {max_runs - 1, max_runs}


def test_where_special_tokens_cut_spans_any_run_may_be_left_out() -> None:
    row = [(id_, id_ % 2 == 0) for id_ in range(40)]  # runs of a single token only
    left = Counter(
        i
        for pattern in range(1000)
        for i, each in enumerate(_noise([row], 1.0, pattern, NoisePlan(3.0, 5, 0))[0])
        if each
    )
    assert left.total() == 5 * 1000
    assert stats.chisquare([left[i] for i in range(0, 40, 2)]).pvalue > 1e-4


def test_patterns_and_seeds_differ() -> None:
    row = [(id_, True) for id_ in range(60)]
    seen = {str(_noise([row], 0.15, pattern, NoisePlan(3.0, 99, seed))) for pattern in range(20) for seed in range(20)}
    assert len(seen) == 400


def test_golden() -> None:
    """Noise stays what it is, between releases and on every platform."""
    rows = [[(id_, id_ % 11 != 3) for id_ in range(start, start + 36)] for start in (0, 100)]
    shown = ["".join(".x"[each] for each in noise) for noise in _noise(rows, 0.3, pattern=5)]
    assert shown == [".................xx.....x.xxxx...xxx", ".......xxxxxx....xxx.............x.."]


@pytest.mark.parametrize("value", [0.5, 0, -3.0, math.nan, math.inf, True, "3", None])
def test_bad_span_lengths(value) -> None:
    with pytest.raises(ValueError, match="`mean_noise_span_length` must be a finite number of at least 1, but got"):
        NoisePlan(value, 99, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_runs": 1}, "`max_runs` must be an integer of at least 2"),
        ({"seed": 0.5}, "`seed` must be an integer, but got 0.5"),
    ],
)
def test_bad_plans(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        NoisePlan(**{"mean_noise_span_length": 3.0, "max_runs": 99, "seed": 0, **changes})
