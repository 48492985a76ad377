"""Sorting within rows.

One integer key for all rows sorts several times faster than a key for the row and another for the draw.
"""

from __future__ import annotations

import numpy as np

from hf_dynmask.core.rows import positions_in_rows


def argsort_in_rows(rows: np.ndarray, draws: np.ndarray, is_last: np.ndarray | None = None) -> np.ndarray:
    """The stable order by row, then by draw: int64 `[n]`.

    Args:
        rows: int64 `[n]`, below 2**30.
        draws: `[n]`, uint32, integers from -1 to 2**32 - 1, or floats.
        is_last: bool `[n]`, True for values that follow all others of their row; None if there are none.
    """
    if draws.dtype.kind == "f":
        return np.lexsort((draws, rows) if is_last is None else (draws, is_last, rows))
    keys = (rows << 33) + draws
    if is_last is not None:
        keys += is_last.astype(np.int64) << 32
    return keys.argsort(kind="stable")


def lowest_in_rows(draws: np.ndarray, lengths: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """True for the lowest `counts[i]` draws of each row `i`: bool `[n]`.

    Args:
        draws: integers `[n]`, from -1 to 2**32 - 1, row by row.
        lengths: int64 `[rows]`, the number of draws of each row.
        counts: int64 `[rows]`.
    """
    lowest = np.zeros(len(draws), dtype=bool)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    lowest[argsort_in_rows(rows, draws)] = positions_in_rows(lengths) < np.repeat(counts, lengths)
    return lowest


def sum_before_in_rows(sizes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The sum of the sizes before each one in its row: int64 `[n]`, from int64 `[n]` each. `rows` must be sorted."""
    before = np.cumsum(sizes) - sizes
    return before - before[np.searchsorted(rows, rows)]
