from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import oracle
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, cosine_rate, truncated_normal_rate, uniform_rate
from hf_dynmask.rates.distributions import RateDistribution, StepPart

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


@pytest.mark.parametrize("quantile", [0.3, math.sqrt])
def test_a_collator_names_a_bad_quantile(wordpiece, quantile) -> None:
    with pytest.raises(ValueError, match=r"^`quantile` must "):
        DataCollatorForDynamicMasking(wordpiece, RateDistribution(quantile))


@pytest.mark.parametrize(
    ("distribution", "distance"),
    [
        (uniform_rate(), 0.0),
        (RateDistribution(lambda u: 1 - u), 0.0),
        (uniform_rate(0.1, 1.0), 0.1),
        (uniform_rate(0.0, 0.3), 0.7),
        (RateDistribution(np.square), 0.25),
    ],
)
def test_the_distance_to_uniform_rates(distribution, distance) -> None:
    assert distribution.distance_to_uniform == pytest.approx(distance, abs=1e-3)


@pytest.mark.parametrize("patterns", [1, 3])
def test_masks_that_return_do_not_depend_on_the_batch(wordpiece, patterns) -> None:
    message = r"`low_discrepancy` of `mlm_probability` must be False with `num_mask_patterns`"
    even = uniform_rate(low_discrepancy=True)
    with pytest.raises(ValueError, match=message):
        DataCollatorForDynamicMasking(wordpiece, even, num_mask_patterns=patterns)
    collator = DataCollatorForDynamicMasking(wordpiece, num_mask_patterns=patterns)
    with pytest.raises(ValueError, match=message):
        collator.for_training(even, seed=0)
    assert collator.for_evaluation(even).mlm_probability == uniform_rate()


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
        (lambda: RateDistribution(0.3), "`quantile` must be a function from uniform draws to rates, but got 0.3. Pass"),
        (
            lambda: RateDistribution(math.sqrt).draw(KEYS),
            "`quantile` must accept uniform draws.*sqrt.* raised TypeError",
        ),
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
        lambda low_discrepancy: cosine_rate(low_discrepancy, block_size=4),
    ],
    ids=["uniform", "truncated normal", "cosine", "blocks"],
)
def test_a_distribution_equals_its_pickle_and_what_its_printed_form_makes(make) -> None:
    for distribution, other in ((make(False), make(True)), (make(True), make(False))):
        assert distribution == make(distribution.low_discrepancy) == pickle.loads(pickle.dumps(distribution)) != other
        assert eval(repr(distribution)) == distribution
    assert uniform_rate(0.1, 0.5) != uniform_rate(0.1, 0.6)
    assert repr(RateDistribution(abs)) == "RateDistribution(<built-in function abs>, low_discrepancy=False)"


