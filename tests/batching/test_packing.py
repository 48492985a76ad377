"""Sequences that share rows: where they are, and the masks that they have."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.extended import pairs

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorForSpanCorruption,
    DataCollatorWithTokenDropout,
    audit_batch,
    strategies,
    uniform_rate,
)
from hf_dynmask.batching.packing import Packing, best_fit_decreasing

EVERY = settings(derandomize=True, deadline=None, max_examples=80)
ROWS = Packing(one_row=False)
ONE_ROW = Packing(one_row=True)
LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=12)
OPTIONS: dict[str, dict[str, Any]] = {
    "tokens": {},
    "whole words": {"strategy": "whole_word"},
    "spans": {"strategy": strategies.span()},
    "exact": {"exact_count": True},
    "drawn rates": {"mlm_probability": uniform_rate(0.1, 0.9), "return_mask_rate": True},
    "rates of the batch": {"mlm_probability": uniform_rate(0.1, 0.9, low_discrepancy=True), "return_mask_rate": True},
    "multiple": {"pad_to_multiple_of": 8},
    "causal": {"mlm": False},
}


def _collator(tokenizer: Any, packing: Packing | None, **options: Any) -> DataCollatorForDynamicMasking:
    return DataCollatorForDynamicMasking(tokenizer, **{"mlm_probability": 0.4, "seed": 4, **options}, packing=packing)


def _examples(lengths: list[int], **columns: Any) -> list[dict[str, Any]]:
    generator = np.random.default_rng(7)
    return [{"input_ids": generator.integers(5, 50, length), **columns} for length in lengths]


def _packs(examples: list[dict[str, Any]], sizes: list[int], boundaries: str) -> list[dict[str, Any]]:
    """Examples end to end, so many to a pack."""
    packs = []
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        ids = [each["input_ids"] for each in examples[end - size : end]]
        lengths = list(map(len, ids))
        packs.append({"input_ids": np.concatenate([np.zeros(0, np.int64), *ids])})
        if boundaries == "seq_lengths":
            packs[-1]["seq_lengths"] = lengths
        else:
            packs[-1]["position_ids"] = np.concatenate([np.zeros(0, np.int64), *map(np.arange, lengths)])
    return packs


def _sequences(batch: Any, name: str, count: int) -> list[list[int]]:
    """A column of a packed batch, by sequence."""
    if "seq_idx" in batch:
        return [batch[name][batch["seq_idx"] == number].tolist() for number in range(count)]
    ends = batch["cu_seq_lens_q"][1 : count + 1].tolist()
    return [part.tolist() for part in np.split(batch[name][0].numpy(), ends)[:count]]


def _padded_sequences(batch: Any, name: str) -> list[list[int]]:
    return [row[mask == 1].tolist() for row, mask in zip(batch[name], batch["attention_mask"], strict=True)]


def _rows_of_oracle(lengths: list[int], capacity: int) -> int:
    """The number of rows of best-fit decreasing, by its definition."""
    spaces: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [space for space in spaces if space >= length]
        if fitting:
            spaces.remove(min(fitting))
        spaces.append((min(fitting) if fitting else capacity) - length)
    return len(spaces)


@EVERY
@given(lengths=LENGTHS, spare=st.integers(0, 9))
def test_best_fit_decreasing(lengths, spare) -> None:
    capacity = max(lengths) + spare
    rows = best_fit_decreasing(np.array(lengths), capacity)
    assert np.bincount(rows, weights=lengths).max() <= capacity
    assert set(rows.tolist()) == set(range(_rows_of_oracle(lengths, capacity)))


@pytest.mark.parametrize(("name", "packing"), pairs(OPTIONS, [ROWS, ONE_ROW]))
@EVERY
@given(lengths=LENGTHS)
def test_a_sequence_has_the_masks_and_labels_that_it_has_with_padding(wordpiece, name, packing, lengths) -> None:
    padded = _collator(wordpiece, None, **OPTIONS[name])(_examples(lengths), epoch=2)
    batch = _collator(wordpiece, packing, **OPTIONS[name])(_examples(lengths), epoch=2)
    assert _sequences(batch, "input_ids", len(lengths)) == _padded_sequences(padded, "input_ids")
    labels = _padded_sequences(padded, "labels")
    if name == "causal":  # the token before the first one is of another sequence
        labels = [[-100, *row[1:]] if row else [] for row in labels]
    assert _sequences(batch, "labels", len(lengths)) == labels
    assert _sequences(batch, "position_ids", len(lengths)) == [list(range(length)) for length in lengths]
    if "mask_rate" in padded:
        assert torch.equal(batch["mask_rate"], padded["mask_rate"])


@pytest.mark.parametrize("boundaries", ["seq_lengths", "position_ids"])
@pytest.mark.parametrize(("name", "packing"), pairs(OPTIONS, [ROWS, ONE_ROW]))
@EVERY
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), data=st.data())
def test_so_has_each_sequence_of_a_pack(wordpiece, name, packing, boundaries, sizes, data) -> None:
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=sum(sizes), max_size=sum(sizes)))
    collator = _collator(wordpiece, packing, **OPTIONS[name])
    examples = _examples(lengths)
    separate = collator(examples, epoch=1)
    batch = collator(_packs(examples, sizes, boundaries), epoch=1)
    for column in ("input_ids", "labels", "position_ids"):
        assert _sequences(batch, column, len(lengths)) == _sequences(separate, column, len(lengths))
    if not packing.one_row:  # each pack is a row
        numbers = [[number for number in dict.fromkeys(row.tolist()) if number >= 0] for row in batch["seq_idx"]]
        assert [len(row) for row in numbers] == sizes
        assert [number for row in numbers for number in row] == list(range(len(lengths)))
    if name == "drawn rates":
        assert torch.equal(batch["mask_rate"], separate["mask_rate"])


def test_rows_are_as_long_as_the_longest_sequence_and_as_few_as_fit(wordpiece) -> None:
    batch = _collator(wordpiece, ROWS, mlm_probability=0.0, min_masked=0)(_examples([3, 8, 5, 6, 2]))
    assert batch["seq_idx"].tolist() == [[1] * 8, [3] * 6 + [4] * 2, [0] * 3 + [2] * 5]
    assert batch["position_ids"].tolist() == [[*range(8)], [*range(6), 0, 1], [0, 1, 2, *range(5)]]


def test_padding_of_rows(wordpiece) -> None:
    packing = Packing(one_row=False, position_ids_start=2)
    examples = _examples([3, 4], token_type_ids=[1] * 9, kind=5)
    for example in examples:
        example["token_type_ids"] = [1] * len(example["input_ids"])
    batch = _collator(wordpiece, packing, pad_to_multiple_of=5)(examples)
    padding = batch["seq_idx"] == -1
    assert padding.tolist() == [[False] * 4 + [True], [False] * 3 + [True] * 2]
    columns = {"input_ids": wordpiece.pad_token_id, "labels": -100, "token_type_ids": 0, "position_ids": 2}
    for name, value in columns.items():
        assert (batch[name][padding] == value).all()
        assert batch[name].dtype == torch.int64
    assert batch["seq_idx"].dtype == torch.int32
    assert batch["kind"].tolist() == [5, 5]
    assert "attention_mask" not in batch


@pytest.mark.parametrize("packing", [ROWS, ONE_ROW], ids=["rows", "one row"])
@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "causal"])
def test_packed_batches_pass_the_audit_and_wrong_ones_do_not(wordpiece, name, packing) -> None:
    collator = _collator(wordpiece, packing, **OPTIONS[name])
    batch = collator(_packs(_examples([7, 9, 4, 12, 8]), [2, 3], "seq_lengths"), epoch=3)
    audits = [audit_batch(collator, batch, epoch=epoch) for epoch in (3, 4)]
    assert [audit.coverage for audit in audits] == ["full", "full"]
    assert [audit.matches for audit in audits] == [True, False]
    part = {name: values[1:] for name, values in batch.items() if values.ndim == 2} if packing is ROWS else batch
    if name != "rates of the batch":
        assert audit_batch(collator, part, epoch=3).matches


def test_a_packed_batch_without_numbers_of_sequences_is_not_audited(wordpiece) -> None:
    collator = _collator(wordpiece, ROWS)
    batch = collator(_examples([7, 9]), epoch=0)
    del batch["seq_idx"]
    audit = audit_batch(collator, batch, epoch=0)
    assert (audit.coverage, audit.reason) == ("none", "the batch has no `seq_idx`")
    batch["seq_idx"] = torch.zeros(3)
    assert "`seq_idx` of the batch" in audit_batch(collator, batch, epoch=0).reason


@pytest.mark.parametrize("packed", [ROWS, ONE_ROW], ids=["rows", "one row"])
def test_padding_within_examples_is_left_out(wordpiece, packed) -> None:
    examples = [
        {"input_ids": [5, 6, 0, 7, 0], "attention_mask": [1, 1, 0, 1, 0], "seq_lengths": [3, 2]},
        {"input_ids": [8, 0], "attention_mask": [1, 0], "seq_lengths": [2]},
    ]
    batch = _collator(wordpiece, packed, mlm_probability=0.0, min_masked=0)(examples)
    assert _sequences(batch, "input_ids", 3) == [[5, 6], [7], [8]]


@pytest.mark.parametrize("boundaries", ["seq_lengths", "position_ids"])
@pytest.mark.parametrize("make", [DataCollatorForDynamicMasking, DataCollatorForSpanCorruption])
def test_packs_are_refused_where_their_sequences_would_attend_to_each_other(
    wordpiece, with_sentinels, make, boundaries
) -> None:
    collator = make(wordpiece if make is DataCollatorForDynamicMasking else with_sentinels)
    with pytest.raises(ValueError, match=r"`features` must be one sequence per example, .* Pass `packing=packed_att"):
        collator(_packs(_examples([3, 4, 2]), [2, 1], boundaries))


@pytest.mark.parametrize("make", [DataCollatorForDynamicMasking, DataCollatorForSpanCorruption])
def test_packs_with_positions_of_their_own_are_refused_as_well(wordpiece, with_sentinels, make) -> None:
    pack = {"input_ids": [7, 8, 9, 7, 8], "seq_lengths": [3, 2], "position_ids": [4, 3, 2, 4, 3]}
    tokenizer = wordpiece if make is DataCollatorForDynamicMasking else with_sentinels
    with pytest.raises(ValueError, match="`features` must be one sequence per example"):
        make(tokenizer, per_token_columns=["position_ids"])([pack, pack], epoch=0)
    unpacked = {name: values for name, values in pack.items() if name != "seq_lengths"}
    assert len(make(tokenizer, per_token_columns=["position_ids"])([unpacked], epoch=0)["input_ids"]) == 1


def test_positions_that_go_on_are_no_pack(wordpiece) -> None:
    """Also if they are RoBERTa's, whose padding has the lowest one."""
    examples = [
        {"input_ids": [5, 6, 7, 0], "attention_mask": [1, 1, 1, 0], "position_ids": [2, 3, 4, 1]},
        {"input_ids": [8, 9, 5], "attention_mask": [1, 1, 1], "position_ids": [2, 3, 4]},
    ]
    batch = _collator(wordpiece, None)(examples)
    assert batch["position_ids"].tolist() == [[2, 3, 4, 1], [2, 3, 4, 0]]


