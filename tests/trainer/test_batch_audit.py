from __future__ import annotations

import copy
import re

import numpy as np
import pytest
import torch
from conftest import SENTENCE, TEXTS, WORDS
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle
from support.variants import INDEPENDENT_UNITS, KEEPS_THE_RATE, VARIANTS, variant
from transformers import DataCollatorForLanguageModeling, DataCollatorWithPadding

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorForSpanCorruption,
    DataCollatorWithTokenDropout,
    linear_schedule,
    strategies,
    uniform_rate,
)
from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.trainer.audit_explanation import Candidate, explain_mismatch
from hf_dynmask.trainer.batch_audit import Audit, audit_batch

LAYOUTS = [
    "right",
    "left",
    "multiple",
    "packed",
    "packed, positions only",
    "pre-padded",
    "pre-padded left",
    "holes",
    "concatenated",
    "split",
    "padded further",
    "numpy",
    "int32",
]
RATES = [0.0, 0.05, 0.15, 0.4, 1.0, uniform_rate()]
PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)


def _pairs(tokens) -> np.ndarray:
    return tokens.positions % 2 == 1


def _pairs_of_maskable(tokens) -> np.ndarray:
    """Units that depend on which tokens may be masked."""
    return tokens.maskable.cumsum() % 2 == 1


def _rising_probs(tokens, units, rates) -> np.ndarray:
    return units.from_sequences(rates) * units.at_first_token(tokens.positions / 64).clip(0, 1)


CUSTOM = [
    strategies.resolve_strategy(_pairs),
    strategies.resolve_strategy(_pairs_of_maskable),
    strategies.Strategy("rising", _pairs, probs=_rising_probs),
    strategies.span(unit=strategies.resolve_strategy(_pairs_of_maskable)),
]


def _collator(tokenizer, **options) -> DataCollatorForDynamicMasking:
    return DataCollatorForDynamicMasking(tokenizer, **{"seed": 42, "per_token_columns": ["tags"], **options})


def _examples(ids: list[list[int]]) -> list[dict[str, list[int]]]:
    return [{"input_ids": row, "attention_mask": [1] * len(row), "tags": [id_ % 4 for id_ in row]} for row in ids]


def _long_examples(tokenizer, sequences: int = 16, words: int = 60) -> list[dict[str, list[int]]]:
    generator = np.random.default_rng(0)
    ids = [tokenizer(" ".join(generator.choice(WORDS, words)))["input_ids"] for _ in range(sequences)]
    return _examples(ids)


def _pre_padded(example, left: bool, drop_attention: bool = False):
    row = {"input_ids": 0, "attention_mask": 0, "tags": 0}
    padded = {
        name: [row[name]] * 3 + values if left else [*values, *[row[name]] * 3] for name, values in example.items()
    }
    return {name: values for name, values in padded.items() if not (drop_attention and name == "attention_mask")}


def _with_holes(example):
    attention = [int(place % 5 != 2) for place in range(len(example["input_ids"]))]
    return {**example, "attention_mask": attention}


def _pad_to(batch, length: int):
    """Pads a batch like `accelerate.utils.pad_across_processes`, with 0 in every column."""
    return {name: torch.nn.functional.pad(values, (0, length - values.shape[1])) for name, values in batch.items()}


def _concatenate(batches):
    length = max(batch["input_ids"].shape[1] for batch in batches)
    wide = [_pad_to(batch, length) for batch in batches]
    return {name: torch.cat([batch[name] for batch in wide]) for name in wide[0]}


def _collate(collator, examples, epoch: int):
    if collator.losses is not None:
        collator.losses._epoch = epoch  # so that the current losses are those of this epoch
    collator.set_epoch(epoch)
    return collator(examples)


