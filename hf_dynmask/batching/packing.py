"""Which sequences share a row, so that little of a batch is padding."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from typing import NamedTuple

import numpy as np


class Packing(NamedTuple):
    """How the batches of a model are laid out, with several sequences in a row. Made by [`packed_attention`].

    Attributes:
        one_row: whether the batch is one row without padding, as FlashAttention takes it; False for rows of about the
            same length, whose sequences the model separates with an attention mask.
        position_ids_start: the position of the first token of each sequence.
    """

    one_row: bool
    position_ids_start: int = 0

    @property
    def description(self) -> str:
        """The layout, for the summary of a collator."""
        return "one row without padding" if self.one_row else "several sequences in a row"


def best_fit_decreasing(lengths: np.ndarray, capacity: int) -> np.ndarray:
    """Assigns sequences to rows: the longest first, each to the fullest row that has space for it, or to a new row.

    The number of rows is asymptotically at most 11/9 of the smallest possible number (Johnson et al. 1974, "Worst-case
    performance bounds for simple one-dimensional packing algorithms").

    Args:
        lengths: int64 `[sequences]`, at most `capacity` each.
        capacity: the number of tokens of a row.

    Returns:
        The row of each sequence, int64 `[sequences]`, from 0. Rows are numbered in the order in which they begin, which
        is by falling length of their first sequence.
    """
    rows = np.zeros(len(lengths), dtype=np.int64)
    rows_with: defaultdict[int, list[int]] = defaultdict(list)  # the rows with this much space
    spaces: list[int] = []  # the keys of `rows_with` that have rows, in rising order
    count = 0
    for sequence in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[sequence])
        best = bisect_left(spaces, length)
        if best < len(spaces):
            space = spaces[best]
            row = rows_with[space].pop()
            if not rows_with[space]:
                del spaces[best]
        else:
            space, row, count = capacity, count, count + 1
        rows[sequence] = row
        rest = space - length
        if not rows_with[rest]:
            insort(spaces, rest)
        rows_with[rest].append(row)
    return rows