@pytest.mark.parametrize("boundaries", ["seq_lengths", "position_ids"])
@pytest.mark.parametrize("packing", [ROWS, ONE_ROW], ids=["rows", "one row"])
def test_packs_whose_sequences_have_padding(wordpiece, packing, boundaries) -> None:
    """On the right, on the left, and within."""
    ids, mask = [5, 6, 0, 0, 0, 7, 8, 0, 9], [1, 1, 0, 0, 0, 1, 1, 0, 1]
    pack = {"input_ids": ids, "attention_mask": mask}
    pack |= {"seq_lengths": [3, 6]} if boundaries == "seq_lengths" else {"position_ids": [0, 1, 2, 0, 1, 2, 3, 4, 5]}
    batch = _collator(wordpiece, packing, mlm_probability=0.0, min_masked=0)([pack])
    assert _sequences(batch, "input_ids", 2) == [[5, 6], [7, 8, 9]]


@pytest.mark.parametrize("make", [DataCollatorForDynamicMasking, DataCollatorForSpanCorruption])
def test_positions_of_ones_own_may_start_again_if_they_are_named(wordpiece, with_sentinels, make) -> None:
    collator = make(with_sentinels, per_token_columns=["position_ids"])
    batch = collator([{"input_ids": [5, 6, 7, 8], "position_ids": [0, 1, 0, 1]}])
    assert "labels" in batch
    packed = _collator(wordpiece, ROWS, per_token_columns=["position_ids"])
    assert packed([{"input_ids": [5, 6, 7, 8], "position_ids": [0, 1, 0, 1]}])["seq_idx"].tolist() == [[0] * 4]