def _collate_in_layout(tokenizer, layout: str, examples, epoch: int, **options):
    """Returns the collator, and the batch that the model receives."""
    tokenizer = copy.copy(tokenizer)
    tokenizer.padding_side = "left" if layout == "left" else "right"
    layout_options = {
        "multiple": {"pad_to_multiple_of": 8},
        "packed": {"padding_free": True},
        "packed, positions only": {"padding_free": True, "return_flash_attn_kwargs": False, "position_ids_start": 2},
        "numpy": {"return_tensors": "np"},
    }
    collator = _collator(tokenizer, **options, **layout_options.get(layout, {}))
    if layout.startswith("pre-padded"):
        examples = [_pre_padded(each, layout.endswith("left"), drop_attention=True) for each in examples]
    if layout == "holes":
        examples = [_with_holes(each) for each in examples]
    if layout == "concatenated":
        batch = _concatenate([_collate(collator, each, epoch) for each in (examples, examples[::-1], examples[:1])])
    else:
        batch = dict(_collate(collator, examples, epoch))
    if layout == "split":
        batch = {name: values[len(examples) // 2 :] for name, values in batch.items()}
    if layout == "padded further":
        batch = _pad_to(batch, batch["input_ids"].shape[1] + 5)
        nothing = {name: torch.zeros_like(values[:2]) for name, values in batch.items()}
        batch = {name: torch.cat([values, nothing[name]]) for name, values in batch.items()}
    if layout == "int32":
        batch = {name: values.int() for name, values in batch.items()}
    return collator, batch


def _with_value(batch, name: str, row: int, column: int, value: int):
    values = batch[name].clone()
    values[row, column] = value
    return {**batch, name: values}


class TestCorrectBatchesMatch:
    @pytest.mark.parametrize("strategy", VARIANTS)
    @PROPERTY
    @given(data=st.data())
    def test_in_every_layout(self, wordpiece, strategy, data) -> None:
        """Includes empty sequences, only special tokens, unknown tokens, and mask tokens in the text."""
        layout = data.draw(st.sampled_from(LAYOUTS))
        lowest = 1 if layout.startswith("pre-padded") else 0  # pad tokens count as padding there
        ids = st.lists(st.integers(lowest, len(wordpiece) - 1), max_size=25)
        special = st.lists(st.integers(lowest, 4), max_size=3)
        rows = data.draw(st.lists(ids | special, min_size=1, max_size=5))
        epoch, rate = data.draw(st.integers(0, 9)), data.draw(st.sampled_from(RATES))
        mask, random = data.draw(st.sampled_from([(0.8, 0.1), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]))
        collator, batch = _collate_in_layout(
            wordpiece,
            layout,
            _examples(rows),
            epoch,
            strategy=variant(strategy, len(wordpiece)),
            mlm_probability=rate,
            exact_count=data.draw(st.booleans()),
            min_masked=data.draw(st.sampled_from([0, 1, 3])),
            num_mask_patterns=data.draw(st.sampled_from([None, 1, 3])),
            mask_replace_prob=mask,
            random_replace_prob=random,
        )
        audit = audit_batch(collator, batch, epoch=epoch)
        assert audit.matches
        assert audit.coverage == ("partial" if strategy.startswith("entity") else "full")
        assert audit == audit_batch(collator, batch, epoch=epoch, rate=rate)
        labels, attention = np.asarray(batch["labels"]), np.asarray(batch.get("attention_mask", 1))
        assert audit.masked == ((labels != -100) & (attention == 1)).sum()
        assert audit.masked <= audit.maskable

    @pytest.mark.parametrize("family", ["wordpiece", "byte_level", "metaspace", "chinese"])
    @pytest.mark.parametrize("strategy", ["token", "whole_word", "span"])
    def test_with_every_tokenizer(self, family, strategy, request) -> None:
        tokenizer = request.getfixturevalue(family)
        examples = [tokenizer(text) for text in [*TEXTS, SENTENCE]]
        collator = _collator(tokenizer, strategy=strategy)
        for epoch in range(5):
            audit = audit_batch(collator, _collate(collator, examples, epoch), epoch=epoch)
            assert (audit.coverage, audit.matches) == ("full", True)

    def test_ambiguous_pad_token_needs_attention_mask(self, wordpiece) -> None:
        """Only the attention mask shows which tokens are padding."""
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.pad_token = "[SEP]"
        collator = _collator(tokenizer)
        batch = dict(_collate(collator, [wordpiece("the cat sat"), wordpiece(TEXTS[0])], 3))
        assert audit_batch(collator, batch, epoch=3)[:3] == ("full", "", True)
        del batch["attention_mask"]
        assert audit_batch(collator, batch, epoch=3).coverage == "none"

    def test_without_an_attention_mask_a_pad_token_is_padding(self, wordpiece) -> None:
        collator = _collator(wordpiece)
        batch = dict(_collate(collator, [wordpiece("the cat sat"), wordpiece(TEXTS[0])], 3))
        del batch["attention_mask"]
        assert audit_batch(collator, batch, epoch=3)[:3] == ("full", "", True)

    def test_adaptive_masks_follow_the_losses_at_that_time(self, wordpiece) -> None:
        collator = _collator(wordpiece, strategy=variant("adaptive", len(wordpiece)))
        batch = _collate(collator, _long_examples(wordpiece), 1)
        assert audit_batch(collator, batch, epoch=1).matches
        collator.losses.reset()
        assert not audit_batch(collator, batch, epoch=1).matches

    def test_evaluation_has_pattern_0(self, wordpiece) -> None:
        evaluation = _collator(wordpiece, mlm_probability=linear_schedule(0.3, 0.1)).for_evaluation(0.2)
        batch = evaluation(_long_examples(wordpiece))
        assert audit_batch(evaluation, batch, epoch=7)[:3] == ("full", "", True)

    @pytest.mark.parametrize("exact_count", [False, True])
    @pytest.mark.parametrize("columns", [[], ["special_tokens_mask"]])
    @pytest.mark.parametrize("strategy", CUSTOM, ids=str)
    def test_with_custom_strategies(self, wordpiece, strategy, columns, exact_count) -> None:
        collator = _collator(wordpiece, strategy=strategy, exact_count=exact_count, mlm_probability=0.3)
        examples = _long_examples(wordpiece)
        for example in examples if columns else []:
            example["special_tokens_mask"] = [int(tag == 2) for tag in example["tags"]]
        batch = _collate(collator, examples, 1)
        audit = audit_batch(collator, batch, epoch=1, columns=columns)
        assert (audit.coverage, audit.matches) == ("partial" if columns else "full", True)
        assert not audit_batch(collator, batch, epoch=2, columns=columns).matches

    def test_a_schedule_needs_a_rate(self, wordpiece) -> None:
        schedule = linear_schedule(0.3, 0.1)
        collator = _collator(wordpiece, mlm_probability=schedule)
        batch = collator(_long_examples(wordpiece), epoch=1, progress=0.5)
        assert audit_batch(collator, batch, epoch=1, rate=schedule(0.5)).matches
        assert not audit_batch(collator, batch, epoch=1, rate=schedule(0.3)).matches
        with pytest.raises(ValueError, match="`epoch` must be an integer"):
            audit_batch(collator, batch, epoch=2**63)
        with pytest.raises(ValueError, match="`rate` must be given if `mlm_probability` is a schedule"):
            audit_batch(collator, batch, epoch=1)


@PROPERTY
@given(st.data())
def test_token_masks_match_if_the_oracle_agrees(wordpiece, data) -> None:
    """Python loops that follow the documentation make the batches. Some have another epoch or rate."""
    special = [id_ < 5 for id_ in range(len(wordpiece))]
    ids = data.draw(st.lists(st.integers(0, len(wordpiece) - 1), min_size=1, max_size=40))
    epoch, rate = data.draw(st.integers(0, 3)), data.draw(st.sampled_from([0.0, 0.15, 0.5, 1.0]))
    audited_epoch, audited_rate = data.draw(st.integers(0, 3)), data.draw(st.sampled_from([0.0, 0.15, 0.5, 1.0]))

    def masked_columns(epoch: int, rate: float) -> tuple[list[int], list[int]]:
        chosen = oracle.token_mask(
            ids, [not special[id_] for id_ in ids], rate, seed=42, pattern=epoch, min_masked=1, exact_count=False
        )
        becomes = oracle.replaced(ids, seed=42, pattern=epoch, mask_id=4, ordinary=list(range(5, len(special))))
        inputs = [new if masked else id_ for id_, new, masked in zip(ids, becomes, chosen, strict=True)]
        return inputs, [id_ if masked else -100 for id_, masked in zip(ids, chosen, strict=True)]

    inputs, labels = masked_columns(epoch, rate)
    batch = {
        "input_ids": torch.tensor([inputs]),
        "labels": torch.tensor([labels]),
        "attention_mask": torch.ones(1, len(ids), dtype=torch.int64),
    }
    audit = audit_batch(_collator(wordpiece), batch, epoch=audited_epoch, rate=audited_rate)
    assert audit.coverage == "full"
    assert audit.matches == (masked_columns(audited_epoch, audited_rate) == (inputs, labels))


class TestWrongBatchesDoNotMatch:
    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("strategy", VARIANTS)
    def test_with_another_epoch_or_seed(self, wordpiece, strategy, layout) -> None:
        options = {"strategy": variant(strategy, len(wordpiece)), "mlm_probability": 0.3}
        collator, batch = _collate_in_layout(wordpiece, layout, _long_examples(wordpiece), 2, **options)
        assert audit_batch(collator, batch, epoch=2).matches
        for epoch in (0, 1, 3):
            assert not audit_batch(collator, batch, epoch=epoch).matches
        collator.seed = 43
        assert not audit_batch(collator, batch, epoch=2).matches

    @pytest.mark.parametrize("exact_count", [False, True])
    @pytest.mark.parametrize("strategy", KEEPS_THE_RATE)
    def test_at_another_rate(self, wordpiece, strategy, exact_count) -> None:
        collator = _collator(
            wordpiece, strategy=variant(strategy, len(wordpiece)), mlm_probability=0.3, exact_count=exact_count
        )
        batch = _collate(collator, _long_examples(wordpiece), 2)
        for rate in (0.0, 0.15, 0.25, 0.35, 1.0, uniform_rate()):
            assert not audit_batch(collator, batch, epoch=2, rate=rate).matches

    @pytest.mark.parametrize("change", ["change label", "remove label", "add label", "input", "masked input"])
    def test_with_a_single_altered_value(self, wordpiece, change) -> None:
        collator = _collator(wordpiece, mlm_probability=0.3)
        batch = dict(_collate(collator, _long_examples(wordpiece, sequences=4), 0))
        for row, column in np.argwhere(batch["attention_mask"].numpy() == 1).tolist()[:120]:
            label, id_ = batch["labels"][row, column].item(), batch["input_ids"][row, column].item()
            if change == ("add label" if label == -100 else "remove label"):
                wrong = _with_value(batch, "labels", row, column, 7 if label == -100 else -100)
            elif change == "change label" and label != -100:
                wrong = _with_value(batch, "labels", row, column, 5 if label != 5 else 6)
            elif change == ("input" if label == -100 else "masked input"):
                wrong = _with_value(batch, "input_ids", row, column, 5 if id_ != 5 else 6)
            else:
                continue
            assert not audit_batch(collator, wrong, epoch=0).matches

    @pytest.mark.parametrize("name", ["input_ids", "labels"])
    @pytest.mark.parametrize("id_", [-7, 51, 10**6])
    def test_with_an_id_outside_the_vocabulary(self, wordpiece, name, id_) -> None:
        collator = _collator(wordpiece)
        batch = _with_value(dict(_collate(collator, _long_examples(wordpiece), 0)), name, 1, 1, id_)
        assert audit_batch(collator, batch, epoch=0)[:3] == ("full", "", False)


class TestPartial:
    @staticmethod
    def _collate_with_column(tokenizer, column: str, **options):
        examples = _long_examples(tokenizer)
        for example in examples:
            del example["tags"]
            ids = example["input_ids"]
            example[column] = [int(id_ % 3 == 0) if column == "special_tokens_mask" else id_ % 3 or -100 for id_ in ids]
        collator = _collator(tokenizer, **options)
        return collator, _collate(collator, examples, 4)

    @pytest.mark.parametrize("column", ["special_tokens_mask", "labels"])
    @pytest.mark.parametrize("min_masked", [0, 1, 30])
    @pytest.mark.parametrize("exact_count", [False, True])
    @pytest.mark.parametrize("strategy", KEEPS_THE_RATE)
    def test_reason_names_the_missing_column(self, wordpiece, strategy, exact_count, min_masked, column) -> None:
        strategy = variant(strategy, len(wordpiece))
        collator, batch = self._collate_with_column(
            wordpiece, column, strategy=strategy, min_masked=min_masked, exact_count=exact_count, mlm_probability=0.3
        )
        audit = audit_batch(collator, batch, epoch=4, columns=["input_ids", column])
        assert (audit.coverage, audit.matches) == ("partial", True)
        assert f"`{column}`" in audit.reason
        assert "input_ids" not in audit.reason
        for epoch in (0, 3, 5):
            assert not audit_batch(collator, batch, epoch=epoch, columns=[column]).matches
        collator.seed = 1
        assert not audit_batch(collator, batch, epoch=4, columns=[column]).matches

    @pytest.mark.parametrize("min_masked", [0, 1, 3])
    @pytest.mark.parametrize("strategy", INDEPENDENT_UNITS)
    def test_a_higher_rate_is_detected(self, wordpiece, strategy, min_masked) -> None:
        collator, batch = self._collate_with_column(
            wordpiece,
            "special_tokens_mask",
            strategy=variant(strategy, len(wordpiece)),
            min_masked=min_masked,
            mlm_probability=0.3,
        )
        columns = ["special_tokens_mask"]
        assert not audit_batch(collator, batch, epoch=4, rate=0.2, columns=columns).matches
        assert not audit_batch(collator, batch, epoch=4, rate=0.0, columns=columns).matches
        assert audit_batch(collator, batch, epoch=4, rate=0.4, columns=columns).matches, "these masks may be a subset"

    def test_masks_that_a_column_does_not_change_are_checked_in_full(self, wordpiece) -> None:
        """For example, the `special_tokens_mask` of the tokenizer itself."""
        examples = [dict(wordpiece(text, return_special_tokens_mask=True)) for text in TEXTS]
        collator = _collator(wordpiece)
        batch = _collate(collator, examples, 0)
        assert audit_batch(collator, batch, epoch=0, columns=["special_tokens_mask"])[:3] == ("full", "", True)

    def test_a_masked_special_token_is_detected(self, wordpiece) -> None:
        """Exact counts and replacement by mask tokens alone leave nothing else to check."""
        only_mask_tokens = {"mask_replace_prob": 1.0, "random_replace_prob": 0.0, "exact_count": True}
        collator, batch = self._collate_with_column(wordpiece, "special_tokens_mask", **only_mask_tokens)
        assert audit_batch(collator, batch, epoch=4, columns=["special_tokens_mask"]).matches
        cls = wordpiece.cls_token_id
        wrong = _with_value(_with_value(dict(batch), "labels", 0, 0, cls), "input_ids", 0, 0, wordpiece.mask_token_id)
        assert not audit_batch(collator, wrong, epoch=4, columns=["special_tokens_mask"]).matches

    def test_columns_of_a_strategy(self, wordpiece) -> None:
        collator = _collator(wordpiece, strategy=strategies.entity(0.5, "tags"))
        batch = _collate(collator, _long_examples(wordpiece), 4)
        audit = audit_batch(collator, batch, epoch=4)
        assert (audit.coverage, audit.matches) == ("partial", True)
        assert "`tags`" in audit.reason

    @pytest.mark.parametrize("return_mask_rate", [False, True])
    @pytest.mark.parametrize("part", ["whole", "split", "concatenated"])
    def test_rates_that_depend_on_the_whole_batch(self, wordpiece, part, return_mask_rate) -> None:
        collator = _collator(
            wordpiece, mlm_probability=uniform_rate(low_discrepancy=True), return_mask_rate=return_mask_rate
        )
        examples = _long_examples(wordpiece)
        batch = dict(_collate(collator, examples, 1))
        if part == "split":
            batch = {name: values[5:9] for name, values in batch.items()}
        if part == "concatenated":
            batch = {name: torch.cat([values, values]) for name, values in batch.items()}
        audit = audit_batch(collator, batch, epoch=1)
        assert audit.matches
        assert audit.coverage == ("full" if part == "whole" or return_mask_rate else "partial")
        assert bool(audit.reason) == (audit.coverage == "partial")
        assert not audit_batch(collator, batch, epoch=2).matches
        if return_mask_rate:
            batch["mask_rate"] = batch["mask_rate"].flip(0) if part != "concatenated" else 1 - batch["mask_rate"]
            assert audit_batch(collator, batch, epoch=1).matches == (part == "whole")

    def test_a_mask_rate_of_other_code_is_ignored(self, wordpiece) -> None:
        collator = _collator(wordpiece, mlm_probability=uniform_rate(low_discrepancy=True))
        batch = {name: values[5:9] for name, values in _collate(collator, _long_examples(wordpiece), 1).items()}
        audit = audit_batch(collator, {**batch, "mask_rate": torch.full((4,), 0.5)}, epoch=1)
        assert (audit.coverage, audit.matches) == ("partial", True)

    def test_a_draw_between_a_rate_and_its_float32_value(self, wordpiece) -> None:
        """`mask_rate` is rounded: a token with this draw is masked at one of the two rates and not at the other."""
        examples = _long_examples(wordpiece, sequences=4)
        ids = examples[2]["input_ids"]
        draws = [oracle.draw(oracle.key(42, ids, 1), position, 0) for position in range(1, len(ids) - 1)]
        rate = next((d + 1) / 2**32 for d in draws if float(np.float32((d + 1) / 2**32)) < (d + 1) / 2**32)
        as_collated = RateDistribution(lambda u: np.full(len(u), rate if len(u) == 4 else 0.9), low_discrepancy=True)
        collator = _collator(wordpiece, mlm_probability=as_collated, return_mask_rate=True, min_masked=0)
        batch = {name: values[1:] for name, values in _collate(collator, examples, 1).items()}
        assert not audit_batch(collator, batch, epoch=1, rate=float(batch["mask_rate"][1])).matches
        assert audit_batch(collator, batch, epoch=1)[:3] == ("full", "", True)


class TestNone:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda batch: batch.pop("labels"), "has no `labels`"),
            (lambda batch: batch.update(labels=None), "has no `labels`"),
            (lambda batch: batch.pop("input_ids"), "has no `input_ids`"),
            (lambda batch: batch.update(input_ids=batch["input_ids"].float()), "`input_ids` .* not contain integers"),
            (lambda batch: batch.update(labels=batch["labels"].bfloat16()), "`labels` .* not contain integers"),
            (lambda batch: batch.update(labels=batch["labels"][:, 1:]), "do not have the same 2-dimensional shape"),
            (lambda batch: batch.update(labels=batch["labels"].to("meta")), "`labels` .* not contain integers"),
            (lambda batch: batch.update({name: values[0] for name, values in batch.items()}), "2-dimensional shape"),
            (lambda batch: batch.update(attention_mask=batch["attention_mask"] * 2), "values other than 0 and 1"),
            (lambda batch: batch.update(attention_mask=batch["attention_mask"][:, None]), "one value for each token"),
        ],
    )
    def test_reason_names_what_the_batch_lacks(self, wordpiece, change, reason) -> None:
        collator = _collator(wordpiece)
        batch = dict(_collate(collator, _long_examples(wordpiece), 0))
        change(batch)
        audit = audit_batch(collator, batch, epoch=0)
        assert audit == Audit("none", audit.reason, True, 0, 0)
        assert re.search(reason, audit.reason)

    @pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.int32])
    def test_attention_masks_of_any_dtype(self, wordpiece, dtype) -> None:
        collator = _collator(wordpiece)
        batch = dict(_collate(collator, [wordpiece("the cat"), wordpiece(TEXTS[0])], 0))
        batch["attention_mask"] = batch["attention_mask"].to(dtype)
        assert audit_batch(collator, batch, epoch=0)[:3] == ("full", "", True)

    def test_sequence_boundaries_without_padding(self, wordpiece) -> None:
        collator = _collator(wordpiece, padding_free=True)
        batch = dict(_collate(collator, _long_examples(wordpiece), 0))
        for ends in (batch["cu_seq_lens_q"][:-1], batch["cu_seq_lens_q"][:0], batch["cu_seq_lens_q"] + 1):
            # `position_ids` also shows the boundaries
            assert audit_batch(collator, {**batch, "cu_seq_lens_q": ends}, epoch=0).matches
        del batch["cu_seq_lens_q"]
        assert audit_batch(collator, batch, epoch=0).matches
        too_short = {**batch, "position_ids": batch["position_ids"][:, 1:]}
        assert audit_batch(collator, too_short, epoch=0).coverage == "none"
        del batch["position_ids"]
        assert "neither `position_ids` nor `cu_seq_lens_q`" in audit_batch(collator, batch, epoch=0).reason

    def test_two_rows_without_padding(self, wordpiece) -> None:
        """accelerate concatenates dispatched batches that have the same length."""
        collator = _collator(wordpiece, padding_free=True)
        batches = [_collate(collator, [[5 + i, *range(7, 40)], [9] * 6], 0) for i in range(2)]
        joined = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0] if "max" not in name}
        assert joined["input_ids"].shape == (2, 40)
        assert audit_batch(collator, joined, epoch=0)[:3] == ("full", "", True)
        assert not audit_batch(collator, joined, epoch=1).matches

    def test_collators_that_cannot_be_audited(self, wordpiece) -> None:
        causal = _collator(wordpiece, mlm=False)
        dropout = DataCollatorWithTokenDropout(DataCollatorWithPadding(wordpiece))
        stock = DataCollatorForLanguageModeling(wordpiece)
        batch = _collate(_collator(wordpiece), _long_examples(wordpiece), 0)
        assert "a tuple, not a mapping" in audit_batch(causal, (1, 2), epoch=0).reason
        for collator, reason in (
            (causal, "`mlm=False`"),
            (dropout, "the batches of DataCollatorWithTokenDropout do not contain the original ids"),
            (stock, "the masks of DataCollatorForLanguageModeling cannot be recomputed"),
        ):
            audit = audit_batch(collator, batch, epoch=0)
            assert audit == Audit("none", audit.reason, True, 0, 0)
            assert reason in audit.reason


