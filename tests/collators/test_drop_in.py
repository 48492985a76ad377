"""What transformers documents of its collator: true of that one, which proves the test, and of ours."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from support.variants import VARIANTS, tags, variant
from torch.utils.data import DataLoader
from transformers import BatchEncoding, DataCollatorForLanguageModeling, set_seed

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


def test_examples_by_the_name_that_transformers_uses(make, wordpiece, examples) -> None:
    assert set(make(wordpiece)(features=examples)) >= EXPECTED


@pytest.mark.parametrize("kind", [list, torch.tensor, np.array], ids=["lists", "tensors", "arrays"])
def test_a_batch_of_bare_ids(make, wordpiece, kind) -> None:
    batch = make(wordpiece)([kind(row) for row in ROWS])
    assert set(batch) >= EXPECTED
    assert batch["input_ids"].shape == batch["labels"].shape == (3, 42)


@pytest.mark.parametrize("mlm", [True, False])
@pytest.mark.parametrize("multiple", [8, 64])
def test_pad_to_multiple_of(make, wordpiece, examples, multiple, mlm) -> None:
    batch = make(wordpiece, mlm=mlm, pad_to_multiple_of=multiple)(examples)
    assert batch["input_ids"].shape == batch["labels"].shape == (3, -(-42 // multiple) * multiple)
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


@pytest.mark.parametrize("return_tensors", ["pt", "np"])
@pytest.mark.parametrize(
    ("mask_replace_prob", "random_replace_prob"), [(0.8, 0.1), (1.0, 0.0), (0.0, 1.0), (0.5, 0.4), (0.0, 0.0)]
)
def test_labels_are_the_ids_where_masked(
    make, wordpiece, return_tensors, mask_replace_prob, random_replace_prob
) -> None:
    ids = np.random.default_rng(0).integers(5, 45, (64, 128))
    set_seed(0)
    shares = {"mask_replace_prob": mask_replace_prob, "random_replace_prob": random_replace_prob}
    collator = make(wordpiece, mlm_probability=0.25, return_tensors=return_tensors, **shares)
    batch = {name: np.asarray(values) for name, values in collator([{"input_ids": row} for row in ids]).items()}
    masked = batch["labels"] != -100
    assert (batch["labels"][masked] == ids[masked]).all()
    assert (batch["input_ids"][~masked] == ids[~masked]).all()
    assert masked.mean() == pytest.approx(0.25, abs=0.02)
    became, were = batch["input_ids"][masked], ids[masked]
    became_mask, stayed = became == wordpiece.mask_token_id, became == were
    assert became_mask.mean() == pytest.approx(mask_replace_prob, abs=0.05)
    assert (~became_mask & ~stayed).mean() == pytest.approx(random_replace_prob, abs=0.05)


@pytest.mark.parametrize("shares", [(0.6, 0.5), (-0.1, 0.1), (1.1, 0.0), (0.5, -0.1)])
def test_shares_of_replacements_that_are_refused(make, wordpiece, shares) -> None:
    mask_replace_prob, random_replace_prob = shares
    with pytest.raises(ValueError, match="_replace_prob"):
        make(wordpiece, mask_replace_prob=mask_replace_prob, random_replace_prob=random_replace_prob)


@pytest.mark.parametrize("rate", [-0.1, 1.1, None])
def test_rates_that_are_refused(make, wordpiece, rate) -> None:
    with pytest.raises(ValueError, match="mlm_probability"):
        make(wordpiece, mlm_probability=rate)
    make(wordpiece, mlm=False, mlm_probability=rate)


def test_special_tokens_are_never_masked(make, wordpiece) -> None:
    special = [{"input_ids": [2, 5, 3, 0], "special_tokens_mask": [1, 0, 1, 1]}] * 50
    batch = make(wordpiece, mlm_probability=0.9)(special)
    assert (batch["labels"][:, [0, 2, 3]] == -100).all()
    assert "special_tokens_mask" not in batch


def test_token_type_ids_are_padded(make, wordpiece) -> None:
    batch = make(wordpiece)([{"input_ids": row, "token_type_ids": [1] * len(row)} for row in ROWS])
    assert batch["token_type_ids"].sum(1).tolist() == list(map(len, ROWS))


@pytest.mark.parametrize("return_tensors", ["pt", "np"])
@pytest.mark.parametrize("kind", [list, torch.tensor, np.array], ids=["lists", "tensors", "arrays"])
@pytest.mark.parametrize("label", ["next_sentence_label", "sentence_order_label"])
def test_a_label_of_the_sequence_is_kept(make, wordpiece, label, kind, return_tensors) -> None:
    rows = [{"input_ids": kind([2, 5, 3, 6, 3]), "token_type_ids": kind([0, 0, 0, 1, 1]), label: i} for i in (1, 0)]
    batch = make(wordpiece, return_tensors=return_tensors, pad_to_multiple_of=8)(rows)
    assert batch[label].tolist() == [1, 0]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 0, 0, 0]] * 2
    assert batch["input_ids"].shape == batch["labels"].shape == (2, 8)


@pytest.mark.parametrize("return_tensors", ["pt", "np"])
@pytest.mark.parametrize("kind", [list, torch.tensor, np.array], ids=["lists", "tensors", "arrays"])
@pytest.mark.parametrize("mlm", [True, False])
def test_examples_are_left_as_they_were(make, wordpiece, mlm, kind, return_tensors) -> None:
    names = ("input_ids", "attention_mask", "token_type_ids", "special_tokens_mask")
    columns = dict(zip(names, ([2, 5, 6, 3], [1] * 4, [0] * 4, [1, 0, 0, 1]), strict=True))
    rows = [{**{name: kind(values) for name, values in columns.items()}, "next_sentence_label": 1} for _ in range(2)]
    make(wordpiece, mlm=mlm, return_tensors=return_tensors)(rows)
    for row in rows:
        assert row.keys() == columns.keys() | {"next_sentence_label"}
        assert {name: list(map(int, row[name])) for name in names} == columns


def _collated(make, tokenizer, seed: int, examples: list, workers: int, **arguments: Any) -> list[list]:
    """The batches of a loader; an epoch is what ours asks for besides a seed."""
    collator = make(tokenizer, seed=seed, mlm_probability=0.5, **arguments)
    if make is DataCollatorForDynamicMasking:
        collator.set_epoch(0)
    loader = DataLoader(examples, batch_size=2, collate_fn=collator, num_workers=workers)
    return [[batch["input_ids"].tolist(), batch["labels"].tolist()] for batch in loader]


@pytest.mark.parametrize("return_tensors", ["pt", "np"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_seed_decides_the_masks(make, wordpiece, workers, return_tensors) -> None:
    examples = [{"input_ids": [2, *range(5, 45), 3]} for _ in range(6)]
    first, again, other = (
        _collated(make, wordpiece, seed, examples, workers, return_tensors=return_tensors) for seed in (42, 42, 43)
    )
    assert first == again
    assert first != other


def _takes_whole_words(make: Any) -> bool:
    return "whole_word_mask" in {field.name for field in dataclasses.fields(make)}


@pytest.mark.parametrize("return_tensors", ["pt", "np"])
@pytest.mark.parametrize("kind", [None, "pt", "np"], ids=["lists", "tensors", "arrays"])
def test_whole_words_of_a_tokenizer_with_offsets(make, wordpiece, kind, return_tensors) -> None:
    if not _takes_whole_words(make):
        pytest.skip("older versions of transformers have a class of its own for whole words")
    encoded = wordpiece("plays runs unbelievs quicks flowering the cat", return_offsets_mapping=True)
    words = encoded.word_ids()
    assert len(words) > len(set(words)) + 1, "words of several pieces"
    rows = [copy.deepcopy(encoded).convert_to_tensors(kind) for _ in range(64)]
    shares = {"mask_replace_prob": 1.0, "random_replace_prob": 0.0}  # all that the stock collator knows here
    set_seed(0)
    batch = make(wordpiece, whole_word_mask=True, mlm_probability=0.4, return_tensors=return_tensors, **shares)(rows)
    assert set(batch) >= EXPECTED
    assert "offset_mapping" not in batch
    for labels in np.asarray(batch["labels"]) != -100:
        masked = {word: {bool(on) for on, at in zip(labels, words, strict=True) if at == word} for word in set(words)}
        assert all(len(states) == 1 for states in masked.values())
        assert masked[None] == {False}
    with pytest.raises(ValueError, match="mlm"):
        make(wordpiece, whole_word_mask=True, mlm=False)


@pytest.mark.parametrize("kind", [int, np.int64, torch.tensor, float, bool], ids=lambda kind: kind.__name__)
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
    with pytest.raises(ValueError, match="pass them by name: `mlm=True`"):
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
