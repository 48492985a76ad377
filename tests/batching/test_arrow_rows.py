"""Rows that are read from Arrow's memory are those of the dataset, and so are the masks."""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
from functools import partial
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset, Features, LargeList, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.corpora import example
from support.extended import every
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForMaskedLM, DataCollatorForLanguageModeling, Trainer, TrainingArguments

from hf_dynmask import (
    ArrowRows,
    DataCollatorForDynamicMasking,
    DataCollatorForSpanCorruption,
    MaskRateCallback,
    linear_schedule,
)
from hf_dynmask.batching.arrow import table_rows

Sequence = getattr(datasets, "List", datasets.Sequence)  # its name since datasets 4
EXAMPLES = 24


def _row(index: int) -> dict[str, list[int]]:
    ids = example(index)["input_ids"]
    special = [int(position % 7 == index % 7) for position in range(len(ids))]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "special_tokens_mask": special}


def _rows() -> list[dict[str, list[int]]]:
    return list(map(_row, range(EXAMPLES)))


def _on_disk(rows: Dataset, folder: Any) -> Dataset:
    rows.save_to_disk(folder)
    return datasets.load_from_disk(folder)


def _large(rows: Dataset) -> Dataset:
    return rows.cast(Features({name: LargeList(Value("int64")) for name in rows.column_names}))


def _narrow(rows: Dataset) -> Dataset:
    return rows.cast(Features({name: Sequence(Value("int16")) for name in rows.column_names}))


FORMS = {
    "in memory": lambda rows, folder: rows,
    "on disk": _on_disk,
    "shuffled": lambda rows, folder: rows.shuffle(seed=1),
    "selected, on disk": lambda rows, folder: _on_disk(rows, folder).select([3, 1, 1, 20, 7, 8]),
    "contiguous": lambda rows, folder: rows.select(range(5, 17)),
    "split": lambda rows, folder: rows.train_test_split(0.5, seed=0)["test"],
    "concatenated": lambda rows, folder: datasets.concatenate_datasets([rows.select(range(9)), rows.select([8, 2])]),
    "large lists": lambda rows, folder: _large(rows),
    "narrow integers": lambda rows, folder: _narrow(rows),
    "formatted": lambda rows, folder: rows.with_format("numpy"),
    "with text": lambda rows, folder: rows.add_column("text", ["a"] * len(rows)).remove_columns("special_tokens_mask"),
}


@pytest.fixture(params=every(4, FORMS))
def rows(request, tmp_path) -> Dataset:
    return FORMS[request.param](Dataset.from_list(_rows()), str(tmp_path / "rows"))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | torch.Tensor) else value


def test_rows_are_those_of_the_dataset(rows) -> None:
    fast = ArrowRows(rows)
    assert len(fast) == len(rows)
    assert fast.column_names == rows.column_names
    expected = list(rows.with_format(None))
    indices = [len(rows) - 1, 0, 2, 2, -1]
    for one, index in zip(fast.__getitems__(indices), indices, strict=True):
        assert {name: _plain(value) for name, value in one.items()} == expected[index]
    assert [{name: _plain(value) for name, value in fast[i].items()} for i in range(len(rows))] == expected
    assert all(isinstance(fast[0][name], np.ndarray) for name in rows.column_names if name != "text")


@pytest.mark.parametrize(
    "options", every(3, [{}, {"strategy": "span"}, {"exact_count": True}, {"padding_free": True}]), ids=str
)
def test_masks_are_the_same(rows, wordpiece, options) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, 0.3, seed=1, **options)
    plain = rows.with_format(None).remove_columns([name for name in rows.column_names if name == "text"])
    fast, indices = ArrowRows(plain), [0, 5, 2, 3]
    expected = collator([plain[i] for i in indices], epoch=2)
    table = plain.with_format("arrow")[indices]
    at_once = (fast.__getitems__(indices), plain[indices], table, table.combine_chunks().to_batches()[0])
    for features in at_once:
        batch = collator(features, epoch=2)
        assert batch.keys() == expected.keys()
        assert all(np.array_equal(batch[name], expected[name]) for name in batch)