@pytest.fixture(scope="module")
def with_ordinary_sentinels(wordpiece):
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.add_tokens([f"<extra_id_{i}>" for i in range(10)])
    return tokenizer


@pytest.fixture(scope="module")
def with_eos(with_sentinels):
    tokenizer = copy.deepcopy(with_sentinels)
    tokenizer.eos_token = "[SEP]"
    return tokenizer


class TestSpanCorruption:
    @PROPERTY
    @given(data=st.data())
    def test_correct_batches_match(self, with_sentinels, with_eos, with_ordinary_sentinels, data) -> None:
        """Includes texts that contain sentinels of their own."""
        tokenizer = copy.copy(data.draw(st.sampled_from([with_sentinels, with_eos, with_ordinary_sentinels])))
        tokenizer.padding_side = data.draw(st.sampled_from(["left", "right"]))
        sentinel = tokenizer.convert_tokens_to_ids("<extra_id_0>")
        ids = st.integers(1, sentinel - 1) | st.integers(sentinel, sentinel + 2)
        rows = data.draw(st.lists(st.lists(ids, max_size=25), min_size=1, max_size=5))
        epoch, rate = data.draw(st.integers(0, 9)), data.draw(st.sampled_from(RATES))
        collator = DataCollatorForSpanCorruption(
            tokenizer,
            rate,
            mean_noise_span_length=data.draw(st.sampled_from([1.0, 3.0])),
            num_mask_patterns=data.draw(st.sampled_from([None, 1, 3])),
            pad_to_multiple_of=data.draw(st.sampled_from([None, 8])),
            seed=42,
        )
        examples = [{name: row[name] for name in ("input_ids", "attention_mask")} for row in _examples(rows)]
        batch = dict(_collate(collator, examples, epoch))
        if data.draw(st.booleans()):
            nothing = {"input_ids": 0, "attention_mask": 0, "labels": -100}
            batch = {name: torch.cat([batch[name], 0 * batch[name][:1] + fill]) for name, fill in nothing.items()}
        if data.draw(st.booleans()):
            batch = {name: values[len(rows) // 2 :] for name, values in batch.items()}
        audit = audit_batch(collator, batch, epoch=epoch)
        assert audit[:3] == ("full", "", True) or "sentinels of its own" in audit.reason
        if audit.coverage == "full":
            is_noise = (batch["labels"] != -100) & (batch["labels"] < sentinel) & (batch["labels"] > 4)
            assert audit.masked == is_noise.sum()
            assert audit.masked <= audit.maskable

    @pytest.fixture
    def collator(self, with_sentinels) -> DataCollatorForSpanCorruption:
        return DataCollatorForSpanCorruption(with_sentinels, 0.3, seed=42)

    def test_wrong_batches_do_not_match(self, with_sentinels, collator) -> None:
        batch = _collate(collator, _long_examples(with_sentinels), 2)
        assert audit_batch(collator, batch, epoch=2).matches
        for epoch, rate in ((1, 0.3), (3, 0.3), (2, 0.2), (2, 0.4), (2, uniform_rate())):
            assert audit_batch(collator, batch, epoch=epoch, rate=rate)[:3] == ("full", "", False)
        collator.seed = 1
        assert not audit_batch(collator, batch, epoch=2).matches

    @pytest.mark.parametrize("name", ["input_ids", "labels"])
    @pytest.mark.parametrize("id_", [5, 51, 52, 60, 10**6])
    def test_a_single_altered_id_is_detected(self, with_sentinels, collator, name, id_) -> None:
        """The id is an ordinary one, a sentinel, or outside the vocabulary."""
        batch = dict(_collate(collator, _long_examples(with_sentinels, sequences=3, words=20), 0))
        for row, column in np.argwhere(batch[name].numpy() != -100).tolist():
            if batch[name][row, column] != id_ and (name == "labels" or batch["attention_mask"][row, column]):
                assert not audit_batch(collator, _with_value(batch, name, row, column, id_), epoch=0).matches

    @pytest.mark.parametrize("column", ["special_tokens_mask", "labels"])
    def test_reason_names_the_missing_column(self, with_sentinels, collator, column) -> None:
        examples = _long_examples(with_sentinels)
        for example in examples:
            del example["tags"]
            example[column] = [
                int(id_ % 2) if column == "special_tokens_mask" else -100 for id_ in example["input_ids"]
            ]
        batch = dict(_collate(collator, examples, 0))
        audit = audit_batch(collator, batch, epoch=0, columns=[column])
        assert (audit.coverage, audit.matches) == ("partial", True)
        assert f"`{column}`" in audit.reason
        swapped = _with_value(batch, "labels", 0, 0, 52)
        assert not audit_batch(collator, swapped, epoch=0, columns=[column]).matches

    @pytest.mark.parametrize("columns", [[], ["labels"]])
    @pytest.mark.parametrize(
        ("inputs", "labels"),
        [
            ([51, 5, 6, 7], [51, 2, 52]),  # a special token is noise
            ([51, 5] * 12, [*[51, 6] * 12, 52]),  # more runs than sentinels
            ([5, 6, 7], [5, 51]),  # noise before the first sentinel
            ([51, 5, 6, 7], [51, 52]),  # no noise in a run
            ([51, 52, 6, 7], [51, 5, 52, 6, 53]),  # two adjacent runs
            ([5, 6, 7], [8]),
            ([5, 6, 7], [-100]),
        ],
    )
    def test_batches_that_no_corruption_produces(self, collator, inputs, labels, columns) -> None:
        batch = {
            "input_ids": torch.tensor([inputs]),
            "attention_mask": torch.ones(1, len(inputs)),
            "labels": torch.tensor([labels]),
        }
        assert not audit_batch(collator, batch, epoch=0, columns=columns).matches

    def test_reason_when_originals_cannot_be_restored(self, with_sentinels, collator) -> None:
        batch = dict(_collate(collator, _long_examples(with_sentinels), 0))
        assert "no `labels`" in audit_batch(collator, {**batch, "labels": None}, epoch=0).reason
        assert (
            "same number of sequences"
            in audit_batch(collator, {**batch, "labels": batch["labels"][1:]}, epoch=0).reason
        )
        own = [{"input_ids": [*range(51, 61)] * 20 + [7] * 40}]
        assert "sentinels of its own" in audit_batch(collator, _collate(collator, own, 0), epoch=0).reason


class TestExplanation:
    EXPECTED = Candidate("step 12", 1, 0.22)

    def _explain(self, wordpiece, epoch: int, rate, candidates=(), **options):
        collator = _collator(wordpiece, mlm_probability=rate, **options)
        batch = _collate(collator, _long_examples(wordpiece), epoch)
        return explain_mismatch(collator, batch, self.EXPECTED, candidates)

    def test_the_first_candidate_that_matches(self, wordpiece) -> None:
        candidates = [Candidate("step 11", 1, 0.23), Candidate("step 13", 1, 0.21), Candidate("step 13 again", 1, 0.21)]
        explanation = self._explain(wordpiece, 1, 0.21, candidates)
        assert explanation.candidate == candidates[1]
        assert explanation.is_complete
        assert str(explanation) == "masks of step 13 (rate 0.21)"

    @pytest.mark.parametrize("strategy", KEEPS_THE_RATE)
    @pytest.mark.parametrize("exact_count", [False, True])
    def test_another_rate_of_a_known_epoch(self, wordpiece, strategy, exact_count) -> None:
        options = {"strategy": variant(strategy, len(wordpiece)), "exact_count": exact_count}
        explanation = self._explain(wordpiece, 1, 0.4, **options)
        assert explanation.observed_rate == pytest.approx(0.4, abs=0.1)
        if strategy == "every_nth":  # its masks at a lower rate are not subsets
            assert explanation.candidate is None or not explanation.is_complete
            return
        assert (explanation.candidate, explanation.is_complete) == (self.EXPECTED, True)
        assert explanation.other_rate == pytest.approx(0.4, abs=0.01)
        assert re.fullmatch(r"masks of the epoch of step 12, but at a rate of 0\.[34]\d*", str(explanation))

    def test_masks_of_no_candidate(self, wordpiece) -> None:
        explanation = self._explain(wordpiece, 5, 0.22, [Candidate("step 13", 1, 0.21), Candidate("step 99", 2, 0.22)])
        assert (explanation.candidate, explanation.other_rate, explanation.matching_sequences) == (None, None, 0)
        assert re.fullmatch(
            r"masks that match none of 3 candidates \(2\d(\.\d)? % of the tokens are masked\)", str(explanation)
        )

    def test_masks_of_some_sequences(self, wordpiece) -> None:
        collator = _collator(wordpiece, mlm_probability=0.22)
        batch = dict(_collate(collator, _long_examples(wordpiece), 1))
        batch = _with_value(batch, "input_ids", 3, 4, 5 if batch["input_ids"][3, 4] != 5 else 6)
        explanation = explain_mismatch(collator, batch, self.EXPECTED, [Candidate("step 13", 1, 0.21)])
        assert explanation.candidate == self.EXPECTED
        assert (explanation.matching_sequences, explanation.masked_sequences) == (15, 16)
        assert str(explanation) == "masks of step 12 in only 15 of 16 sequences"

    def test_masks_of_evaluation(self, wordpiece) -> None:
        explanation = self._explain(wordpiece, 0, 0.15, [Candidate("evaluation", 0, 0.15)])
        assert str(explanation) == "masks of evaluation (rate 0.15)"

    def test_a_rate_for_each_sequence(self, wordpiece) -> None:
        candidates = [Candidate("step 13", 1, uniform_rate()), Candidate("step 14", 1)]
        assert str(self._explain(wordpiece, 1, uniform_rate(), candidates)) == (
            "masks of step 13 (a rate for each sequence)"
        )
        assert str(self._explain(wordpiece, 1, 0.3, candidates[1:])) == "masks of step 14"

    def test_span_corruption(self, with_sentinels) -> None:
        collator = DataCollatorForSpanCorruption(with_sentinels, 0.4, seed=42)
        batch = _collate(collator, _long_examples(with_sentinels), 1)
        near = Candidate("step 13", 1, 0.4)
        assert explain_mismatch(collator, batch, self.EXPECTED, [near]).candidate == near
        explanation = explain_mismatch(collator, batch, self.EXPECTED, [])
        assert (explanation.candidate, explanation.other_rate) == (self.EXPECTED, pytest.approx(0.4, abs=0.02))

    def test_a_strategy_that_reads_a_column(self, wordpiece) -> None:
        explanation = self._explain(
            wordpiece, 2, 0.3, [Candidate("epoch 2", 2)], strategy=strategies.entity(0.5, "tags")
        )
        assert str(explanation) == "masks of epoch 2"
        assert self._explain(wordpiece, 2, 0.3, strategy=strategies.entity(0.5, "tags")).candidate is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epoch": -1}, "`epoch` must be an integer of at least 0"),
        ({"epoch": 0, "rate": 1.5}, "`rate` must be a number between 0 and 1"),
        ({"epoch": 0, "rate": linear_schedule(0.3, 0.1)}, "`rate` must be a number between 0 and 1"),
    ],
)
def test_bad_arguments(wordpiece, arguments, message) -> None:
    collator = _collator(wordpiece)
    with pytest.raises(ValueError, match=message):
        audit_batch(collator, collator(_long_examples(wordpiece)), **arguments)
