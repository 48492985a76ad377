from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.utils.data import DataLoader

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, cosine_rate, truncated_normal_rate, uniform_rate
from hf_dynmask.rates.distributions import RateDistribution

KEYS = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64)
EVERY = settings(derandomize=True, deadline=None, max_examples=100)
ORACLES = {
    "uniform": (uniform_rate(0.1, 0.6), stats.uniform(0.1, 0.5)),
    "truncated normal": (
        truncated_normal_rate(0.4, 0.2, low=0.1, high=0.9),
        stats.truncnorm((0.1 - 0.4) / 0.2, (0.9 - 0.4) / 0.2, loc=0.4, scale=0.2),
    ),
    "upper tail": (
        truncated_normal_rate(0.1, 0.05, low=0.6, high=0.9),
        stats.truncnorm(10, 16, loc=0.1, scale=0.05),
    ),
    "lower tail": (
        truncated_normal_rate(1.2, 0.1, low=0.1, high=0.4),
        stats.truncnorm(-11, -8, loc=1.2, scale=0.1),
    ),
    "cosine": (
        cosine_rate(),
        stats.rv_histogram(np.histogram(np.cos(np.pi / 2 * (np.arange(10**6) + 0.5) / 10**6), 4000)),
    ),
}


@pytest.mark.parametrize("name", ORACLES)
def test_draws_follow_the_distribution(name) -> None:
    distribution, oracle = ORACLES[name]
    drawn = distribution.draw(KEYS)
    assert stats.kstest(drawn, oracle.cdf).pvalue > 1e-3
    assert distribution.mean == pytest.approx(oracle.mean(), abs=1e-4)
    assert (pickle.loads(pickle.dumps(distribution)).draw(KEYS) == drawn).all()


def test_a_sequences_rate_depends_on_it_alone() -> None:
    distribution = uniform_rate()
    assert (distribution.draw(KEYS[::-1]) == distribution.draw(KEYS)[::-1]).all()
    assert (distribution.draw(KEYS[:7]) == distribution.draw(KEYS)[:7]).all()


@EVERY
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40, unique=True), st.data())
def test_low_discrepancy_puts_one_draw_in_each_part(keys, data) -> None:
    distribution = uniform_rate(low_discrepancy=True)
    drawn = distribution.draw(np.array(keys, dtype=np.uint64))
    assert sorted((drawn * len(keys)).astype(int).tolist()) == list(range(len(keys)))
    order = data.draw(st.permutations(range(len(keys))))
    assert (distribution.draw(np.array(keys, dtype=np.uint64)[order]) == drawn[order]).all(), (
        "the order does not matter"
    )


def test_low_discrepancy_draws_are_uniform_for_each_sequence() -> None:
    drawn = [uniform_rate(low_discrepancy=True).draw(keys)[0] for keys in KEYS.reshape(-1, 8)]
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3


def _batches(tokenizer, workers: int = 0, batch_size: int = 8, **options) -> list[dict]:
    collator = DataCollatorForDynamicMasking(tokenizer, seed=1, return_mask_rate=True, **options)
    collator.set_epoch(2)
    rows = np.random.default_rng(0).integers(5, 45, (64, 400))
    return list(DataLoader([{"input_ids": row} for row in rows], batch_size, collate_fn=collator, num_workers=workers))


def test_each_sequence_is_masked_at_the_rate_that_the_batch_tells(wordpiece) -> None:
    batches = _batches(wordpiece, mlm_probability=uniform_rate(), exact_count=True)
    rates = torch.cat([batch["mask_rate"] for batch in batches])
    fractions = torch.cat([(batch["labels"] != -100).float().mean(1) for batch in batches])
    assert rates.dtype == torch.float32
    assert torch.allclose(fractions, rates, atol=1.01 / 400)
    assert rates.std() > 0.2


