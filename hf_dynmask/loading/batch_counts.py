"""Counts the tokens of batches where they are collated, and sums them in the process that uses the batches.

A batch is collated ahead of its use, often in a worker. A running total would contain batches that are not used yet. So
the counts of each batch are stored in shared memory under its number, and the process that uses the batches adds them
up one by one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hf_dynmask.core.shared_memory import SharedArray
from hf_dynmask.loading.batch_position import BatchPosition

_ITERATIONS = 4  # of a loader whose batches have slots of their own, as other code may iterate it at any time
_UNKNOWN = -1


class Counts(NamedTuple):
    """The counts of a batch, or of several.

    Attributes:
        masked: masked tokens.
        maskable: tokens that may be masked.
        labels: tokens with a label; below 0 if the collator makes no labels.
        padding: padding tokens of the input, as laid out.
        tokens: tokens of the input, as laid out, with padding.
        rows: rows of the input.
    """

    masked: int = 0
    maskable: int = 0
    labels: int = 0
    padding: int = 0
    tokens: int = 0
    rows: int = 0


class _Recorder(threading.local):
    """Receives the counts of the batch that this thread is collating.

    Attributes:
        counts: a list that a collator appends to; None if nobody asks for counts.
    """

    counts: list[Counts] | None = None


RECORDER = _Recorder()


class UnknownCountsError(Exception):
    """The counts of a batch are unknown. The text says why."""


class SharedCounts:
    """The counts of the last batches that were collated, by their iteration and number, in any worker.

    Args:
        slots: more than the number of batches that are drawn before the first of them is used.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        size = 2 + len(Counts._fields)  # the iteration and the number of a batch, and its counts
        self._values = SharedArray(np.full(_ITERATIONS * slots * size, _UNKNOWN, np.int64))
        self._iteration = SharedArray(np.full(1, _UNKNOWN, np.int64))

    @property
    def iteration(self) -> int | None:
        """The iteration whose batches are used. Once it is known, batches of later iterations are not stored."""
        known = int(self._iteration.values[0])
        return None if known == _UNKNOWN else known

    @iteration.setter
    def iteration(self, value: int | None) -> None:
        self._iteration.values[0] = _UNKNOWN if value is None else value

    def collate(self, position: BatchPosition | None, collate: Callable[[], Any]) -> Any:
        """Calls `collate`, stores the counts that it records under this position, and returns its result."""
        if position is None or position.is_evaluation or self._is_later(position):
            return collate()
        before, RECORDER.counts = RECORDER.counts, []
        try:
            batch, recorded = collate(), RECORDER.counts
        finally:
            RECORDER.counts = before
        # which of several calls of a collator made the batch is unknown
        counts = recorded[0] if len(recorded) == 1 else (_UNKNOWN,) * len(Counts._fields)
        slot = self._slot(position.iteration, position.number)
        if slot[:2].tolist() < [position.iteration, position.number]:  # a batch of later use is never replaced
            slot[:] = position.iteration, position.number, *counts
        return batch

    def find(self, first: int) -> tuple[int, Counts] | None:
        """The first batch of the current iteration with at least this number.

        Returns:
            Its number and its counts, all -1 if they are unknown; None if no such batch was collated.

        Raises:
            UnknownCountsError: if the batch may be overwritten.
        """
        current = self.iteration or 0
        for number in range(first, first + self._slots):
            slot = self._slot(current, number).tolist()
            if slot[:2] > [current, number]:
                raise UnknownCountsError("the loader reads more batches ahead than it says")
            if slot[:2] == [current, number]:
                return number, Counts(*slot[2:])
        return None

    def _is_later(self, position: BatchPosition) -> bool:
        return self.iteration is not None and position.iteration > self.iteration

    def _slot(self, iteration: int, number: int) -> np.ndarray:
        slots = self._values.values.reshape(_ITERATIONS, self._slots, -1)
        return slots[iteration % _ITERATIONS, number % self._slots]


class UsedCounts:
    """Sums the counts of the batches that a training has used.

    Args:
        shared: where the collator stores its counts.
        collated_per_batch: how many collated batches make one batch that the training uses.
        has_gaps: whether some numbers are never collated: those that workers receive after their share of a stream.
        ranks: how many ranks share the rows of a batch.

    Attributes:
        reason: why the sum is unknown; None if it is known.
    """

    def __init__(self, shared: SharedCounts, collated_per_batch: int, has_gaps: bool, ranks: int) -> None:
        self._shared, self._per_batch, self._has_gaps, self._ranks = shared, collated_per_batch, has_gaps, ranks
        self._next = 0  # the number of the next collated batch that is used
        self._total = np.zeros(len(Counts._fields), np.int64)
        self.reason: str | None = None

    def start_epoch(self, first_batch: int) -> None:
        """Starts an epoch.

        Args:
            first_batch: the number of the first collated batch that is used: above 0 if the epoch is resumed.
        """
        self._next, self._shared.iteration = first_batch, None

    def use_iteration(self, iteration: int) -> None:
        """Sets the iteration of the loader that this epoch uses, unless it is set already."""
        if self._shared.iteration is None:
            self._shared.iteration = iteration

    def record_consumed(self) -> None:
        """Records that the training has used a batch."""
        try:
            self._total += self._count_next()
        except UnknownCountsError as error:
            self.reason = str(error)

    def take(self) -> Counts:
        """The sum over the batches since the last call."""
        total, self._total, self.reason = Counts(*self._total.tolist()), np.zeros_like(self._total), None
        return total

    def _count_next(self) -> np.ndarray:
        """The counts of the next batch, int64 `[6]`. The last batch of an epoch may have fewer collated batches."""
        total = np.zeros_like(self._total)
        for part in range(self._per_batch):
            found = self._shared.find(self._next)
            if found is None and part:
                break
            if found is None or (found[0] != self._next and not self._has_gaps):
                raise UnknownCountsError("the batches of the loader are not in the order of their indices")
            self._next, total = found[0] + 1, total + found[1]
            if found[1].tokens == _UNKNOWN:
                raise UnknownCountsError("a batch is not made by one call of a collator of hf_dynmask")
        if total[-1] % self._ranks:
            raise UnknownCountsError("accelerate completes the last batch of an epoch with rows of the first one")
        return total
