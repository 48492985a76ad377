from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict

from hf_dynmask.strategies.frequencies import token_counts

ROWS = [[5, 6, 6], [], [7]]
MANY = 1500  # examples, more than are counted at once


def _examples(*rows: Any, column: str = "input_ids") -> list[dict[str, Any]]:
    return [{column: row} for row in rows]


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor, lambda row: np.array(row, dtype=np.uint16)])
def test_every_kind_of_row_is_counted(kind) -> None:
    rows = [kind(row) for row in ROWS if row] * MANY
    assert token_counts(_examples(*rows), 9).tolist() == [0] * 5 + [MANY, 2 * MANY, MANY, 0]


def test_a_dataset_without_an_iterator_is_counted() -> None:
    class Indexed:
        def __getitem__(self, index: int) -> dict[str, list[int]]:
            return {"input_ids": ROWS[index]}

    assert token_counts(Indexed(), 9).tolist() == [0, 0, 0, 0, 0, 1, 2, 1, 0]


def test_without_an_example_nothing_is_counted() -> None:
    assert token_counts([], 3).tolist() == [0, 0, 0]
    assert token_counts(_examples([]), 3).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("the cat", "`dataset` must be tokenized examples, mappings with the column `input_ids`, but got type str"),
        (3, "`dataset` must be tokenized examples, .* but got type int"),
        (None, "`dataset` must be tokenized examples, .* but got type NoneType"),
        (["the cat"], r"`dataset` must be tokenized examples, .* but example 0 is of type str\. Tokenize"),
        ([[5, 6]], r"`dataset` must be tokenized examples, .* but example 0 is of type list\."),
        ({"input_ids": ROWS}, r"`dataset` must be tokenized examples, .* but got type dict"),
        (_examples([5], column="ids"), r"`column` must be a column of `dataset`, but got 'input_ids', and .*\['ids'\]"),
        (Dataset.from_dict({"ids": ROWS}), r"`column` must be a column of `dataset`, .*\['ids'\]"),
        ([*_examples([5]) * MANY, {"text": "a"}], rf"`column` must be .* example {MANY} has \['text'\]"),
        (_examples([5], [5.0]), "`input_ids` must be integers, one for each token, but example 1 has float64"),
        (_examples(["the"]), "`input_ids` must be integers, .* but example 0 has <U3 of 1 dimensions"),
        (_examples([[5, 6]]), "`input_ids` must be integers, .* but example 0 has int64 of 2 dimensions"),
        (_examples([5], 7), "`input_ids` must be integers, .* but example 1 has int64 of 0 dimensions"),
        (_examples(None), "`input_ids` must be integers, .* but example 0 has object of 0 dimensions"),
        (_examples([[5], [6, 7]]), "`input_ids` must be integers, .* but example 0 has a list that is not an array"),
        (_examples([True]), "`input_ids` must be integers, .* but example 0 has bool"),
        (_examples([5, -100]), r"`input_ids` must be non-negative, but got -100\."),
        (_examples([5], [9]), "`vocab_size` must exceed every token id, but got 9 and the id 9"),
    ],
)
def test_what_cannot_be_counted_is_refused(dataset, message) -> None:
    with pytest.raises(ValueError, match=message):
        token_counts(dataset, 9)


def test_a_dataset_of_splits_is_refused() -> None:
    with pytest.raises(ValueError, match=r'but got type DatasetDict.* Pass one split, such as `dataset\["train"\]`'):
        token_counts(DatasetDict(train=Dataset.from_dict({"input_ids": ROWS})), 9)


def test_a_streamed_dataset_without_the_column_is_refused() -> None:
    with pytest.raises(ValueError, match="`column` must be a column of `dataset`, but got 'ids'"):
        token_counts(Dataset.from_dict({"input_ids": ROWS}).to_iterable_dataset(), 9, "ids")


@pytest.mark.parametrize("size", [0, -1, 2.5, "9", None])
def test_sizes_that_are_none(size) -> None:
    with pytest.raises(ValueError, match="`vocab_size` must be an integer of at least 1, but got"):
        token_counts(_examples([0]), size)
