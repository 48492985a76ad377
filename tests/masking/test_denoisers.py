"""Each sequence has the noise that the settings of its denoiser alone give it, and one without spans is a suffix."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import oracle

from hf_dynmask import uniform_rate
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.masking.denoisers import Denoiser, DensityQuantile, checked_denoisers, ul2_denoisers
from hf_dynmask.masking.span_noise import NoisePlan, drawn_denoisers, noise_tokens
from hf_dynmask.rates.distributions import RateDistribution

ROUNDING, COMPONENT = 3, 9
TOKEN = st.tuples(st.integers(0, 99), st.sampled_from([True, True, True, False]))
ROWS = st.lists(st.lists(TOKEN, max_size=8) | st.lists(TOKEN, min_size=20, max_size=50), min_size=1, max_size=6)
DENOISERS = st.lists(
    st.builds(
        Denoiser,
        st.sampled_from([0.0, 0.15, 0.5, 1.0, uniform_rate(0.1, 0.5)]) | st.floats(0, 1),
        st.sampled_from([None, 1.0, 3.0, 64.0]),
        st.sampled_from([0.5, 1, 3]),
    ),
    min_size=1,
    max_size=4,
)
EVERY = settings(derandomize=True, deadline=None, max_examples=50)


def _noise(rows, rate, pattern: int, plan: NoisePlan) -> list[list[bool]]:
    lengths = np.array([len(row) for row in rows])
    flat = np.array([pair for row in rows for pair in row], dtype=np.int64).reshape(-1, 2)
    noise = noise_tokens(RaggedTokens(flat[:, 0], lengths), flat[:, 1] == 1, rate, pattern, plan)
    return [each.tolist() for each in np.split(noise, np.cumsum(lengths)[:-1])]


def _choice(row, denoisers, pattern: int, seed: int) -> Denoiser:
    """The denoiser of a sequence, by Python integers."""
    drawn = oracle.draw(oracle.key(seed, [id_ for id_, _ in row], pattern), 0, COMPONENT) / 2**32
    total = sum(denoiser.weight for denoiser in denoisers)
    limits = itertools.accumulate(denoiser.weight / total for denoiser in denoisers)
    return next(denoiser for denoiser, limit in zip(denoisers, limits, strict=True) if drawn < limit)


def _suffix(row, density: float, pattern: int, seed: int) -> list[bool]:
    """The last maskable tokens of one sequence, in the number that the documentation of `noise_tokens` says."""
    places = [i for i, (_, maskable) in enumerate(row) if maskable]
    rounding = oracle.draw(oracle.key(seed, [id_ for id_, _ in row], pattern), 0, ROUNDING) / 2**32
    count = math.ceil(density * len(places) - rounding)
    if 0 < density < 1 and len(places) >= 2:
        count = min(max(count, 1), len(places) - 1)
    return [i in places[len(places) - count :] for i in range(len(row))]


@EVERY
@given(ROWS, DENOISERS, st.integers(0, 9), st.integers(0, 5))
def test_each_sequence_has_the_noise_of_its_denoiser(rows, denoisers, pattern, seed) -> None:
    plan = NoisePlan(3.0, 99, seed, tuple(denoisers))
    for row, noise in zip(rows, _noise(rows, 0.15, pattern, plan), strict=True):
        denoiser = _choice(row, denoisers, pattern, seed)
        if denoiser.mean_noise_span_length is not None:
            alone = NoisePlan(denoiser.mean_noise_span_length, 99, seed)
            assert [noise] == _noise([row], denoiser.noise_density, pattern, alone)
        elif isinstance(denoiser.noise_density, float):
            assert noise == _suffix(row, denoiser.noise_density, pattern, seed)
        else:
            places = [i for i, (_, maskable) in enumerate(row) if maskable]
            assert [i for i, each in enumerate(noise) if each] == places[len(places) - sum(noise) :]


@EVERY
@given(ROWS, DENOISERS, st.data())
def test_noise_does_not_depend_on_the_batch_or_the_rate(rows, denoisers, data) -> None:
    plan = NoisePlan(3.0, 5, 0, tuple(denoisers))
    together = _noise(rows, 0.15, 3, plan)
    order = data.draw(st.permutations(range(len(rows))))
    assert _noise([rows[i] for i in order], 0.9, 3, plan) == [together[i] for i in order]
    assert [_noise([row], 0.15, 3, plan)[0] for row in rows] == together


def test_a_suffix_with_more_runs_than_sentinels_loses_some() -> None:
    row = [(id_, id_ % 2 == 0) for id_ in range(40)]
    (noise,) = _noise([row], 0.15, 0, NoisePlan(3.0, 5, 0, (Denoiser(1.0, None),)))
    assert sum(noise) == 5


def _many(count: int, length: int = 400) -> RaggedTokens:
    return RaggedTokens(np.random.default_rng(0).integers(0, 50_000, count * length), np.full(count, length))


def test_the_shares_are_those_of_the_weights() -> None:
    plan = NoisePlan(3.0, 99, 0, (Denoiser(0.1, 3.0, 0.2), Denoiser(0.1, None, 1), Denoiser(0.1, 1.0, 3)))
    drawn = np.bincount(drawn_denoisers(_many(5000, 3), 0, plan), minlength=3)
    assert stats.chisquare(drawn, 5000 * np.array([0.2, 1, 3]) / 4.2).pvalue > 1e-4


def test_the_seven_of_ul2() -> None:
    """In texts of 400 tokens: R has 60 tokens of noise, S 100 in one span, X 200, or 60 in one long span."""
    expected = {(60, 20), (60, 8), (100, 1), (200, 67), (200, 25), (60, 1), (200, 3)}
    plan, tokens = NoisePlan(3.0, 99, 0, ul2_denoisers()), _many(300)
    noise = noise_tokens(tokens, np.ones(len(tokens.input_ids), dtype=bool), 0.15, 0, plan).reshape(300, 400)
    around = (noise & ~np.roll(noise, 1, axis=1)).sum(1)  # a span that goes round the end is one
    seen = list(zip(noise.sum(1).tolist(), around.tolist(), strict=True))
    assert set(seen) == expected
    drawn = drawn_denoisers(tokens, 0, plan)
    assert len({(number, pair) for number, pair in zip(drawn.tolist(), seen, strict=True)}) == 7
    assert stats.chisquare(np.bincount(drawn, minlength=7)).pvalue > 1e-4
    suffixes = noise[drawn == 2]
    assert suffixes[:, 300:].all()
    assert not suffixes[:, :300].any()


def test_the_mean_density() -> None:
    assert RateDistribution(DensityQuantile(ul2_denoisers())).mean == pytest.approx(2.2 / 7, abs=1e-3)
    mixed = DensityQuantile((Denoiser(0.1, 3.0, 3), Denoiser(uniform_rate(0.4, 0.8), None, 1)))
    assert RateDistribution(mixed).mean == pytest.approx(0.075 + 0.15, abs=1e-3)
    assert RateDistribution(mixed) == RateDistribution(DensityQuantile(mixed.denoisers))


def test_golden() -> None:
    """Noise stays what it is, between releases and on every platform."""
    rows = [[(id_, id_ % 11 != 3) for id_ in range(start, start + 30)] for start in range(0, 600, 100)]
    denoisers = (Denoiser(0.3, 3.0), Denoiser(0.3, None), Denoiser(uniform_rate(0.2, 0.6), 64.0))
    shown = ["".join(".x"[each] for each in noise) for noise in _noise(rows, 0.15, 4, NoisePlan(3.0, 99, 7, denoisers))]
    assert shown == [
        ".....x............x...xxx.xxx.",
        "xx.xxxxxxxx.................xx",
        "x........xxx.............x.xxx",
        "...............x.x...x.xxxxxx.",
        "..xxx.......xxx..xx...........",
        ".....................xxxxxxxxx",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.5, 3.0), "`noise_density` must be a number between 0 and 1, but got 1.5"),
        (("0.15", 3.0), "`noise_density` must be a number between 0 and 1, but got '0.15'"),
        ((True, 3.0), "`noise_density` must be a number between 0 and 1, but got True"),
        ((uniform_rate(low_discrepancy=True), 3.0), "`noise_density` of a denoiser must be independent between"),
        ((uniform_rate(block_size=4), 3.0), "`noise_density` of a denoiser must be .* constant within one, but got"),
        ((0.15, 0.5), "`mean_noise_span_length` must be a finite number of at least 1, but got 0.5"),
        ((0.15, True), "`mean_noise_span_length` must be a finite number of at least 1, but got True"),
        ((0.15, math.inf), "`mean_noise_span_length` must be a finite number of at least 1, but got inf"),
        ((0.15, 3.0, 0), "`weight` must be a finite number above 0, but got 0"),
        ((0.15, 3.0, 1.0, ""), "`mode_token` must be a token of the tokenizer, but got ''"),
        ((0.15, 3.0, 1.0, 7), "`mode_token` must be a token of the tokenizer, but got 7"),
    ],
)
def test_bad_denoisers(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        Denoiser(*arguments)


@pytest.mark.parametrize("value", [(), [], "R", Denoiser(0.15, 3.0), [(0.15, 3.0)], 7, {}])
def test_what_is_no_sequence_of_denoisers(value) -> None:
    with pytest.raises(ValueError, match="`denoisers` must be a sequence of at least one `Denoiser`, but got"):
        checked_denoisers(value)


@pytest.mark.parametrize("value", [("[NLU]",), "abc", 3])
def test_bad_mode_tokens(value) -> None:
    with pytest.raises(ValueError, match="`mode_tokens` must be the three tokens of the R-, S- and X-denoisers"):
        ul2_denoisers(value)


def test_noise_has_one_density_for_each_sequence() -> None:
    with pytest.raises(ValueError, match="`noise_density` must be one density for each sequence"):
        _noise([[(5, True)]], uniform_rate(block_size=4), 0, NoisePlan(3.0, 99, 0))