class TestBlocks:
    """Each block of a sequence draws its own rate."""

    @settings(derandomize=True, deadline=None)
    @given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 12))
    def test_each_token_has_the_rate_of_its_block_and_the_first_block_that_of_its_sequence(self, lengths, size) -> None:
        keys = np.arange(1, len(lengths) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        rates = uniform_rate(0.1, 0.7, block_size=size).draw_in_blocks(keys, np.array(lengths)).values
        expected = [
            0.1 + 0.6 * oracle.draw(int(key), position // size, 5) / 2**32
            for key, length in zip(keys, lengths, strict=True)
            for position in range(length)
        ]
        assert rates.tolist() == pytest.approx(expected)

    def test_low_discrepancy_spreads_the_blocks_of_a_batch_evenly(self) -> None:
        keys = np.arange(1, 9, dtype=np.uint64)
        rates = uniform_rate(low_discrepancy=True, block_size=4).draw_in_blocks(keys, np.full(8, 20)).values[::4]
        assert sorted(np.floor(np.sort(rates) * 40)) == list(range(40))

    @pytest.mark.parametrize("strategy", ["token", "whole_word"])
    def test_tokens_are_masked_at_the_rate_of_their_block(self, wordpiece, strategy) -> None:
        collator = DataCollatorForDynamicMasking(
            wordpiece, uniform_rate(block_size=4), strategy=strategy, min_masked=0, return_mask_rate=True, seed=0
        )
        text = "the cat sat on a mat and the dog ran to the house"
        rates, masked = [], []
        for epoch in range(1500):
            batch = collator([wordpiece(text)], "np", epoch=epoch)
            assert batch["mask_rate"].shape == batch["labels"].shape
            rates.append(batch["mask_rate"][0, 1:-1])
            masked.append(batch["labels"][0, 1:-1] != -100)
        found, expected = np.stack(masked), np.stack(rates)
        for low in (0.0, 0.25, 0.5, 0.75):
            in_range = (expected >= low) & (expected < low + 0.25)
            assert found[in_range].mean() == pytest.approx(expected[in_range].mean(), abs=0.04)

    @pytest.mark.parametrize("layout", ["padded", "own padding", "left", "padding_free"])
    def test_the_rates_of_tokens_are_laid_out_as_the_tokens(self, wordpiece, layout) -> None:
        wordpiece = copy.deepcopy(wordpiece)
        wordpiece.padding_side = "left" if layout == "left" else "right"
        texts = ["the cat sat on a mat and the dog", "the dog"]
        own_padding = {"padding": "max_length", "max_length": 16} if layout == "own padding" else {}
        examples = [wordpiece(text, **own_padding) for text in texts]
        for rate in (uniform_rate(block_size=3), uniform_rate()):
            settings = {"seed": 0, "padding_free": layout == "padding_free", "return_flash_attn_kwargs": False}
            collator = DataCollatorForDynamicMasking(wordpiece, rate, return_mask_rate="token", **settings)
            batch = collator(examples, "np", epoch=0)
            alone = [collator([example], "np", epoch=0) for example in examples]
            flat = [each["mask_rate"][each.get("attention_mask", np.ones_like(each["labels"])) == 1] for each in alone]
            attended = batch.get("attention_mask", np.ones_like(batch["labels"])) == 1
            assert batch["mask_rate"].dtype == np.float32
            assert np.array_equal(batch["mask_rate"][attended], np.concatenate(flat))
            assert (batch["mask_rate"][~attended] == 1).all()

    def test_the_rates_are_left_out_unless_they_are_asked_for(self, wordpiece) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, uniform_rate(block_size=3), seed=0)
        assert "mask_rate" not in collator([wordpiece("the cat")], epoch=0)
        causal = DataCollatorForDynamicMasking(wordpiece, mlm=False, return_mask_rate="token")
        assert causal([wordpiece("the cat")])["mask_rate"].tolist() == [[0.0] * 4]

    @pytest.mark.parametrize(
        "arguments",
        [{"strategy": "entity"}, {"strategy": "position"}, {"strategy": "adaptive"}, {"exact_count": True}],
        ids=lambda arguments: str(*arguments.values()),
    )
    def test_what_needs_one_rate_per_sequence_refuses_them(self, wordpiece, arguments) -> None:
        message = "`block_size` must be None with `exact_count=True` and with strategies"
        with pytest.raises(ValueError, match=message):
            DataCollatorForDynamicMasking(wordpiece, uniform_rate(block_size=4), **arguments)
        collator = DataCollatorForDynamicMasking(wordpiece, **arguments)
        collator.mlm_probability = uniform_rate(block_size=4)
        with pytest.raises(ValueError, match=message):
            collator([{**wordpiece("the cat"), "labels": [0] * 4}], epoch=0)

    @pytest.mark.parametrize("size", [0, -1, 1.5, True, "4"])
    def test_what_is_no_size_is_refused(self, size) -> None:
        with pytest.raises(ValueError, match="`block_size` must be an integer of at least 1"):
            uniform_rate(block_size=size)


class TestLowDiscrepancyOfAStep:
    """The batches of all ranks, and those that are accumulated, are spread together."""

    @settings(derandomize=True, deadline=None)
    @given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 10**6))
    def test_the_parts_of_a_step_put_one_draw_in_each_interval(self, size: int, count: int, step: int) -> None:
        keys = np.random.default_rng(step).integers(0, 2**64, (count, size), dtype=np.uint64)
        of_step = np.array([step], dtype=np.uint64)
        rate = uniform_rate(low_discrepancy=True)
        drawn = [rate.for_part(StepPart(index, count, of_step)).draw(own) for index, own in enumerate(keys)]
        intervals = np.floor(np.sort(np.concatenate(drawn)) * size * count + 1e-6)
        assert intervals.tolist() == list(range(size * count))

    def test_each_part_draws_from_the_whole_range(self) -> None:
        rate, keys = uniform_rate(low_discrepancy=True), KEYS.reshape(-1, 1)[:8000]
        steps = np.arange(len(keys), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        drawn = [rate.for_part(StepPart(1, 4, steps[i : i + 1])).draw(keys[i])[0] for i in range(len(keys))]
        assert stats.kstest(drawn, stats.uniform.cdf).pvalue > 1e-3

    def test_one_part_is_the_whole_batch_as_before(self, wordpiece) -> None:
        collator = DataCollatorForDynamicMasking(
            wordpiece, uniform_rate(low_discrepancy=True), seed=0, return_mask_rate=True
        )
        examples = [[6, 7, 8, 9 + number] for number in range(8)]
        loader = DataLoader(examples, batch_size=8, collate_fn=collator)
        collator.start_epoch(loader, 2)
        assert next(iter(loader))["mask_rate"].tolist() == collator(examples, epoch=2)["mask_rate"].tolist()

    @pytest.mark.parametrize(("ranks", "accumulation", "workers"), [(2, 1, 0), (1, 3, 2), (2, 2, 0)])
    def test_ranks_and_accumulated_batches_of_a_step(self, wordpiece, ranks, accumulation, workers) -> None:
        examples, size = [[6, 7, 8, 9 + number % 40, 9 + number // 40] for number in range(96)], 4
        steps: dict[int, list[float]] = {}
        for rank in range(ranks):
            collator = DataCollatorForDynamicMasking(
                wordpiece, uniform_rate(low_discrepancy=True), seed=0, return_mask_rate=True
            )
            batches = BatchSampler(SequentialSampler(examples), size, drop_last=False)
            sampler = BatchSamplerShard(batches, num_processes=ranks, process_index=rank)
            loader = DataLoader(examples, batch_sampler=sampler, collate_fn=collator, num_workers=workers)
            collator.start_epoch(loader, 1, gradient_accumulation_steps=accumulation)
            for number, batch in enumerate(loader):
                steps.setdefault(number // accumulation, []).extend(batch["mask_rate"].tolist())
        together = ranks * accumulation * size
        assert len(steps) == 96 // together
        for rates in steps.values():
            assert np.floor(np.sort(rates) * together + 1e-4).tolist() == list(range(together))
