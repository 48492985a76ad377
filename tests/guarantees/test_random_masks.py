"""Masks are as random as the draws behind them: at every place, between epochs, seeds, examples and neighbours.

All p-values of this file together lie above the threshold but for once in 1,000 sets of seeds (Bonferroni).
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from support.generators import OURS, WEAK, Generator, real_rows

from hf_dynmask import strategies
from hf_dynmask.core.draws import Purpose
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.masking.mlm import MaskingPlan, apply_mask, mask_tokens
from hf_dynmask.vocabulary.vocabulary import Vocabulary

IDS, MASK, LENGTH = 31_000, 103, 128
SPECIAL = np.isin(np.arange(IDS), [100, 101, 102, MASK])
VOCABULARY = Vocabulary(SPECIAL, np.flatnonzero(~SPECIAL), lambda: None, MASK, 0, 0, True)
INNER = slice(1, LENGTH - 1)  # between the special tokens
RATES = (0.05, 0.15, 0.4)
CHANCES: list[float] = []
MOST_CHANCES = 50
THRESHOLD = 1e-3 / MOST_CHANCES


@pytest.fixture(scope="module")
def rows(stress) -> np.ndarray:
    return real_rows(99, 30_000 if stress else 500, LENGTH)


@pytest.fixture(scope="module", autouse=True)
def _figures(report_figure, rows):
    yield
    assert len(CHANCES) <= MOST_CHANCES
    if CHANCES:
        figure = f"{min(CHANCES):.2g} among {len(CHANCES)}, of {rows.size:,} tokens each"
        report_figure("smallest p-value of masks", figure)


def _masked(rows, rate: float, seed: int = 0, pattern: int = 0, mix=(0.8, 0.1)) -> tuple[np.ndarray, np.ndarray]:
    """Which tokens are masked, between the special ones, and what all have become: `[rows, tokens]`."""
    plan = MaskingPlan(VOCABULARY, strategies.token(), *mix, exact_count=False, min_masked=0, seed=seed)
    tokens = RaggedTokens(rows.ravel(), np.full(len(rows), LENGTH))
    masked, inputs = mask_tokens(tokens, ~SPECIAL[tokens.input_ids], rate, pattern, plan), rows.ravel().copy()
    labels = apply_mask(inputs, masked.indices, masked.ids)
    return (labels != -100).reshape(rows.shape)[:, INNER], inputs.reshape(rows.shape)[:, INNER]


def _weakly(monkeypatch, weak: Generator) -> None:
    monkeypatch.setattr("hf_dynmask.masking.keys.stream_keys", weak.keys)
    monkeypatch.setattr("hf_dynmask.masking.keys.example_hashes", weak.hashes)
    monkeypatch.setattr("hf_dynmask.strategies.units.draw_in_rows", weak.draws)
    monkeypatch.setattr("hf_dynmask.masking.replacement.draw_in_rows", weak.draws)


def at_each_place(rows, rate: float) -> float:
    """The counts of masked tokens at the places are binomial, and independent of each other."""
    counts = _masked(rows, rate)[0].sum(0)
    squares = (counts - len(rows) * rate) ** 2 / (len(rows) * rate * (1 - rate))
    return float(stats.chi2.sf(squares.sum(), len(counts)))


def overlap(first: np.ndarray, second: np.ndarray, rate: float) -> float:
    """Both are masked with the odds of rate^2, and so on: the table of two independent masks."""
    observed = np.bincount((first * 2 + second).ravel(), minlength=4)
    odds = np.array([(1 - rate) ** 2, rate * (1 - rate), rate * (1 - rate), rate**2])
    return float(stats.chisquare(observed, odds * first.size).pvalue)


def of_epochs(rows, rate: float) -> float:
    return overlap(_masked(rows, rate, pattern=0)[0], _masked(rows, rate, pattern=1)[0], rate)


def of_seeds(rows, rate: float) -> float:
    return overlap(_masked(rows, rate, seed=0)[0], _masked(rows, rate, seed=1)[0], rate)


def of_a_seed_higher_and_an_epoch_lower(rows, rate: float) -> float:
    return overlap(_masked(rows, rate, seed=0, pattern=1)[0], _masked(rows, rate, seed=1)[0], rate)


def of_adjacent_tokens(rows, rate: float) -> float:
    masked = _masked(rows, rate)[0]
    return overlap(masked[:, 0::2], masked[:, 1::2], rate)


def of_examples_that_differ_in_one_token(rows, rate: float) -> float:
    changed = rows.copy()
    changed[np.arange(len(rows)), 1 + np.arange(len(rows)) % (LENGTH - 2)] += 1
    return overlap(_masked(rows, rate)[0], _masked(changed, rate)[0], rate)


def replaced_80_10_10(rows, rate: float) -> float:
    """Given that a token is masked: the mask token, a random one, or itself (which a random one may be, too)."""
    masked, inputs = _masked(rows, rate)
    became = inputs[masked]
    random = np.count_nonzero((became != MASK) & (became != rows[:, INNER][masked]))
    observed = np.array([np.count_nonzero(became == MASK), random, 0])
    observed[2] = len(became) - observed.sum()
    by_chance = 0.1 / len(VOCABULARY.ordinary_ids)
    return float(stats.chisquare(observed, np.array([0.8, 0.1 - by_chance, 0.1 + by_chance]) * len(became)).pvalue)


def random_ids(rows, rate: float) -> float:
    """All ordinary ids are equally likely, in 128 bins of them, and no other comes."""
    masked, inputs = _masked(rows, rate, mix=(0.0, 1.0))
    ordinary = VOCABULARY.ordinary_ids
    observed = np.bincount(np.searchsorted(ordinary, inputs[masked]) * 128 // len(ordinary), minlength=128)
    sizes = np.bincount(np.arange(len(ordinary)) * 128 // len(ordinary))
    assert not SPECIAL[inputs[masked]].any()
    return float(stats.chisquare(observed, sizes / sizes.sum() * observed.sum()).pvalue)


CHECKS = [
    at_each_place,
    of_epochs,
    of_seeds,
    of_a_seed_higher_and_an_epoch_lower,
    of_adjacent_tokens,
    of_examples_that_differ_in_one_token,
    replaced_80_10_10,
    random_ids,
]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_masks(check, rate, rows) -> None:
    CHANCES.append(check(rows, rate))
    assert CHANCES[-1] > THRESHOLD


@pytest.mark.parametrize(
    ("check", "weak"),
    [
        (at_each_place, "no example"),
        (of_epochs, "no epoch"),
        (of_seeds, "no seed"),
        (of_a_seed_higher_and_an_epoch_lower, "seed + epoch + index, as in Megatron and grain"),
        (of_adjacent_tokens, "positions through a linear congruence"),
        (of_examples_that_differ_in_one_token, "(seed, epoch, index) modulo 10^6, as in fairseq"),
        (replaced_80_10_10, "one stream for every purpose"),
        (random_ids, "one stream for every purpose"),
    ],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_weak_generators_are_rejected(check, weak, monkeypatch) -> None:
    _weakly(monkeypatch, WEAK[weak])
    assert check(real_rows(98, 500, LENGTH), 0.15) < THRESHOLD


def test_a_generator_is_put_in_place(monkeypatch) -> None:
    """Else what is rejected above could be the putting in place."""
    rows = real_rows(98, 50, LENGTH)
    before = _masked(rows, 0.15)
    _weakly(monkeypatch, OURS)
    assert all((a == b).all() for a, b in zip(before, _masked(rows, 0.15), strict=True))
    assert OURS.numbers(0, rows, 0, Purpose.SELECTION).shape == rows.shape
