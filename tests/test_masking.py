from __future__ import annotations

import dataclasses

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hf_dynmask.masking import MaskingPlan, mask_tokens
from hf_dynmask.ragged import RaggedTokens
from hf_dynmask.strategies import STRATEGIES
from hf_dynmask.vocabulary import Vocabulary

SIZE = 100
SPECIAL = np.arange(SIZE) < 5
VOCABULARY = Vocabulary(
    special=SPECIAL,
    ordinary_ids=np.arange(5, SIZE),
    word_starts=np.arange(SIZE) < 60,  # ids from 60 on continue a word
    mask_token_id=4,
    pad_token_id=0,
    pad_token_type_id=0,
    pads_unmistakably=True,
)
PLAN = MaskingPlan(
    vocabulary=VOCABULARY,
    strategy=STRATEGIES["token"],
    mask_replace_prob=0.8,
    random_replace_prob=0.1,
    exact_count=False,
    min_masked=0,
    seed=7,
)
ROWS = st.lists(st.lists(st.integers(1, SIZE - 1), max_size=30), min_size=1, max_size=5)
RATES = st.sampled_from([0.0, 0.05, 0.15, 0.4, 1.0]) | st.floats(0, 1)
EVERY = settings(derandomize=True, deadline=None, max_examples=150)


def _mask(rows: list[list[int]], rate, plan: MaskingPlan = PLAN, pattern: int = 0) -> list[tuple[list[int], list[int]]]:
    """(inputs, labels) of each sequence."""
    lengths = np.array([len(row) for row in rows])
    tokens = RaggedTokens(np.array([id_ for row in rows for id_ in row], dtype=np.int64), lengths)
    inputs, labels = mask_tokens(tokens, ~SPECIAL[tokens.input_ids], rate, pattern, plan)
    cuts = np.cumsum(lengths)[:-1]
    return [(a.tolist(), b.tolist()) for a, b in zip(np.split(inputs, cuts), np.split(labels, cuts), strict=True)]


def _plan(strategy: str, **changes) -> MaskingPlan:
    return dataclasses.replace(PLAN, strategy=STRATEGIES[strategy], **changes)


def _words(row: list[int]) -> list[list[int]]:
    """Positions of each word; one that holds a special token is none."""
    words: list[list[int]] = []
    for place, id_ in enumerate(row):
        if place and id_ >= 60 and row[place - 1] >= 5:
            words[-1].append(place)
        else:
            words.append([place])
    return [word for word in words if all(row[place] >= 5 for place in word)]


@EVERY
@given(ROWS, RATES, st.integers(0, 9), st.integers(0, 3), st.booleans())
def test_token_masks_equal_those_of_the_oracle(rows, rate, pattern, min_masked, exact_count) -> None:
    plan = _plan("token", min_masked=min_masked, exact_count=exact_count)
    for row, (inputs, labels) in zip(rows, _mask(rows, rate, plan, pattern), strict=True):
        maskable = [id_ >= 5 for id_ in row]
        chosen = oracle.token_mask(
            row, maskable, rate, seed=7, pattern=pattern, min_masked=min_masked, exact_count=exact_count
        )
        assert labels == [id_ if masked else -100 for id_, masked in zip(row, chosen, strict=True)]
        becomes = oracle.replaced(row, seed=7, pattern=pattern, mask_id=4, ordinary=list(range(5, SIZE)))
        assert inputs == [b if masked else id_ for id_, masked, b in zip(row, chosen, becomes, strict=True)]