def test_rates_do_not_depend_on_workers_or_batches(wordpiece) -> None:
    alone, other = (
        torch.cat([batch["labels"] for batch in _batches(wordpiece, *how, mlm_probability=cosine_rate())])
        for how in ((0, 8), (2, 5))
    )
    assert torch.equal(alone, other)


def test_weights_of_one_over_the_rate_are_not_biased(wordpiece) -> None:
    """What masked diffusion models rest on: E[masked / rate] is the number of tokens, with `min_masked=0`."""
    collator = DataCollatorForDynamicMasking(
        wordpiece, uniform_rate(1e-3, 1.0), min_masked=0, return_mask_rate=True, num_mask_patterns=1
    )
    rows = np.random.default_rng(1).integers(5, 45, (20_000, 16))
    batch = collator([{"input_ids": row} for row in rows])
    ratios = ((batch["labels"] != -100).sum(1) / (16 * batch["mask_rate"])).numpy()
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / len(ratios) ** 0.5


def test_evaluation_rates_do_not_depend_on_the_batch(wordpiece) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece).for_evaluation(uniform_rate(low_discrepancy=True))
    rows = [{"input_ids": row} for row in np.random.default_rng(1).integers(5, 45, (8, 40))]
    assert torch.equal(collator(rows)["labels"][:3], collator(rows[:3])["labels"])


def test_a_numbers_rate_is_told_as_well(wordpiece) -> None:
    assert (_batches(wordpiece, mlm_probability=0.3)[0]["mask_rate"] == torch.tensor(0.3)).all()


def test_evaluation_may_have_a_distribution(wordpiece) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, mlm_probability=uniform_rate(), exact_count=True, min_masked=0)
    evaluation = collator.for_evaluation(uniform_rate(0.4, 0.6))
    examples = [{"input_ids": [5 + i % 40 for i in range(start, start + 400)]} for start in range(8)]
    labels = evaluation(examples)["labels"]
    fractions = (labels != -100).float().mean(1)
    assert ((fractions > 0.39) & (fractions < 0.61)).all()
    assert len(set(fractions.tolist())) > 1
    assert torch.equal(evaluation(examples)["labels"], labels)
    MaskRateCallback(uniform_rate(), eval_mlm_probability=uniform_rate(0.4, 0.6))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: uniform_rate(0.5, 0.5), "`low` must be below `high`, but got 0.5 and 0.5"),
        (lambda: uniform_rate(-0.1, 0.5), "`low` must be a number between 0 and 1"),
        (lambda: truncated_normal_rate(0.5, 0.0), "`std` must be a finite number above 0"),
        (lambda: truncated_normal_rate(math.nan, 0.1), "`mean` must be a finite number"),
        (lambda: truncated_normal_rate(9.0, 0.1), "`mean` must be within 30 `std`"),
        (lambda: RateDistribution(lambda u: 2 * u).draw(KEYS), "`quantile` must return a rate between 0 and 1"),
        (lambda: RateDistribution(lambda u: 0.5).draw(KEYS), "`quantile` must return a rate between 0 and 1"),
    ],
)
def test_bad_arguments(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "make",
    [
        lambda low_discrepancy: uniform_rate(0.1, 0.5, low_discrepancy),
        lambda low_discrepancy: truncated_normal_rate(0.3, 0.1, low=0.1, high=0.5, low_discrepancy=low_discrepancy),
        cosine_rate,
    ],
    ids=["uniform", "truncated normal", "cosine"],
)
def test_a_distribution_equals_its_pickle_and_what_its_printed_form_makes(make) -> None:
    for distribution, other in ((make(False), make(True)), (make(True), make(False))):
        assert distribution == make(distribution.low_discrepancy) == pickle.loads(pickle.dumps(distribution)) != other
        assert eval(repr(distribution)) == distribution
    assert uniform_rate(0.1, 0.5) != uniform_rate(0.1, 0.6)
    assert repr(RateDistribution(abs)) == "RateDistribution(<built-in function abs>, low_discrepancy=False)"
