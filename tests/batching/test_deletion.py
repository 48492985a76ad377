"""Rows without some of their tokens, against lists of Python."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_dynmask.batching.deletion import Repadding, delete_tokens
from hf_dynmask.batching.inner_batch import read_rows

FILLS = {"input_ids": 9, "special_tokens_mask": 1}
TOKENS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=5, max_size=5)  # padding, deleted


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    tokens=st.lists(TOKENS, min_size=1, max_size=4),
    side=st.sampled_from(["left", "right"]),
    multiple=st.sampled_from([None, 1, 2, 4]),
    kind=st.sampled_from(["pt", "np"]),
)
def test_padding_anywhere_is_dropped_and_added_on_one_side(tokens, side, multiple, kind) -> None:
    padding = np.array([[pad for pad, _ in row] for row in tokens])
    deleted = np.array([[gone for _, gone in row] for row in tokens]) & ~padding
    ids = np.arange(10, 10 + padding.size).reshape(padding.shape)
    columns = {
        "input_ids": np.where(padding, 7, ids),
        "position_ids": ids + 100,
        "attention_mask": (~padding).astype(int),
    }
    batch = {name: torch.from_numpy(values) if kind == "pt" else values for name, values in columns.items()}
    rows = read_rows(batch, ()).with_padding(padding.reshape(-1))
    delete_tokens(batch, rows, np.flatnonzero(deleted), ["position_ids"], Repadding(FILLS, side, multiple))

    kept = [ids[i][~padding[i] & ~deleted[i]].tolist() for i in range(len(ids))]
    length = max(1, *map(len, kept))
    length = min(5, -(-length // (multiple or 1)) * (multiple or 1))
    begins, ends = (any(padding[i, at] for i in range(len(ids)) if not padding[i].all()) for at in (0, -1))
    left = side == "left" if begins == ends else begins
    fill = 7 if padding.any() else 9
    position_fill = int(ids[padding][0]) + 100 if padding.any() else 0
    for i, row in enumerate(kept):
        positions = (ids[i][~padding[i]] + 100).tolist()[: len(row)]
        for name, values, pad in (
            ("input_ids", row, fill),
            ("position_ids", positions, position_fill),
            ("attention_mask", [1] * len(row), 0),
        ):
            added = [pad] * (length - len(row))
            assert batch[name][i].tolist() == (added + values if left else values + added)


def test_the_shape_of_a_batch_without_tokens_stays() -> None:
    for shape in ((2, 0), (0, 3), (2, 2, 0)):
        batch = {"input_ids": np.zeros(shape, dtype=np.int64)}
        delete_tokens(batch, read_rows(batch, ()), np.array([], dtype=np.int64), [], Repadding({}, "right", None))
        assert batch["input_ids"].shape[:-1] == shape[:-1]
        assert batch["input_ids"].size == 0


def test_without_a_pad_token_rows_keep_one_length() -> None:
    batch = {"input_ids": np.array([[5, 6], [7, 8]])}
    rows, repadding = read_rows(batch, ()), Repadding({"input_ids": None}, "right", None)
    with pytest.raises(ValueError, match="`tokenizer` must have a pad token"):
        delete_tokens(batch, rows, np.array([0]), [], repadding)
    delete_tokens(batch, rows, np.array([0, 3]), [], repadding)
    assert batch["input_ids"].tolist() == [[6], [7]]
