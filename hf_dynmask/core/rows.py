"""Arithmetic on sequences that stand one behind the other in one flat array, their rows: no loop over rows or tokens.

`lengths`, int64 `[rows]`, says how many of the flat values belong to each row; some may have none. What looks like the
long way round is what numpy does fast: repeating is several times faster than looking up by row number, and
`reduceat` than `bincount`.
"""

from __future__ import annotations

import numpy as np


def positions_in_rows(lengths: np.ndarray) -> np.ndarray:
    """0, 1, 2, ... within each row: int64 `[values]`."""
    ends = lengths.cumsum()
    indices = np.arange(ends[-1] if len(ends) else 0)
    indices -= (ends - lengths).repeat(lengths)
    return indices


def row_starts(lengths: np.ndarray) -> np.ndarray:
    """Where each row that has a value begins: int64."""
    return (lengths.cumsum() - lengths)[lengths > 0]


def segment_reduce(ufunc: np.ufunc, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """What `ufunc`, such as `np.add`, makes of each row: `[rows]`, of the values' dtype; 0 for a row without values.

    A row's result depends on its own values alone, floats' rounding included.
    """
    starts = lengths.cumsum() - lengths
    filled = lengths > 0
    if filled.all() and len(lengths):
        return ufunc.reduceat(values, starts)
    results = np.zeros(len(lengths), dtype=values.dtype)
    if filled.any():
        results[filled] = ufunc.reduceat(values, starts[filled])
    return results


def count_per_row(indices: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How many of the flat `indices`, int64 in rising order, lie in each row, which ends at `ends`: int64 `[rows]`."""
    counts = indices.searchsorted(ends)
    counts[1:] -= counts[:-1]
    return counts