@pytest.mark.parametrize("positions", [[[0, 0], [0, 1], [0, 2]], [0.0, 1.0, 2.0]], ids=["two", "floats"])
def test_positions_that_separate_nothing(wordpiece, positions) -> None:
    with pytest.raises(ValueError, match="`position_ids` must be integers, one for each token, to separate"):
        _collator(wordpiece, ROWS)([{"input_ids": [5, 6, 7], "position_ids": positions}])


def test_one_sequence_with_its_length_is_no_pack(wordpiece) -> None:
    assert "attention_mask" in _collator(wordpiece, None)([{"input_ids": [5, 6, 7], "seq_lengths": [3]}])


@pytest.mark.parametrize("positions", [[0, 1, 0], [0, 0, 1]], ids=str)
@pytest.mark.parametrize("mask", [[1, 1, 1], None], ids=["mask", "no mask"])
def test_packs_of_other_collators_are_refused(wordpiece, positions, mask) -> None:
    columns = {"input_ids": torch.tensor([[5, 6, 7]]), "position_ids": torch.tensor([positions])}
    if mask is not None:
        columns["attention_mask"] = torch.tensor([mask])
    collator = DataCollatorWithTokenDropout(lambda examples: dict(columns), tokenizer=wordpiece)
    with pytest.raises(ValueError, match="`collator` must return one sequence per row, but its `position_ids` start"):
        collator([{}])