@pytest.mark.parametrize("exact_count", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
@EVERY
@given(rows=ROWS, rate=RATES, min_masked=st.integers(0, 3))
def test_what_holds_for_every_strategy(strategy, exact_count, rows, rate, min_masked) -> None:
    plan = _plan(strategy, exact_count=exact_count, min_masked=min_masked)
    for row, (inputs, labels) in zip(rows, _mask(rows, rate, plan), strict=True):
        units = _words(row) if strategy == "whole_word" else [[i] for i, id_ in enumerate(row) if id_ >= 5]
        masked = [place for place, label in enumerate(labels) if label != -100]
        assert all(labels[place] == row[place] and row[place] >= 5 for place in masked)
        assert all(inputs[place] == row[place] for place in range(len(row)) if place not in masked)
        assert all(inputs[place] == 4 or inputs[place] >= 5 for place in masked)
        assert all(len({place in masked for place in unit}) == 1 for unit in units), "a unit was cut"
        assert len(masked) >= min(min_masked, sum(map(len, units)))
        if rate == 1:
            assert len(masked) == sum(map(len, units))
        if rate == 0 and not min_masked:
            assert not masked


@pytest.mark.parametrize("exact_count", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
@EVERY
@given(rows=ROWS, rates=st.tuples(RATES, RATES), min_masked=st.integers(0, 2))
def test_a_mask_at_a_lower_rate_is_a_subset(strategy, exact_count, rows, rates, min_masked) -> None:
    plan = _plan(strategy, exact_count=exact_count, min_masked=min_masked)
    for (_, few), (_, many) in zip(_mask(rows, min(rates), plan), _mask(rows, max(rates), plan), strict=True):
        assert all(more == label for label, more in zip(few, many, strict=True) if label != -100)


@pytest.mark.parametrize("strategy", STRATEGIES)
@EVERY
@given(rows=ROWS, rate=RATES, data=st.data())
def test_a_mask_does_not_depend_on_the_batch(strategy, rows, rate, data) -> None:
    plan = _plan(strategy, min_masked=1)
    together = _mask(rows, rate, plan)
    order = data.draw(st.permutations(range(len(rows))))
    assert _mask([rows[i] for i in order], rate, plan) == [together[i] for i in order]
    assert [_mask([row], rate, plan)[0] for row in rows] == together
    assert _mask(rows, np.full(len(rows), rate), plan) == together, "a rate for each sequence"


def _counts(strategy: str, rate: float, exact_count: bool) -> tuple[np.ndarray, int]:
    """Masked tokens of one sequence in 2,000 epochs, and how many it has that may be masked."""
    row = np.random.default_rng(0).integers(5, SIZE, 40).tolist()
    plan = _plan(strategy, exact_count=exact_count)
    labels = np.array([_mask([row], rate, plan, pattern)[0][1] for pattern in range(2000)])
    return (labels != -100).sum(1), len(row)


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4])
def test_token_counts_are_binomial(rate) -> None:
    counts, size = _counts("token", rate, exact_count=False)
    assert stats.binomtest(int(counts.sum()), size * len(counts), rate).pvalue > 1e-4
    observed = np.bincount(counts, minlength=size + 1)
    expected = stats.binom.pmf(np.arange(size + 1), size, rate) * len(counts)
    usual = expected > 5
    table = np.append(observed[usual], observed[~usual].sum()), np.append(expected[usual], expected[~usual].sum())
    assert stats.chisquare(*table).pvalue > 1e-4


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4])
def test_the_mean_rate_is_the_asked_one(strategy, rate) -> None:
    for exact_count in (False, True):
        counts, size = _counts(strategy, rate, exact_count)
        error = counts.std() / np.sqrt(len(counts))
        assert abs(counts.mean() - rate * size) < 4 * error + 1e-9


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4])
def test_exact_counts_differ_by_no_more_than_rounding(rate) -> None:
    counts, size = _counts("token", rate, exact_count=True)
    assert set(counts.tolist()) <= {int(np.floor(rate * size)), int(np.ceil(rate * size))}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_replacement_is_80_10_10_and_independent_of_the_position(strategy) -> None:
    row = np.random.default_rng(1).integers(5, SIZE, 500).tolist()
    masks = [_mask([row], 1.0, _plan(strategy), pattern)[0] for pattern in range(100)]
    inputs = np.array([inputs for inputs, _ in masks])
    masked = np.array([labels for _, labels in masks]) != -100
    became_mask = inputs[masked] == 4
    kept = inputs[masked] == np.broadcast_to(row, inputs.shape)[masked]
    assert stats.binomtest(int(became_mask.sum()), int(masked.sum()), 0.8).pvalue > 1e-4
    assert stats.binomtest(int(kept.sum()), int(masked.sum()), 0.1 + 0.1 / 95).pvalue > 1e-4
    random = inputs[masked & (inputs != 4) & (inputs != np.array(row))]
    assert stats.chisquare(np.bincount(random, minlength=SIZE)[5:]).pvalue > 1e-4
    assert not SPECIAL[random].any()