def test_columns_of_a_tokenizer_and_of_arrays(wordpiece) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, 0.5, seed=1)
    texts = ["the cat sat on a mat", "the dog ran"]
    expected = collator([wordpiece(text) for text in texts], epoch=0)
    padded = wordpiece(texts, padding=True, return_tensors="np")
    for columns in (wordpiece(texts), padded, {"input_ids": padded["input_ids"]}):
        assert torch.equal(collator(columns, epoch=0)["input_ids"], expected["input_ids"])


def test_span_corruption_takes_columns(with_sentinels) -> None:
    collator = DataCollatorForSpanCorruption(with_sentinels, seed=1)
    rows = [{"input_ids": example(index)["input_ids"]} for index in range(3)]
    table = pa.Table.from_pylist(rows)
    assert torch.equal(collator(rows, epoch=0)["labels"], collator(table, epoch=0)["labels"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"input_ids": [[5, 6], [7]], "attention_mask": [[1, 1]]}, "`input_ids` has 2 rows and `attention_mask` has 1"),
        ({"input_ids": []}, "must be a list of at least one example, .* got an empty batch"),
        ({}, r"must have `input_ids`, but have \[\]"),
        ({"text": ["a", "b"]}, r"must have `input_ids`, but have \['text'\]"),
        ({"input_ids": [[5, 6]], "x": 5}, "must have one value per example in each column, but `x` is a int"),
        ((number for number in [5]), "got one generator"),
        (5, "got one int"),
        (None, "got one NoneType"),
        ({"input_ids": [5, 6]}, "must be a list of at least one example, .* got one dict"),
        (pa.table({"input_ids": pa.array([], pa.list_(pa.int64()))}), "got an empty batch"),
        (pa.table({"text": ["a"]}), r"must have `input_ids`, but have \['text'\]"),
    ],
)
def test_bad_columns_are_refused(wordpiece, columns, message) -> None:
    with pytest.raises(ValueError, match=message):
        DataCollatorForDynamicMasking(wordpiece)(columns)


numbers = st.one_of(
    st.tuples(st.just(pa.int64()), st.just(st.integers(-(2**62), 2**62))),
    st.tuples(st.just(pa.uint8()), st.just(st.integers(0, 255))),
    st.tuples(st.just(pa.float32()), st.just(st.floats(-9, 9, width=16))),
    st.tuples(st.just(pa.float64()), st.just(st.floats(-9, 9, width=16))),
    st.tuples(st.just(pa.bool_()), st.just(st.booleans())),
    st.tuples(st.just(pa.string()), st.just(st.text(max_size=3))),
)


@st.composite
def columns(draw: Any) -> pa.ChunkedArray:
    """A column of numbers, texts or lists of them, with or without missing values, in chunks, sliced."""
    type_, values = draw(numbers)
    for _ in range(draw(st.integers(0, 2))):
        size = draw(st.sampled_from([None, 0, 2]))
        limits = {"max_size": 3} if size is None else {"min_size": size, "max_size": size}
        makes = [pa.list_, pa.large_list] if size is None else [pa.list_, partial(pa.list_, list_size=size)]
        type_, values = draw(st.sampled_from(makes))(type_), st.lists(values, **limits)
        if draw(st.integers(0, 4)) == 0:
            values = st.none() | values
    chunks = draw(st.lists(st.lists(values, max_size=4), min_size=1, max_size=3))
    column = pa.chunked_array([pa.array(chunk, type_) for chunk in chunks], type_)
    return column.slice(draw(st.integers(0, 2)), draw(st.integers(0, 9)))


def _equal(ours: Any, expected: Any) -> bool:
    if not isinstance(ours, np.ndarray):
        return bool(ours == expected)
    return len(ours) == len(expected) and bool(np.array_equal(ours, expected) or not len(ours))


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(columns())
def test_any_column_keeps_its_values(column) -> None:
    (rows,) = table_rows(pa.table({"column": column})).values()
    expected = column.to_pylist()
    assert len(rows) == len(expected)
    assert all(map(_equal, rows, expected))


