"""A tokenizer that changes after a collator was made with it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.tokenizers_zoo import ZOO
from tokenizers import AddedToken
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding

from hf_dynmask import DataCollatorForDynamicMasking, DataCollatorForSpanCorruption, DataCollatorWithTokenDropout
from hf_dynmask.collators import base as clocked
from hf_dynmask.vocabulary.vocabulary import Vocabulary, read_vocabulary

ALWAYS: dict[str, Any] = {"seed": 1, "num_mask_patterns": 1}
COLLATORS: dict[str, Callable[[Any], Any]] = {
    "tokens": lambda tokenizer: DataCollatorForDynamicMasking(tokenizer, 0.5, **ALWAYS),
    "words": lambda tokenizer: DataCollatorForDynamicMasking(tokenizer, 0.5, strategy="whole_word", **ALWAYS),
    "flattened": lambda tokenizer: DataCollatorForDynamicMasking(tokenizer, 0.5, padding_free=True, **ALWAYS),
    "causal": lambda tokenizer: DataCollatorForDynamicMasking(tokenizer, mlm=False, **ALWAYS),
    "spans": lambda tokenizer: DataCollatorForSpanCorruption(tokenizer, 0.5, **ALWAYS),
    "fine-tuning": lambda tokenizer: DataCollatorWithTokenDropout(DataCollatorWithPadding(tokenizer), 0.5, **ALWAYS),
}
CHANGES: dict[str, Callable[[Any], Any]] = {
    "a new special token": lambda tokenizer: tokenizer.add_special_tokens({"additional_special_tokens": ["<new>"]}),
    "a word becomes special": lambda tokenizer: tokenizer.add_special_tokens({"additional_special_tokens": ["cat"]}),
    "a word gets a role": lambda tokenizer: tokenizer.add_special_tokens({"bos_token": "cat"}),
    "another mask token": lambda tokenizer: setattr(tokenizer, "mask_token", "dog"),
    "another pad token": lambda tokenizer: setattr(tokenizer, "pad_token", "mat"),
    "a pad token with two roles": lambda tokenizer: setattr(tokenizer, "pad_token", "[SEP]"),
    "a new word": lambda tokenizer: tokenizer.add_tokens(["xylophone"]),
}


@pytest.fixture
def tokenizer(with_sentinels) -> Any:
    return copy.deepcopy(with_sentinels)


def _examples(tokenizer: Any) -> list[dict[str, list[int]]]:
    """Every id that may be masked, those of sentinels left out, and padding that no attention mask tells."""
    ids = [id_ for id_ in range(5, len(tokenizer)) if "<extra_id" not in tokenizer.convert_ids_to_tokens(id_)]
    rows = [[2, *ids, 3], [2, *ids[::2], 3, 0, 0], [2, *ids[1::3], 3]]
    return [{"input_ids": row} for row in rows]


def _equal(first: Any, second: Any) -> bool:
    return set(first) == set(second) and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", COLLATORS)
def test_a_change_of_the_tokenizer_is_seen(tokenizer, name, change) -> None:
    collator = COLLATORS[name](tokenizer)
    before = collator(_examples(tokenizer))
    CHANGES[change](tokenizer)
    examples = _examples(tokenizer)
    expected = COLLATORS[name](tokenizer)(examples)
    assert _equal(collator(examples), expected)
    assert name in ("causal", "fine-tuning") or not _equal(before, expected), "it makes a difference"


def test_a_pad_token_that_is_set_later_is_seen(wordpiece) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.pad_token = None
    collator = DataCollatorForDynamicMasking(tokenizer)
    with pytest.raises(ValueError, match="`tokenizer` must have a pad token"):
        collator([[5, 6], [7]])
    tokenizer.pad_token = "[PAD]"
    assert collator([[5, 6], [7]])["input_ids"][1, 1] == 0


def test_a_mask_token_that_is_gone_is_missed(tokenizer) -> None:
    collator = DataCollatorForDynamicMasking(tokenizer)
    tokenizer.mask_token = None
    with pytest.raises(ValueError, match="`tokenizer` must have a mask token"):
        collator([[5, 6]])


@pytest.mark.parametrize("announced", [False, True])
def test_a_word_that_is_only_marked_as_special_is_seen_when_an_epoch_begins(tokenizer, announced) -> None:
    """It has no role, and the vocabulary is as large as before: to look costs too much for every batch."""
    collator = DataCollatorForDynamicMasking(tokenizer, 1.0)
    cat = tokenizer.convert_tokens_to_ids("cat")
    tokenizer.add_tokens([AddedToken("cat", special=True)], special_tokens=True)
    if announced:
        collator.set_epoch(0)
    else:
        collator.tokenizer = tokenizer
    assert collator([[5, cat, 7]])["labels"].tolist() == [[5, -100, 7]]


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_that_begin_later_have_it(tokenizer, workers) -> None:
    collator = DataCollatorForDynamicMasking(tokenizer, 1.0, seed=0)
    twin = collator.for_evaluation(1.0)
    cat = tokenizer.convert_tokens_to_ids("cat")
    for each in (collator, twin):
        loader = DataLoader([[5, cat, 7]] * 2, batch_size=1, num_workers=workers, collate_fn=each)
        next(iter(loader))
    tokenizer.add_special_tokens({"additional_special_tokens": ["cat"]})
    for each in (collator, twin):
        loader = DataLoader([[5, cat, 7]] * 2, batch_size=1, num_workers=workers, collate_fn=each)
        assert [batch["labels"].tolist() for batch in loader] == [[[5, -100, 7]]] * 2
        assert pickle.loads(pickle.dumps(each))([[5, cat, 7]])["labels"].tolist() == [[5, -100, 7]]


@pytest.mark.parametrize("family", ["bert_cased", "t5", "byt5", "phobert"])
@pytest.mark.parametrize(
    "twin",
    [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_what_has_not_changed_is_not_read_again(family, twin, monkeypatch) -> None:
    reads = []

    def counted(tokenizer: Any) -> Vocabulary:
        reads.append(tokenizer)
        return read_vocabulary(tokenizer)

    monkeypatch.setattr(clocked, "read_vocabulary", counted)
    tokenizer = copy.deepcopy(ZOO[family]())
    collator = DataCollatorForDynamicMasking(tokenizer, seed=0)
    for each in (collator, twin(collator), collator.for_evaluation()):
        for epoch in range(2):
            each.set_epoch(epoch)
            each([[50, 60]])
    assert len(reads) == 1
    tokenizer.add_tokens(["<xylophone>"])
    for epoch in range(2):
        collator.set_epoch(epoch)
        collator([[50, 60]])
    assert len(reads) == 2
