from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import oracle

from hf_dynmask.core.draws import (
    Purpose,
    as_fraction,
    as_index,
    below,
    draw,
    draw_in_rows,
    example_hashes,
    stream_keys,
)

IDS = st.lists(st.integers(0, 300_000), min_size=1, max_size=40)


def _keys(seed: int, rows: list[list[int]], pattern: int) -> np.ndarray:
    positions = np.concatenate([np.arange(len(row), dtype=np.uint32) for row in rows])
    return stream_keys(seed, example_hashes(np.concatenate(rows), positions, np.cumsum([*map(len, rows)])), pattern)


@settings(derandomize=True, deadline=None)
@given(st.integers(), st.lists(IDS, min_size=1, max_size=4), st.integers(0, 2**63), st.sampled_from(Purpose))
def test_draws_equal_those_of_the_oracle(seed: int, rows: list[list[int]], pattern: int, purpose: Purpose) -> None:
    keys = _keys(seed, rows, pattern)
    assert keys.tolist() == [oracle.key(seed, row, pattern) for row in rows]
    positions = np.arange(7, dtype=np.uint32)
    expected = [[oracle.draw(int(key), i, purpose) for i in range(7)] for key in keys]
    assert [draw(key[None], positions, purpose).tolist() for key in keys] == expected
    lengths = np.full(len(keys), 7)
    assert draw_in_rows(keys, lengths, np.tile(positions, len(keys)), purpose).tolist() == [
        number for row in expected for number in row
    ]


@settings(derandomize=True, deadline=None)
@given(IDS, st.data())
def test_an_example_that_differs_in_one_token_has_another_hash(row: list[int], data: st.DataObject) -> None:
    other = list(row)
    other[data.draw(st.integers(0, len(row) - 1))] += data.draw(st.integers(1, 300_000))
    assert _keys(0, [row], 0) != _keys(0, [other], 0)


def _numbers(seeds: range, patterns: range, purpose: Purpose = Purpose.SELECTION) -> np.ndarray:
    """[seeds, patterns, examples, positions] of draws."""
    examples = np.arange(32, dtype=np.uint64)
    keys = np.stack([[stream_keys(seed, examples, pattern) for pattern in patterns] for seed in seeds])
    flat = draw_in_rows(
        keys.ravel(), np.full(keys.size, 64), np.tile(np.arange(64, dtype=np.uint32), keys.size), purpose
    )
    return as_fraction(flat).reshape(*keys.shape, 64)


@pytest.mark.parametrize("axis", range(4), ids=["seeds", "patterns", "examples", "positions"])
def test_neighbours_are_unrelated(axis: int) -> None:
    numbers = np.moveaxis(_numbers(range(16), range(16)), axis, 0)
    assert stats.pearsonr(numbers[:-1].ravel(), numbers[1:].ravel()).pvalue > 1e-4
    table = np.histogram2d(numbers[:-1].ravel(), numbers[1:].ravel(), bins=16, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(table.ravel()).pvalue > 1e-4


def test_purposes_are_unrelated() -> None:
    streams = [_numbers(range(8), range(8), purpose).ravel() for purpose in Purpose]
    for i, first in enumerate(streams):
        for second in streams[:i]:
            assert stats.pearsonr(first, second).pvalue > 1e-4


def test_a_million_streams_share_no_key() -> None:
    keys = np.concatenate([stream_keys(0, np.arange(10_000, dtype=np.uint64), pattern) for pattern in range(100)])
    assert len(np.unique(keys)) == len(keys)


@settings(derandomize=True, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_below_is_monotone_in_the_odds_and_right_at_both_ends(a: float, b: float) -> None:
    numbers = np.array([0, 1, 2**31, 2**32 - 1], dtype=np.uint32)
    low, high = sorted((a, b))
    assert not (below(numbers, low) & ~below(numbers, high)).any()
    assert below(numbers, np.full(4, low)).tolist() == below(numbers, low).tolist()
    assert below(numbers, 1.0).all()
    assert not below(numbers, 0.0).any()


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 300_000))
def test_indices_are_in_range(size: int) -> None:
    index = as_index(np.array([0, 2**31, 2**32 - 1], dtype=np.uint32), size)
    assert index.tolist() == [0, size // 2, size - 1]
