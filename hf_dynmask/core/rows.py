"""Arithmetic on rows: sequences end to end in one flat array. No function loops over rows or tokens.

`lengths`, int64 `[rows]`, is the number of values of each row, which may be 0. Some functions avoid a shorter
expression that is slower: `repeat` is several times faster than an index by row number, and `reduceat` than `bincount`.
"""

from __future__ import annotations

import numpy as np


def positions_in_rows(lengths: np.ndarray) -> np.ndarray:
    """0, 1, 2, ... within each row: int64 `[values]`."""
    ends = lengths.cumsum()
    indices = np.arange(ends[-1] if len(ends) else 0)
    indices -= (ends - lengths).repeat(lengths)
    return indices


def repeat_rows(lengths: np.ndarray, times: int) -> np.ndarray:
    """The indices of the values of all rows, each row repeated in place: int64 `[times * values]`."""
    repeated = lengths.repeat(times)
    return (lengths.cumsum() - lengths).repeat(times).repeat(repeated) + positions_in_rows(repeated)


def row_starts(lengths: np.ndarray) -> np.ndarray:
    """Where each row that has a value starts: int64."""
    return (lengths.cumsum() - lengths)[lengths > 0]


def segment_reduce(ufunc: np.ufunc, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Reduces each row by `ufunc`, such as `np.add`: `[rows]`, of the dtype of the values; 0 for a row without values.

    The result of a row depends only on its own values, including the rounding of floats.
    """
    starts = lengths.cumsum() - lengths
    if len(lengths) and np.minimum.reduce(lengths) > 0:
        return ufunc.reduceat(values, starts)
    results = np.zeros(len(lengths), dtype=values.dtype)
    filled = lengths > 0
    if filled.any():
        results[filled] = ufunc.reduceat(values, starts[filled])
    return results


def count_flags(flags: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The number of flags, bool `[values]`, that are True in each row: int64 `[rows]`."""
    return segment_reduce(np.add, flags.astype(np.int64), lengths)


def count_per_row(indices: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The number of flat `indices`, int64 in rising order, in each row, which ends at `ends`: int64 `[rows]`."""
    counts = indices.searchsorted(ends)
    counts[1:] -= counts[:-1]
    return counts
