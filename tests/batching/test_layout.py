"""Batches without padding."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DataCollatorWithFlattening, RobertaConfig, RobertaModel

from hf_dynmask import DataCollatorForDynamicMasking, audit_batch

ROWS = st.lists(st.lists(st.integers(5, 50), min_size=1, max_size=12), min_size=1, max_size=6)
EVERY = settings(derandomize=True, deadline=None, max_examples=60)


def _collator(tokenizer, **options) -> DataCollatorForDynamicMasking:
    return DataCollatorForDynamicMasking(tokenizer, seed=4, num_mask_patterns=1, padding_free=True, **options)


@pytest.mark.parametrize("return_tensors", ["pt", "np"])
@EVERY
@given(rows=ROWS, start=st.integers(0, 3))
def test_the_layout_is_that_of_the_stock_flattening_collator(wordpiece, rows, start, return_tensors) -> None:
    ours = _collator(
        wordpiece, mlm=False, return_seq_idx=True, return_flash_attn_kwargs=True, position_ids_start=start
    )([{"input_ids": row} for row in rows], return_tensors=return_tensors)
    stock = DataCollatorWithFlattening(return_seq_idx=True, return_flash_attn_kwargs=True)(
        [{"input_ids": row} for row in rows], return_tensors=return_tensors
    )
    assert set(ours) == set(stock)
    for name, expected in stock.items():
        if name == "position_ids":
            expected = expected + start
        assert type(ours[name]) is type(expected)
        if isinstance(expected, int):
            assert ours[name] == expected
        else:
            assert ours[name].dtype == expected.dtype
            assert ours[name].tolist() == expected.tolist()


def test_only_what_is_asked_for_is_there(wordpiece) -> None:
    batch = _collator(wordpiece, return_flash_attn_kwargs=False)([[5, 6, 7], [8]])
    assert set(batch) == {"input_ids", "labels", "position_ids"}


def test_where_sequences_end_is_there_unless_refused(wordpiece) -> None:
    """ModernBERT's FlashAttention learns it from nothing else."""
    batch = _collator(wordpiece)([[5, 6, 7], [8]])
    assert batch["cu_seq_lens_q"].tolist() == batch["cu_seq_lens_k"].tolist() == [0, 3, 4]
    assert batch["max_length_q"] == batch["max_length_k"] == 3


@pytest.mark.parametrize(("argument", "value"), [("return_seq_idx", True), ("position_ids_start", 2)])
def test_arguments_of_this_layout_are_refused_in_the_other(wordpiece, argument, value) -> None:
    with pytest.raises(ValueError, match=f"`{argument}` must be left at its default without `padding_free=True`"):
        DataCollatorForDynamicMasking(wordpiece, **{argument: value})


@pytest.mark.parametrize("options", [{}, {"mlm": False}, {"strategy": "span"}, {"exact_count": True}], ids=str)
@pytest.mark.parametrize("lengths", [(3, 5), (1,), (8, 8), (7, 2, 6)], ids=str)
def test_one_more_sequence_fills_the_row_up_to_a_multiple(wordpiece, lengths, options) -> None:
    rows = [{"input_ids": list(range(5, 5 + n)), "token_type_ids": [1] * n, "kind": n} for n in lengths]
    plain, filled = (
        _collator(wordpiece, return_seq_idx=True, pad_to_multiple_of=multiple, **options)(rows)
        for multiple in (None, 8)
    )
    total, missing = sum(lengths), -sum(lengths) % 8
    for name in ("input_ids", "labels", "token_type_ids", "position_ids", "seq_idx"):
        assert filled[name].shape == (1, total + missing)
        assert torch.equal(filled[name][:, :total], plain[name])
    pads = {name: filled[name][0, total:].tolist() for name in ("input_ids", "labels", "token_type_ids")}
    assert pads == {
        "input_ids": [wordpiece.pad_token_id] * missing,
        "labels": [-100] * missing,
        "token_type_ids": [0] * missing,
    }
    assert filled["position_ids"][0, total:].tolist() == list(range(missing))
    ends = np.cumsum([0, *lengths, *([missing] if missing else [])]).tolist()
    assert filled["cu_seq_lens_q"].tolist() == ends
    assert filled["max_length_q"] == max(*lengths, missing)
    assert torch.equal(filled["kind"], plain["kind"])


def test_a_row_that_is_filled_up_passes_the_audit(wordpiece) -> None:
    rows = [{"input_ids": list(range(5, 40))}, {"input_ids": [6, 7]}]
    collator = DataCollatorForDynamicMasking(wordpiece, 0.5, seed=1, padding_free=True, pad_to_multiple_of=16)
    batch = collator(rows, epoch=1)
    audits = [audit_batch(collator, batch, epoch=epoch) for epoch in (1, 2)]
    assert [audit.coverage for audit in audits] == ["full", "full"]
    assert [audit.matches for audit in audits] == [True, False]


def test_a_row_cannot_be_filled_up_without_a_pad_token(wordpiece) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.pad_token = None
    with pytest.raises(ValueError, match="`tokenizer` must have a pad token"):
        _collator(tokenizer, pad_to_multiple_of=8)([[5, 6]])


@EVERY
@given(rows=ROWS, rate=st.sampled_from([0.0, 0.15, 0.5, 1.0]))
def test_each_sequence_has_the_mask_it_has_with_padding(wordpiece, rows, rate) -> None:
    """So none in a pack goes without a mask."""
    flat = _collator(wordpiece, mlm_probability=rate, return_seq_idx=True)([{"input_ids": row} for row in rows])
    padded = DataCollatorForDynamicMasking(wordpiece, seed=4, num_mask_patterns=1, mlm_probability=rate)(
        [{"input_ids": row} for row in rows]
    )
    for name in ("input_ids", "labels"):
        assert torch.equal(flat[name][0], padded[name][padded["attention_mask"] == 1])
    assert np.bincount(flat["seq_idx"][0][flat["labels"][0] != -100], minlength=len(rows)).min() >= 1


def test_padding_that_came_in_is_gone_and_further_columns_go_along(wordpiece) -> None:
    examples = [
        {"input_ids": [5, 6, 0, 0], "attention_mask": [1, 1, 0, 0], "token_type_ids": [0, 1, 0, 0], "source": 3},
        {"input_ids": [7, 8, 9], "attention_mask": [1, 1, 1], "token_type_ids": [1, 1, 1], "source": 4},
    ]
    batch = _collator(wordpiece, mlm_probability=0.0, min_masked=0)(examples)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9]]
    assert batch["token_type_ids"].tolist() == [[0, 1, 1, 1, 1]]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1, 2]]
    assert batch["source"].tolist() == [3, 4]


def test_no_pad_token_is_needed(wordpiece) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.pad_token = None
    assert _collator(tokenizer)([[5, 6], [7]])["input_ids"].shape == (1, 3)


def test_positions_start_where_roberta_starts_them(wordpiece) -> None:
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=51, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, pad_token_id=1
    )
    model = RobertaModel(config).eval()
    batch = _collator(wordpiece, position_ids_start=config.pad_token_id + 1)([[5, 6, 7, 8]])
    with torch.no_grad():
        told = model(batch["input_ids"], position_ids=batch["position_ids"]).last_hidden_state
        made = model(batch["input_ids"]).last_hidden_state
    assert torch.allclose(told, made)
