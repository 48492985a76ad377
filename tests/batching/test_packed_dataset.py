"""Packing a dataset loses, cuts and mixes nothing."""

from __future__ import annotations

import itertools
import os
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import Dataset

from hf_dynmask import ArrowRows, pack_dataset
from hf_dynmask.batching.packing import best_fit_decreasing

COUNT = 90


def _row(index: int) -> dict[str, Any]:
    length = 1 + index * 7 % 23
    ids = [5 + (index * 31 + position) % 2000 for position in range(length)]
    return {
        "input_ids": ids,
        "labels": [-100 if id_ % 5 == 0 else id_ for id_ in ids],
        "bbox": [[id_, 1] for id_ in ids],
    }


def _rows() -> Dataset:
    return Dataset.from_list(list(map(_row, range(COUNT))))


def _on_disk(rows: Dataset, folder: Any) -> Dataset:
    rows.save_to_disk(folder)
    return datasets.load_from_disk(folder)


FORMS = {
    "in memory": lambda rows, folder: rows,
    "on disk": _on_disk,
    "shuffled": lambda rows, folder: _on_disk(rows, folder).shuffle(seed=1),
    "selected": lambda rows, folder: rows.select(range(3, 80, 2)),
    "concatenated": lambda rows, folder: datasets.concatenate_datasets([rows, rows.select(range(5))]),
    "numpy": lambda rows, folder: rows.with_format("numpy"),
}


def _sequences(packs: Dataset, name: str) -> list[Any]:
    """The values of each sequence, in the order of the packs."""
    return [
        pack[name][end - length : end]
        for pack in packs
        for end, length in zip(np.cumsum(pack["seq_lengths"]), pack["seq_lengths"], strict=True)
    ]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("max_length", [23, 64])
def test_every_sequence_is_in_one_pack_whole(tmp_path, name, max_length) -> None:
    rows = FORMS[name](_rows(), tmp_path / "rows")
    packs = pack_dataset(rows, max_length)
    plain = rows.with_format(None)
    for column in rows.column_names:
        found, expected = _sequences(packs, column), list(plain[column])
        assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert all(positions == list(range(len(positions))) for positions in _sequences(packs, "position_ids"))
    assert max(map(len, packs["input_ids"])) <= max_length
    lengths = np.array(list(map(len, plain["input_ids"])))
    assert len(packs) == best_fit_decreasing(lengths, max_length).max() + 1
    assert packs.column_names == [*rows.column_names, "position_ids", "seq_lengths"]
    assert bool(packs.cache_files) == bool(rows.cache_files)


def test_a_sequence_keeps_its_columns_together() -> None:
    packs = pack_dataset(_rows(), 40)
    columns = zip(*(_sequences(packs, name) for name in ("input_ids", "labels", "bbox")), strict=True)
    found = [dict(zip(("input_ids", "labels", "bbox"), values, strict=True)) for values in columns]
    assert sorted(found, key=repr) == sorted(map(_row, range(COUNT)), key=repr)


def test_it_is_the_same_again_and_in_several_processes(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        os, "environ", os.environ
    )  # `datasets` replaces it with a copy, where libraries have it already
    rows = _on_disk(_rows(), tmp_path / "rows")
    datasets.disable_caching()
    try:
        packs, again, divided = pack_dataset(rows, 40), pack_dataset(rows, 40), pack_dataset(rows, 40, num_proc=2)
    finally:
        datasets.enable_caching()
    assert packs[:] == again[:] == divided[:]


def test_many_batches_of_packs(monkeypatch) -> None:
    expected = pack_dataset(_rows(), 40)[:]
    monkeypatch.setattr("hf_dynmask.batching.packed_dataset._WRITTEN_AT_ONCE", 3)
    monkeypatch.setattr("hf_dynmask.batching.packed_dataset._READ_AT_ONCE", 7)
    assert pack_dataset(_rows(), 40)[:] == expected


def test_packs_are_read_as_views_of_arrow() -> None:
    packs = pack_dataset(_rows(), 40)
    for read, pack in itertools.zip_longest(ArrowRows(packs), packs):
        assert {name: values.tolist() for name, values in read.items()} == pack


def test_columns_outside_the_format_are_left_out() -> None:
    rows = _rows().add_column("text", ["a"] * COUNT)
    packs = pack_dataset(rows.with_format("numpy", columns=["input_ids"]), 40)
    assert packs.column_names == ["input_ids", "position_ids", "seq_lengths"]


@pytest.mark.parametrize(
    ("rows", "max_length", "message"),
    [
        (lambda: pack_dataset(_rows(), 23), 40, "`dataset` must not be packed yet, but has `seq_lengths`"),
        (
            lambda: pack_dataset(_rows(), 40).remove_columns("seq_lengths"),
            40,
            "`dataset` must not be packed yet, but has `position_ids` that",
        ),
        (lambda: Dataset.from_dict({"input_ids": [[5], None]}), 40, "must have token ids in .* but example 1 has none"),
        (lambda: ArrowRows(_rows()), 40, "`dataset` must be a `datasets.Dataset`.* Pass its `dataset`"),
        (lambda: _rows(), 22, "`max_length` must be at least 23, .* but got 22"),
        (lambda: _rows(), 0, "`max_length` must be an integer of at least 1"),
        (lambda: _rows().select([]), 40, "`dataset` must have at least one example, but is empty"),
        (
            lambda: _rows().remove_columns("input_ids"),
            40,
            r"must have `input_ids`, but has \['labels', 'bbox'\]",
        ),
        (
            lambda: _rows().add_column("text", ["a"] * COUNT),
            40,
            'but `text` does not. Remove it .*remove_columns."text"',
        ),
        (
            lambda: _rows().add_column("kind", [3] * COUNT),
            40,
            "one value per token in each column, but `kind`",
        ),
        (lambda: _rows().add_column("pair", [[1, 2]] * COUNT), 40, "but `pair` does not"),
        (lambda: _rows().to_iterable_dataset(), 40, "`dataset` must be a `datasets.Dataset`, but got a .* stream"),
        (lambda: datasets.DatasetDict({"train": _rows()}), 40, "`dataset` must be a `datasets.Dataset`.* one split"),
    ],
    ids=[
        "packed",
        "one token each",
        "no ids at all",
        "rows",
        "long",
        "zero",
        "empty",
        "no ids",
        "text",
        "class",
        "other length",
        "stream",
        "splits",
    ],
)
def test_what_cannot_be_packed_is_refused(rows, max_length, message) -> None:
    with pytest.raises(ValueError, match=message):
        pack_dataset(rows(), max_length)
