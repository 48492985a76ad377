"""Sorting within rows, against sorted lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_dynmask.masking.ranking import argsort_in_rows, lowest_in_rows, sum_before_in_rows

DRAWS = st.sampled_from([0, 1, 2, 2**31, 2**32 - 2, 2**32 - 1])  # some occur twice in a row
ROWS = st.lists(st.lists(st.tuples(DRAWS, st.booleans()), max_size=6), max_size=5)


def _numbered(rows: list[list]) -> tuple[np.ndarray, list]:
    return np.repeat(np.arange(len(rows)), list(map(len, rows))), [value for row in rows for value in row]


@pytest.mark.parametrize("dtype", [np.uint32, np.int64, np.float64])
@pytest.mark.parametrize("with_last", [False, True])
@given(values=ROWS)
def test_the_order_is_by_row_then_those_not_last_then_draw_then_index(values, with_last, dtype) -> None:
    rows, flat = _numbered(values)
    draws = np.array([draw for draw, _ in flat], dtype=dtype)
    is_last = np.array([last for _, last in flat], dtype=bool) if with_last else None
    keys = [(row, with_last and last, draw, i) for i, (row, (draw, last)) in enumerate(zip(rows, flat, strict=True))]
    assert argsort_in_rows(rows, draws, is_last).tolist() == [key[-1] for key in sorted(keys)]


def test_a_draw_of_minus_one_comes_first() -> None:
    assert argsort_in_rows(np.array([0, 0, 1, 1]), np.array([0, -1, 2**32 - 1, -1])).tolist() == [1, 0, 3, 2]


@given(values=st.lists(st.tuples(st.lists(DRAWS, unique=True), st.integers(0, 7)), max_size=5))
def test_the_lowest_of_each_row(values) -> None:
    rows, counts = [row for row, _ in values], np.array([count for _, count in values], dtype=np.int64)
    lengths = np.array(list(map(len, rows)), dtype=np.int64)
    draws = np.array([draw for row in rows for draw in row], dtype=np.int64)
    lowest = lowest_in_rows(draws, lengths, counts)
    assert lowest.tolist() == [draw in sorted(row)[:count] for row, count in values for draw in row]


@given(values=st.lists(st.lists(st.integers(0, 9)), max_size=5))
def test_the_sum_before_each_in_its_row(values) -> None:
    rows, flat = _numbered(values)
    before = sum_before_in_rows(np.array(flat, dtype=np.int64), rows.astype(np.int64))
    assert before.tolist() == [sum(row[:i]) for row in values for i in range(len(row))]
