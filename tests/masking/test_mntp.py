"""Masked next-token prediction: the token before a masked one predicts it, so each label has a token before it."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
import torch
from support.extended import pairs
from support.tokenizers_zoo import TEXTS, ZOO
from support.variants import VARIANTS, tags, variant
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hf_dynmask import DataCollatorForDynamicMasking, audit_batch
from hf_dynmask.collators import base
from hf_dynmask.vocabulary.vocabulary import read_vocabulary

VOCABULARY = functools.cache(read_vocabulary)
SENTENCES = ["the cat sat on a mat and the dog ran to the house", "the dog", "unbelieving"]


@pytest.fixture
def _once_a_tokenizer(monkeypatch) -> None:
    """Some vocabularies take a second to read."""
    monkeypatch.setattr(base, "read_vocabulary", VOCABULARY)


def _bare(tokenizer, texts=SENTENCES) -> list[dict[str, list[int]]]:
    """Examples without special tokens, as those of many decoders are."""
    examples = [{"input_ids": tokenizer(text, add_special_tokens=False)["input_ids"]} for text in texts]
    return [{**each, "tags": tags(np.array(each["input_ids"])).tolist()} for each in examples if each["input_ids"]]


@pytest.mark.usefixtures("_once_a_tokenizer")
@pytest.mark.parametrize(("strategy", "name"), pairs([name for name in VARIANTS if name != "adaptive"], ZOO))
def test_the_first_token_is_never_masked_and_all_others_can_be(strategy, name) -> None:
    tokenizer = ZOO[name]()
    examples = _bare(tokenizer, list(TEXTS.values()))
    settings = {"strategy": variant(strategy, len(tokenizer)), "per_token_columns": ["tags"], "seed": 0}
    collator = DataCollatorForDynamicMasking(tokenizer, 1.0, mntp=True, padding_free=True, **settings)
    plain = DataCollatorForDynamicMasking(tokenizer, 1.0, padding_free=True, **settings)
    batch, other = collator(examples, "np", epoch=0), plain(examples, "np", epoch=0)
    starts = batch["cu_seq_lens_q"][:-1]
    assert (batch["labels"][0, starts] == -100).all()
    assert (other["labels"][0, starts] != -100).any()
    if strategy == "token":
        is_later = np.isin(np.arange(batch["labels"].size), starts, invert=True)
        assert np.array_equal(batch["labels"][0, is_later], other["labels"][0, is_later])


@pytest.mark.parametrize("side", ["left", "right"])
def test_no_label_is_lost_in_the_loss_of_a_decoder(wordpiece, side) -> None:
    wordpiece = copy.deepcopy(wordpiece)
    wordpiece.padding_side = side
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(wordpiece), **sizes)).eval()
    batch = DataCollatorForDynamicMasking(wordpiece, 0.5, mntp=True, min_masked=1, seed=0)(
        [{"input_ids": each["input_ids"]} for each in _bare(wordpiece)], epoch=0
    )
    found = model(**batch)
    rows, positions = np.nonzero((batch["labels"] != -100).numpy())
    assert set(rows) == {0, 1, 2}
    expected = cross_entropy(found.logits[rows, positions - 1], batch["labels"][rows, positions])
    assert torch.allclose(found.loss, expected)
    assert (batch["attention_mask"][rows, positions - 1] == 1).all(), "the token before it is not padding"


def test_each_sequence_has_a_label_where_another_token_can_be_masked(wordpiece) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, 0.0, mntp=True, min_masked=1, seed=0)
    labels = collator([[7], [7, 8], [7, 8, 9]], epoch=0)["labels"]
    assert (labels != -100).sum(1).tolist() == [0, 1, 1]


@pytest.mark.parametrize("views", [1, 2, "complementary"])
def test_the_masks_are_audited(wordpiece, views) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, 0.4, mntp=True, strategy="whole_word", views=views, seed=0)
    batch = collator([each["input_ids"] for each in _bare(wordpiece)] * 2, epoch=3)
    assert audit_batch(collator, batch, epoch=3)[:3] == ("full", "", True)
    assert not audit_batch(collator, batch, epoch=4).matches


def test_a_tokenizer_without_a_mask_token_gets_one(wordpiece) -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=wordpiece.backend_tokenizer, pad_token="[PAD]")
    with pytest.raises(ValueError, match="`tokenizer` must have a mask token"):
        DataCollatorForDynamicMasking(tokenizer, mntp=True)
    tokenizer.mask_token = "[UNK]"
    collator = DataCollatorForDynamicMasking(tokenizer, 1.0, mntp=True, mask_replace_prob=1.0, random_replace_prob=0.0)
    batch = collator([[7, 8, 9]], epoch=0)
    assert batch["input_ids"].tolist() == [[7, tokenizer.mask_token_id, tokenizer.mask_token_id]]
    without = DataCollatorForDynamicMasking(wordpiece, 1.0, mntp=True, mask_replace_prob=0.0, random_replace_prob=0.0)
    assert without([[7, 8, 9]], epoch=0)["labels"].tolist() == [[-100, 8, 9]]


def test_losses_that_do_not_shift_labels_are_refused(wordpiece) -> None:
    with pytest.raises(ValueError, match="`mntp` must be False if the strategy follows losses"):
        DataCollatorForDynamicMasking(wordpiece, mntp=True, strategy="adaptive")


def test_it_needs_masks(wordpiece) -> None:
    for name, value in (("mntp", True), ("views", 2), ("views", "complementary")):
        with pytest.raises(ValueError, match=f"`{name}` must be left at its default with `mlm=False`"):
            DataCollatorForDynamicMasking(wordpiece, mlm=False, **{name: value})