@pytest.mark.parametrize("lengths", [[True, True, True], [2, 2], [4, -1], 3, [1.0, 2.0], "ab", [[1, 2]], None], ids=str)
def test_wrong_lengths_of_sequences(wordpiece, lengths) -> None:
    examples = [{"input_ids": [5, 6], "seq_lengths": [2]}, {"input_ids": [5, 6, 7], "seq_lengths": lengths}]
    with pytest.raises(ValueError, match=r"`seq_lengths` must be the lengths of .* but example 1 has"):
        _collator(wordpiece, ROWS)(examples)


def test_a_column_of_ones_own_may_have_the_name(wordpiece) -> None:
    examples = [{"input_ids": [5, 6, 7], "seq_lengths": [4, 4, 4]}]
    batch = _collator(wordpiece, ROWS, per_token_columns=["seq_lengths"])(examples)
    assert batch["seq_lengths"].tolist() == [[4, 4, 4]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"packing": True}, r"`packing` must be the result of `packed_attention\(model\)`, but got a `bool`"),
        ({"packing": ROWS, "padding_free": True}, "`padding_free` must be left out with `packing`"),
        ({"packing": ONE_ROW, "position_ids_start": 2}, "`position_ids_start` must be left at its default"),
    ],
    ids=["kind", "both", "start"],
)
def test_arguments_that_contradict_each_other(wordpiece, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        DataCollatorForDynamicMasking(wordpiece, **options)


def test_the_packing_can_be_changed(wordpiece) -> None:
    collator = _collator(wordpiece, ROWS)
    assert "several sequences in a row" in str(collator)
    assert "seq_idx" in collator(_examples([3, 4]))
    collator.packing = None
    assert "attention_mask" in collator(_examples([3, 4]))
    collator.padding_free = True
    assert "cu_seq_lens_q" in collator(_examples([3, 4]))


def test_evaluation_is_packed_too(wordpiece) -> None:
    batch = _collator(wordpiece, ROWS).for_evaluation(0.2)(_examples([3, 4]))
    assert "seq_idx" in batch


def test_a_pad_token_is_needed_only_where_rows_are_padded(wordpiece) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.pad_token = None
    assert _collator(tokenizer, ROWS)(_examples([3, 3]))["input_ids"].shape == (2, 3)
    with pytest.raises(ValueError, match="`tokenizer` must have a pad token"):
        _collator(tokenizer, ROWS)(_examples([3, 2]))
