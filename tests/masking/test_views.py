"""Several masks of each example in one batch, in every layout."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
import torch
from datasets import Dataset
from support.extended import pairs
from support.tokenizers_zoo import TEXTS, ZOO
from support.variants import VARIANTS, tags, variant
from support.witness import witnessed

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    MaskRateCallback,
    audit_batch,
    linear_schedule,
    uniform_rate,
)
from hf_dynmask.batching.packing import Packing
from hf_dynmask.collators import base
from hf_dynmask.trainer.batch_audit import restore_batch
from hf_dynmask.vocabulary.vocabulary import read_vocabulary

VOCABULARY = functools.cache(read_vocabulary)
SENTENCES = ["the cat sat on a mat and the dog ran to the house", "the dog", "unbelieving, the cat ran on a mat"]


@pytest.fixture(autouse=True)
def _once_a_tokenizer(monkeypatch) -> None:
    """Some vocabularies take a second to read."""
    monkeypatch.setattr(base, "read_vocabulary", VOCABULARY)


def _examples(tokenizer, texts=SENTENCES) -> list[dict[str, list[int]]]:
    examples = [dict(tokenizer(text)) for text in texts]
    return [{**each, "tags": tags(np.array(each["input_ids"])).tolist()} for each in examples]


def _collator(tokenizer, strategy: str, **arguments) -> DataCollatorForDynamicMasking:
    made = variant(strategy, len(tokenizer))
    settings = {"mlm_probability": 0.3, "seed": 5, "per_token_columns": ["tags"], **arguments}
    return DataCollatorForDynamicMasking(tokenizer, strategy=made, **settings)


@pytest.mark.parametrize(("strategy", "views"), pairs(VARIANTS, [2, 3]))
def test_independent_views_are_the_masks_of_as_many_epochs(wordpiece, strategy, views) -> None:
    examples = _examples(wordpiece)
    batch = _collator(wordpiece, strategy, views=views)(examples, "np", epoch=4)
    for view in range(views):
        expected = _collator(wordpiece, strategy)(examples, "np", epoch=4 * views + view)
        for name, values in expected.items():
            assert np.array_equal(batch[name][view::views], values), name


@pytest.mark.parametrize(("strategy", "name"), pairs(VARIANTS, ZOO))
def test_complementary_views_mask_each_maskable_token_once(strategy, name) -> None:
    tokenizer = ZOO[name]()
    examples = _examples(tokenizer, list(TEXTS.values()))
    for rate, exact_count in ((0.0, False), (0.15, True), (0.6, False), (1.0, True), (uniform_rate(0.2, 0.9), False)):
        _check_complements(tokenizer, examples, strategy, rate, exact_count)


def _check_complements(tokenizer, examples, strategy, rate, exact_count) -> None:
    settings = {"mlm_probability": rate, "exact_count": exact_count, "return_mask_rate": True}
    batch = _collator(tokenizer, strategy, views="complementary", **settings)(examples, "np", epoch=3)
    first = _collator(tokenizer, strategy, **settings)(examples, "np", epoch=3)
    units = "whole_word" if strategy.startswith("entity") else strategy  # which masks entities at another rate
    everything = _collator(tokenizer, units, mlm_probability=1.0)(examples, "np", epoch=3)["labels"] != -100
    for column in ("input_ids", "labels", "mask_rate"):
        assert np.array_equal(batch[column][::2], first[column]), "the first is the mask without views"
    masked = batch["labels"] != -100
    assert not (masked[::2] & masked[1::2]).any()
    assert np.array_equal(masked[::2] | masked[1::2], everything)
    assert np.allclose(batch["mask_rate"][::2] + batch["mask_rate"][1::2], 1)


@pytest.mark.parametrize("block_size", [None, 3])
@pytest.mark.parametrize("low_discrepancy", [False, True])
def test_complementary_views_share_the_rate_that_they_draw(wordpiece, block_size, low_discrepancy) -> None:
    rate = uniform_rate(0.1, 0.9, low_discrepancy=low_discrepancy, block_size=block_size)
    collator = _collator(
        wordpiece, "token", mlm_probability=rate, views="complementary", min_masked=0, return_mask_rate="token"
    )
    batch = collator(_examples(wordpiece) * 2, "np", epoch=0)
    attended = batch["attention_mask"][::2] == 1
    sums = (batch["mask_rate"][::2] + batch["mask_rate"][1::2])[attended]
    assert np.allclose(sums, 1)
    specials = np.isin(batch["input_ids"], wordpiece.all_special_ids) & (batch["labels"] == -100)
    masked = batch["labels"] != -100
    assert ((masked[::2] ^ masked[1::2]) == attended & ~specials[::2]).all()


@pytest.mark.parametrize("views", [2, "complementary"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_views_of_one_example_are_consecutive_whatever_the_layout(wordpiece, views, side) -> None:
    wordpiece = copy.deepcopy(wordpiece)
    wordpiece.padding_side = side
    examples = [dict(wordpiece(text)) for text in SENTENCES]
    settings = {"mlm_probability": 0.4, "seed": 1, "views": views}
    padded = DataCollatorForDynamicMasking(wordpiece, **settings)(examples, "np", epoch=2)
    flat = DataCollatorForDynamicMasking(wordpiece, **settings, padding_free=True, return_seq_idx=True)(
        examples, "np", epoch=2
    )
    rows = DataCollatorForDynamicMasking(wordpiece, **settings, packing=Packing(one_row=False))(examples, "np", epoch=2)
    for number in range(2 * len(examples)):
        attended = padded["attention_mask"][number] == 1
        for column in ("input_ids", "labels"):
            expected = padded[column][number][attended]
            assert np.array_equal(flat[column][flat["seq_idx"] == number], expected)
            assert np.array_equal(rows[column][rows["seq_idx"] == number], expected)


def test_stacked_columns_are_repeated_with_their_example(wordpiece) -> None:
    examples = [{**wordpiece(text), "group": number} for number, text in enumerate(SENTENCES)]
    batch = DataCollatorForDynamicMasking(wordpiece, views=2, seed=0)(examples, epoch=0)
    assert batch["group"].tolist() == [0, 0, 1, 1, 2, 2]
    losses = torch.arange(6.0)  # of the rows
    assert losses.view(-1, 2).mean(1).tolist() == [0.5, 2.5, 4.5]


def test_static_and_evaluation_views_stay_the_same_and_differ_from_each_other(wordpiece) -> None:
    examples = _examples(wordpiece)
    static = _collator(wordpiece, "token", views=2, num_mask_patterns=1)
    first, later = static(examples, "np", epoch=0), static(examples, "np", epoch=7)
    assert np.array_equal(first["labels"], later["labels"])
    assert not np.array_equal(first["labels"][::2], first["labels"][1::2])
    evaluation = _collator(wordpiece, "token", views=2).for_evaluation(0.3)
    assert np.array_equal(evaluation(examples, "np")["labels"], first["labels"])


@pytest.mark.parametrize(("views", "workers"), [(2, 2), ("complementary", 0)])
def test_trainer_gets_the_views_of_each_epoch_and_audits_them(wordpiece, tmp_path, views, workers) -> None:
    data = Dataset.from_list([dict(wordpiece(text)) for text in SENTENCES])
    collator = DataCollatorForDynamicMasking(wordpiece, 0.4, views=views, return_mask_rate=True)
    trainer = witnessed(
        collator, data, tmp_path, [MaskRateCallback(audit="every_step")], num_train_epochs=2, seed=3,
        per_device_train_batch_size=2, dataloader_num_workers=workers,
    )  # fmt: skip
    shown = []
    trainer.model.register_forward_pre_hook(lambda _, __, kwargs: shown.append(kwargs["labels"]), with_kwargs=True)
    trainer.train()
    alone = DataCollatorForDynamicMasking(wordpiece, 0.4, views=views, seed=3)
    expected = [
        tuple(row[row != -100].tolist())
        for epoch in range(2)
        for example in data
        for row in alone([example], epoch=epoch)["labels"]
    ]
    found = [tuple(row[row != -100].tolist()) for labels in shown for row in labels]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("views", [2, "complementary"])
@pytest.mark.parametrize("rate", [0.3, uniform_rate(0.1, 0.6)])
def test_the_audit_tells_epochs_apart_whatever_rows_it_sees(wordpiece, views, rate) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, rate, views=views, seed=1, return_mask_rate=True)
    batch = collator([wordpiece(text) for text in SENTENCES] * 2, epoch=6)
    for rows in (slice(None), slice(1, None), slice(1, 4)):
        part = {name: values[rows] for name, values in batch.items()}
        assert audit_batch(collator, part, epoch=6)[:3] == ("full", "", True)
        assert not audit_batch(collator, part, epoch=5).matches
    changed = {**batch, "labels": batch["labels"].roll(2, 0)}
    assert not audit_batch(collator, changed, epoch=6).matches


class _Pair:
    """Two masks of each example, at rates of their own, in columns of their own."""

    def __init__(self, tokenizer) -> None:
        rates = {"seed": None, "return_mask_rate": True}
        self.encoder = DataCollatorForDynamicMasking(tokenizer, linear_schedule(0.5, 0.1), **rates)
        self.decoder = DataCollatorForDynamicMasking(tokenizer, 0.7, **rates)

    def __call__(self, features):
        other = self.decoder(features)
        return {**self.encoder(features), "decoder_labels": other["labels"], "decoder_rate": other["mask_rate"]}


@pytest.mark.parametrize("workers", [0, 2])
def test_two_collators_in_one_function_have_rates_of_their_own(wordpiece, tmp_path, workers) -> None:
    data = Dataset.from_list([dict(wordpiece(text)) for text in SENTENCES])
    trainer = witnessed(
        _Pair(wordpiece), data, tmp_path, [MaskRateCallback()], num_train_epochs=2, seed=3,
        per_device_train_batch_size=1, dataloader_num_workers=workers, remove_unused_columns=False,
    )  # fmt: skip
    shown, forward = [], trainer.model.forward

    def forward_without(decoder_labels, decoder_rate, **batch):
        if trainer.model.training:
            shown.append((batch, decoder_labels, decoder_rate))
        return forward(**batch)

    trainer.model.forward = forward_without
    trainer.train()
    alone = DataCollatorForDynamicMasking(wordpiece, 0.7, seed=3)
    ids = {tuple(wordpiece(text)["input_ids"]): text for text in SENTENCES}
    for step, (batch, labels, rate) in enumerate(shown):
        assert batch["mask_rate"].tolist() == pytest.approx([0.5 - 0.4 * step / 6])
        assert rate.tolist() == pytest.approx([0.7])
        original = torch.where(batch["labels"] == -100, batch["input_ids"], batch["labels"])[0]
        text = ids[tuple(original.tolist())]
        assert torch.equal(labels, alone([wordpiece(text)], epoch=step // 3)["labels"])


@pytest.mark.parametrize("views", [1, 2, "complementary"])
def test_the_rate_of_a_batch_is_counted_in_its_own_views(wordpiece, views) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, 0.3, views=views, seed=1)
    batch = collator([wordpiece(text) for text in SENTENCES] * 2, epoch=6)
    restored = restore_batch(collator, batch)
    assert restored.count_masked(0.3, pattern=6) == int((batch["labels"] != -100).sum())


@pytest.mark.parametrize("views", [0, -1, 1.5, True, None, "two", [2]])
def test_what_is_no_number_of_views_is_refused(wordpiece, views) -> None:
    with pytest.raises(ValueError, match=r"`views` must be an integer of at least 1"):
        DataCollatorForDynamicMasking(wordpiece, views=views)


@pytest.mark.parametrize("own", [[], ["position_ids"]])
def test_packs_have_a_single_view(wordpiece, own) -> None:
    pack = {"input_ids": [2, 7, 8, 3, 2, 9, 3], "seq_lengths": [4, 3], "position_ids": [0, 1, 2, 3, 0, 1, 2]}
    collator = DataCollatorForDynamicMasking(wordpiece, views=2, padding_free=True, per_token_columns=own, seed=0)
    with pytest.raises(ValueError, match="`views` must be 1 for examples that are packs"):
        collator([pack], epoch=0)
