"""What transformers documents of its collator: true of that one, which proves the test, and of ours."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from transformers import BatchEncoding, DataCollatorForLanguageModeling
from variants import VARIANTS, tags, variant

from hf_dynmask import DataCollatorForDynamicMasking

ROWS = [[2, 5, 6, 7, 8, 3], [2, 9, 3], [2, *range(5, 45), 3]]
GONE = {"tf_experimental_compile"}  # TensorFlow's
EXPECTED = {"input_ids", "labels"}


@pytest.fixture(params=[DataCollatorForLanguageModeling, DataCollatorForDynamicMasking], ids=["stock", "ours"])
def make(request) -> Any:
    return request.param


@pytest.fixture
def examples() -> list[dict[str, list[int]]]:
    return [{"input_ids": row, "attention_mask": [1] * len(row)} for row in ROWS]


def test_a_batch_of_mappings(make, wordpiece, examples) -> None:
    batch = make(wordpiece)(examples)
    assert isinstance(batch, BatchEncoding)
    assert set(batch) == EXPECTED | {"attention_mask"}
    for values in batch.values():
        assert isinstance(values, torch.Tensor)
        assert values.dtype == torch.int64
        assert values.shape == (3, 42)
    assert batch["attention_mask"].sum(1).tolist() == list(map(len, ROWS))


@pytest.mark.parametrize("kind", [list, torch.tensor, np.array], ids=["lists", "tensors", "arrays"])
def test_a_batch_of_bare_ids(make, wordpiece, kind) -> None:
    batch = make(wordpiece)([kind(row) for row in ROWS])
    assert set(batch) >= EXPECTED
    assert batch["input_ids"].shape == batch["labels"].shape == (3, 42)


@pytest.mark.parametrize("multiple", [8, 64])
def test_pad_to_multiple_of(make, wordpiece, examples, multiple) -> None:
    batch = make(wordpiece, pad_to_multiple_of=multiple)(examples)
    assert batch["input_ids"].shape == (3, -(-42 // multiple) * multiple)
    padding = batch["attention_mask"] == 0
    assert (batch["input_ids"][padding] == wordpiece.pad_token_id).all()
    assert (batch["labels"][padding] == -100).all()


def test_numpy_arrays_on_request(make, wordpiece, examples) -> None:
    for batch in (make(wordpiece, return_tensors="np")(examples), make(wordpiece)(examples, return_tensors="np")):
        assert all(isinstance(values, np.ndarray) and values.dtype == np.int64 for values in batch.values())
        assert batch["input_ids"].shape == batch["labels"].shape == (3, 42)


def test_causal_language_modeling(make, wordpiece, examples) -> None:
    batch = make(wordpiece, mlm=False)(examples)
    for ids, labels, row in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), ROWS, strict=True):
        assert ids == row + [wordpiece.pad_token_id] * (42 - len(row))
        assert labels == row + [-100] * (42 - len(row))


def test_labels_are_the_ids_where_masked(make, wordpiece) -> None:
    ids = torch.randint(5, 45, (64, 128), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    batch = make(wordpiece, mlm_probability=0.25)([{"input_ids": row} for row in ids])
    masked = batch["labels"] != -100
    assert (batch["labels"][masked] == ids[masked]).all()
    assert (batch["input_ids"][~masked] == ids[~masked]).all()
    assert masked.float().mean().item() == pytest.approx(0.25, abs=0.02)
    became_mask = batch["input_ids"][masked] == wordpiece.mask_token_id
    assert became_mask.float().mean().item() == pytest.approx(0.8, abs=0.05)


def test_special_tokens_are_never_masked(make, wordpiece) -> None:
    special = [{"input_ids": [2, 5, 3, 0], "special_tokens_mask": [1, 0, 1, 1]}] * 50
    batch = make(wordpiece, mlm_probability=0.9)(special)
    assert (batch["labels"][:, [0, 2, 3]] == -100).all()
    assert "special_tokens_mask" not in batch


def test_token_type_ids_are_padded(make, wordpiece) -> None:
    batch = make(wordpiece)([{"input_ids": row, "token_type_ids": [1] * len(row)} for row in ROWS])
    assert batch["token_type_ids"].sum(1).tolist() == list(map(len, ROWS))


@pytest.mark.parametrize("kind", [int, np.int64, torch.tensor, float, bool], ids=str)
@pytest.mark.parametrize("mlm", [True, False])
def test_the_class_of_an_example_gives_way_to_the_labels(make, wordpiece, mlm, kind) -> None:
    """As data for classification have it."""
    batch = make(wordpiece, mlm=mlm)([{"input_ids": row, "labels": kind(number)} for number, row in enumerate(ROWS)])
    assert set(batch) == EXPECTED | {"attention_mask"}
    assert batch["labels"].shape == (3, 42)
    assert batch["labels"].dtype == torch.int64


def test_without_a_mask_token(make, wordpiece) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.mask_token = None
    with pytest.raises(ValueError, match="mask token"):
        make(tokenizer)
    make(tokenizer, mlm=False)


def test_without_a_pad_token(make, wordpiece, examples) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.pad_token = None
    with pytest.raises(ValueError, match="pad"):
        make(tokenizer, mlm=False)(examples)
    assert make(tokenizer, mlm=False)([[5, 6, 7], [6, 7, 8]])["input_ids"].shape == (2, 3)


def test_a_dataclass_that_is_copied_pickled_and_replaced(make, wordpiece, examples) -> None:
    collator = make(wordpiece, mlm_probability=0.3)
    changed = dataclasses.replace(collator, mlm_probability=0.4)
    assert changed.mlm_probability == 0.4
    for twin in (copy.deepcopy(collator), pickle.loads(pickle.dumps(collator)), changed):
        assert twin(examples)["labels"].shape == (3, 42)


@pytest.mark.parametrize("workers", [0, 1])
def test_as_collate_fn(make, wordpiece, examples, workers) -> None:
    (batch,) = DataLoader(examples, batch_size=3, collate_fn=make(wordpiece), num_workers=workers)
    assert batch["labels"].shape == (3, 42)


def test_all_arguments_of_the_stock_collator_are_taken(wordpiece, examples) -> None:
    stock = DataCollatorForLanguageModeling(wordpiece, seed=3, mlm_probability=0.2)
    arguments = {field.name: getattr(stock, field.name) for field in dataclasses.fields(stock) if field.init}
    ours = DataCollatorForDynamicMasking(**{name: value for name, value in arguments.items() if name not in GONE})
    assert {"tokenizer", "mlm", "mlm_probability", "mask_replace_prob", "random_replace_prob", "seed"} <= set(arguments)
    assert set(ours(examples)) == set(stock(examples))


@pytest.mark.parametrize("mlm", [True, False])
def test_mlm_in_its_second_place_is_no_rate(wordpiece, mlm) -> None:
    DataCollatorForLanguageModeling(wordpiece, mlm)
    with pytest.raises(ValueError, match="pass it by name: `mlm=True`"):
        DataCollatorForDynamicMasking(wordpiece, mlm)


@pytest.mark.parametrize("layout", [{}, {"padding_free": True}, {"exact_count": True, "pad_to_multiple_of": 8}])
@pytest.mark.parametrize("name", VARIANTS)
def test_numpy_and_torch_have_equal_masks(wordpiece, name, layout) -> None:
    """Where the two differ in transformers: numpy's generator there, torch's here."""
    strategy = variant(name, len(wordpiece))
    examples = [{"input_ids": row, "tags": tags(np.array(row)).tolist()} for row in ROWS]
    if not strategy.columns:
        examples = [{"input_ids": row} for row in ROWS]
    collator = DataCollatorForDynamicMasking(wordpiece, strategy=strategy, seed=1, **layout)
    collator.set_epoch(1)
    tensors, arrays = collator(examples), collator(examples, return_tensors="np")
    assert set(tensors) == set(arrays)
    for column, values in arrays.items():
        assert (np.asarray(tensors[column]) == values).all()