@pytest.mark.parametrize("start", every(2, multiprocessing.get_all_start_methods()))
def test_workers_read_them(wordpiece, tmp_path, start) -> None:
    rows = _on_disk(Dataset.from_list(_rows()), str(tmp_path / "rows"))
    collator = DataCollatorForDynamicMasking(wordpiece, 0.3, seed=1)
    collator.set_epoch(1)
    options = {"num_workers": 2, "multiprocessing_context": start}
    batches = list(DataLoader(ArrowRows(rows), batch_size=5, collate_fn=collator, **options))
    expected = DataLoader(rows, batch_size=5, collate_fn=collator)
    assert all(torch.equal(one["input_ids"], own["input_ids"]) for one, own in zip(batches, expected, strict=True))


def test_a_pickle_reads_the_same() -> None:
    rows = ArrowRows(Dataset.from_list(_rows()))
    assert pickle.loads(pickle.dumps(rows))[3]["input_ids"].tolist() == rows[3]["input_ids"].tolist()


@pytest.mark.parametrize(
    ("options", "workers"), every(2, list(itertools.product([{}, {"group_by_length": True}], [0, 2]))), ids=str
)
def test_training_is_the_same(wordpiece, tmp_path, options, workers) -> None:
    """With the default arguments of `Trainer`, which drop unused columns."""
    rows = Dataset.from_list(_rows()).add_column("text", ["a"] * EXAMPLES).shuffle(seed=0)
    if "group_by_length" in options and "train_sampling_strategy" in TrainingArguments.__dataclass_fields__:
        options = {"train_sampling_strategy": "group_by_length"}
    losses = [_losses(wordpiece, data, str(tmp_path), workers, options) for data in (rows, ArrowRows(rows))]
    assert losses[0] == losses[1]


def _losses(wordpiece, data: Any, folder: str, workers: int, options: dict[str, Any]) -> list[float]:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    arguments = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1}
    trainer = Trainer(
        BertForMaskedLM(BertConfig(vocab_size=len(wordpiece), **sizes)),
        TrainingArguments(
            folder,
            per_device_train_batch_size=4,
            num_train_epochs=2,
            dataloader_num_workers=workers,
            eval_strategy="epoch",
            dataloader_pin_memory=False,
            **arguments,
            **options,
        ),
        DataCollatorForDynamicMasking(wordpiece, seed=7),
        data,
        data,
        callbacks=[MaskRateCallback(linear_schedule(0.5, 0.1), 0.15, audit="every_step")],
    )
    trainer.train()
    return [entry[name] for entry in trainer.state.log_history for name in ("loss", "eval_loss") if name in entry]


def test_other_collators_take_them(wordpiece) -> None:
    rows = Dataset.from_list(_rows()).remove_columns("special_tokens_mask")
    stock = DataCollatorForLanguageModeling(wordpiece, mlm=False)
    fast, slow = (stock(data.__getitems__([0, 1])) for data in (ArrowRows(rows), rows))
    assert all(torch.equal(fast[name], slow[name]) for name in slow)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (lambda rows: rows.to_iterable_dataset(), "must be a `datasets.Dataset`, .* Pass a stream to `Trainer`"),
        (
            lambda rows: datasets.DatasetDict(train=rows),
            r"must be a `datasets.Dataset`, .* one split, such as `dataset\[",
        ),
        (lambda rows: list(rows), r"got a `builtins.list`\. Pass `datasets.Dataset.from_list\(examples\)`"),
        (lambda rows: rows.with_transform(dict), "must have no transform, which would be ignored, but has one"),
    ],
    ids=["stream", "dict", "list", "transform"],
)
def test_what_it_cannot_read_is_refused(dataset, message) -> None:
    with pytest.raises(ValueError, match=message):
        ArrowRows(dataset(Dataset.from_list(_rows())))
