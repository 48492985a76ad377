"""How many calls a batch takes: some for each batch and example, none for each token. No clock can blur it."""

from __future__ import annotations

import copy
import gc
import sys
from typing import Any

import numpy as np
import pytest
from support.extended import every
from support.variants import VARIANTS, tags, variant

from hf_dynmask import DataCollatorForDynamicMasking, DataCollatorForSpanCorruption
from hf_dynmask.vocabulary.vocabulary import read_vocabulary
from hf_dynmask.vocabulary.word_table import word_table

LENGTHS = (64, 1024)


def _calls(function: Any, argument: Any) -> int:
    """How many calls of Python and C functions it takes to collate examples, or to do something else."""
    function(argument)  # tables are made at the first call
    calls = 0

    def count(frame: object, event: str, _: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    gc.collect()
    gc.disable()  # or what other tests have left behind may be finalized here, and counted
    sys.setprofile(count)
    try:
        function(argument)
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


def _examples(length: int, lists: bool, vocabulary_size: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(length)
    rows = random.integers(5, vocabulary_size, (8, length))
    examples = [{"input_ids": row, "attention_mask": np.ones_like(row), "tags": tags(row)} for row in rows]
    if lists:
        return [{name: values.tolist() for name, values in each.items()} for each in examples]
    return examples


@pytest.mark.parametrize(("lists", "limit"), [(False, 250), (True, 300)], ids=["numpy", "lists"])
def test_a_batch_takes_few_calls(wordpiece, lists, limit) -> None:
    ids = np.random.default_rng(0).integers(5, len(wordpiece), (32, 128))
    examples: list[dict[str, Any]] = [{"input_ids": row, "attention_mask": np.ones_like(row)} for row in ids]
    if lists:
        examples = [{name: values.tolist() for name, values in each.items()} for each in examples]
    assert _calls(DataCollatorForDynamicMasking(wordpiece, num_mask_patterns=1), examples) <= limit


def _few_more(collator: Any, lists: bool, vocabulary_size: int) -> bool:
    """A few depend on the draws: whether a sequence has too few labels, say."""
    short, long = (_calls(collator, _examples(length, lists, vocabulary_size)) for length in LENGTHS)
    return long < short + 100


@pytest.mark.parametrize("lists", [True, False], ids=["lists", "numpy"])
@pytest.mark.parametrize(
    "options", every(4, [{}, {"exact_count": True}, {"padding_free": True}, {"min_masked": 60}]), ids=str
)
def test_calls_do_not_grow_with_length(wordpiece, options, lists) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, num_mask_patterns=1, **options)
    assert _few_more(collator, lists, len(wordpiece))


@pytest.mark.parametrize("name", every(4, VARIANTS))
def test_no_strategy_calls_for_each_token(wordpiece, name) -> None:
    strategy = variant(name, len(wordpiece))
    collator = DataCollatorForDynamicMasking(wordpiece, strategy=strategy, num_mask_patterns=1)
    assert _few_more(collator, False, len(wordpiece))


def test_span_corruption_does_not_either(wordpiece) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<extra_id_{number}>" for number in range(100)]})
    collator = DataCollatorForSpanCorruption(tokenizer, num_mask_patterns=1)
    assert _few_more(collator, True, len(wordpiece))


@pytest.mark.parametrize("added", [0, 1000])
def test_a_tokenizer_that_has_not_changed_is_known_by_few_calls(wordpiece, added) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.add_tokens([f"<{number}>" for number in range(added)], special_tokens=True)
    assert _calls(read_vocabulary(tokenizer).is_current, tokenizer) < 50


def test_the_table_of_words_takes_few_calls_a_token() -> None:
    ids = {f"{'##' * (number % 2)}{number}é": number for number in range(10_000)}
    special = np.arange(len(ids)) < 5
    assert _calls(lambda ids: word_table(ids, special), ids) < 12 * len(ids)


def test_a_call_for_each_token_is_noticed(wordpiece) -> None:
    def slow(tokens: Any) -> np.ndarray:
        return np.array([id_.item() > 9 for id_ in tokens.input_ids])

    collator = DataCollatorForDynamicMasking(wordpiece, strategy=slow, num_mask_patterns=1)
    assert not _few_more(collator, False, len(wordpiece))
