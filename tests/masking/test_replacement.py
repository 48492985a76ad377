"""Which ids replace masked tokens, and which are never masked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from support import oracle

from hf_dynmask import DataCollatorForDynamicMasking
from hf_dynmask.core.draws import RANGE
from hf_dynmask.masking.replacement import random_ids
from hf_dynmask.vocabulary.vocabulary import read_vocabulary

TEXTS = ["the cat sat on a mat and the dog ran to the house", "the dog ran on the mat", "a cat, the dog"]


def _random(tokenizer, **arguments) -> DataCollatorForDynamicMasking:
    settings = {"mask_replace_prob": 0.0, "random_replace_prob": 1.0, "mlm_probability": 0.5, "seed": 3}
    return DataCollatorForDynamicMasking(tokenizer, **{**settings, **arguments})


def test_each_random_id_is_the_one_whose_share_of_the_weights_holds_the_draw(wordpiece) -> None:
    weights = np.arange(len(wordpiece)) % 7 / 3.0
    collator = _random(wordpiece, replacement_weights=weights)
    vocabulary = read_vocabulary(wordpiece)
    drawable = [id_ for id_ in range(len(wordpiece)) if not vocabulary.special[id_] and weights[id_]]
    total = sum(weights[id_] for id_ in drawable)
    for text in TEXTS:
        ids = wordpiece(text)["input_ids"]
        for epoch in range(5):
            batch = collator([{"input_ids": ids}], epoch=epoch)
            stream = oracle.key(3, ids, epoch)
            for position in np.flatnonzero(batch["labels"][0].numpy() != -100):
                number, below = oracle.draw(stream, int(position), 2) / 2**32, 0.0
                for expected in drawable:
                    below += weights[expected] / total
                    if number < below:
                        break
                assert batch["input_ids"][0, position] == expected


def test_random_ids_are_as_frequent_as_their_weights(wordpiece) -> None:
    weights = np.random.default_rng(0).integers(0, 5, len(wordpiece)) ** 2
    drawn = random_ids(read_vocabulary(wordpiece), weights)
    draws = np.random.default_rng(1).integers(0, RANGE, 200_000, dtype=np.uint32)
    counts = np.bincount(drawn.at(draws), minlength=len(wordpiece))
    expected = np.where(read_vocabulary(wordpiece).special, 0, weights)
    assert not counts[expected == 0].any()
    shares = expected[expected > 0] / expected.sum()
    assert stats.chisquare(counts[expected > 0], 200_000 * shares).pvalue > 1e-3


def test_the_ends_of_the_range_of_draws(wordpiece) -> None:
    weights = np.zeros(len(wordpiece))
    weights[[9, 11, 20]] = [1, 1e-30, 3]
    drawn = random_ids(read_vocabulary(wordpiece), weights)
    edges = np.array([0, RANGE // 4 - 1, RANGE // 4, RANGE - 1], dtype=np.uint32)
    assert drawn.at(edges).tolist() == [9, 9, 20, 20]


def test_equal_weights_are_no_weights_but_for_rounding_and_a_set_is_weights_of_one(wordpiece) -> None:
    examples = [wordpiece(text) for text in TEXTS]
    chosen = np.isin(np.arange(len(wordpiece)), [7, 12, 30])
    batch = _random(wordpiece, replacement_weights=chosen)(examples, epoch=0)
    masked = batch["labels"] != -100
    assert set(batch["input_ids"][masked].tolist()) == {7, 12, 30}
    equal = _random(wordpiece, replacement_weights=np.full(len(wordpiece), 0.3))(examples, epoch=0)
    plain = _random(wordpiece)(examples, epoch=0)
    assert equal["input_ids"].tolist() == plain["input_ids"].tolist()


def test_where_tokens_are_masked_does_not_depend_on_the_weights(wordpiece) -> None:
    examples = [wordpiece(text) for text in TEXTS]
    weighted = DataCollatorForDynamicMasking(wordpiece, 0.5, seed=3, replacement_weights=np.arange(len(wordpiece)))
    plain = DataCollatorForDynamicMasking(wordpiece, 0.5, seed=3)
    assert weighted(examples, epoch=1)["labels"].tolist() == plain(examples, epoch=1)["labels"].tolist()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            [1.0, 2.0],
            r"`replacement_weights` must hold a number for each of the \d+ ids of the vocabulary, but holds 2",
        ),
        ("abc", "`replacement_weights` must be a one-dimensional array of numbers"),
        (lambda size: [-1.0] * size, "`replacement_weights` must be finite, non-negative numbers"),
        (lambda size: [np.nan] * size, "`replacement_weights` must be finite, non-negative numbers"),
        (lambda size: [0.0] * size, "`replacement_weights` must be above 0 for a token that is not special"),
        (lambda size: np.arange(size) < 2, "`replacement_weights` must be above 0 for a token that is not special"),
    ],
)
def test_what_are_no_weights_is_refused(wordpiece, weights, message) -> None:
    with pytest.raises(ValueError, match=message):
        _random(wordpiece, replacement_weights=weights(len(wordpiece)) if callable(weights) else weights)


@pytest.mark.parametrize("strategy", ["token", "whole_word", "span"])
def test_unmaskable_ids_stay_as_they_are(wordpiece, strategy) -> None:
    examples = [wordpiece(text) for text in TEXTS]
    never = wordpiece.convert_tokens_to_ids(["the", "on"])
    collator = DataCollatorForDynamicMasking(wordpiece, 1.0, strategy=strategy, unmaskable_ids=never, seed=0)
    batch = collator(examples, epoch=0)
    plain = DataCollatorForDynamicMasking(wordpiece, 1.0, strategy="token", seed=0)(examples, epoch=0)
    assert not np.isin(batch["labels"].numpy(), never).any()
    assert np.isin(plain["labels"].numpy(), never).any()
    if strategy != "span":  # a span that contains one is not masked
        others = (plain["labels"] != -100).numpy() & ~np.isin(plain["labels"].numpy(), never)
        assert np.array_equal((batch["labels"] != -100).numpy(), others)


def test_an_unmaskable_piece_keeps_its_word(wordpiece) -> None:
    ids = wordpiece("the unbelieving cat")["input_ids"]
    piece = wordpiece.convert_tokens_to_ids("##believ")
    assert piece in ids
    words = DataCollatorForDynamicMasking(wordpiece, 1.0, strategy="whole_word", unmaskable_ids=[piece], seed=0)
    masked = (words([{"input_ids": ids}], epoch=0)["labels"][0] != -100).tolist()
    assert [
        token for token, is_masked in zip(wordpiece.convert_ids_to_tokens(ids), masked, strict=True) if is_masked
    ] == [
        "the",
        "cat",
    ]


@pytest.mark.parametrize("ids", [[-1], [10**6], ["the"], [1.5], [True]])
def test_ids_outside_the_vocabulary_are_refused(wordpiece, ids) -> None:
    with pytest.raises(ValueError, match="`id` in `unmaskable_ids` must be an integer"):
        DataCollatorForDynamicMasking(wordpiece, unmaskable_ids=ids)


@pytest.mark.parametrize("ids", [7, None, "the", (id_ for id_ in [7])])
def test_what_is_no_list_of_ids_is_refused(wordpiece, ids) -> None:
    with pytest.raises(ValueError, match="`unmaskable_ids` must be a list of ids, but got"):
        DataCollatorForDynamicMasking(wordpiece, unmaskable_ids=ids)


def test_causal_language_modeling_refuses_what_it_would_ignore(wordpiece) -> None:
    for name, value in (("unmaskable_ids", [7]), ("replacement_weights", np.ones(len(wordpiece)))):
        with pytest.raises(ValueError, match=f"`{name}` must be left at its default with `mlm=False`"):
            DataCollatorForDynamicMasking(wordpiece, mlm=False, **{name: value})


def test_collators_with_weights_compare(wordpiece) -> None:
    weights = np.ones(len(wordpiece))
    made = [DataCollatorForDynamicMasking(wordpiece, replacement_weights=each) for each in (weights, weights.copy())]
    assert made[0] == made[1] != DataCollatorForDynamicMasking(wordpiece, 0.3, replacement_weights=weights)


def test_weights_that_would_be_ignored_are_refused(wordpiece) -> None:
    with pytest.raises(ValueError, match=r"`replacement_weights` must be left out with `random_replace_prob=0.0`"):
        DataCollatorForDynamicMasking(wordpiece, replacement_weights=np.ones(len(wordpiece)), random_replace_prob=0.0)


def test_collators_with_arrays_of_unmaskable_ids_compare(wordpiece) -> None:
    made = [DataCollatorForDynamicMasking(wordpiece, unmaskable_ids=np.array([5, 6])) for _ in range(2)]
    assert made[0] == made[1] != DataCollatorForDynamicMasking(wordpiece, 0.3, unmaskable_ids=np.array([5, 6]))


def test_huge_weights_are_relative_too(wordpiece) -> None:
    huge, ones = (random_ids(read_vocabulary(wordpiece), np.full(len(wordpiece), each)) for each in (1e308, 1.0))
    assert np.array_equal(huge.limits, ones.limits)
