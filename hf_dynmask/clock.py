"""Which epoch and optimizer step the batch at hand belongs to.

Batches are collated long before they are trained on: workers prefetch, accelerate reads one batch ahead, gradient
accumulation fetches a whole step's batches first. So nobody tells the collator the current step; it works out the step
that its batch will be used in. What is true for a whole epoch stands in shared memory, written before the epoch's
iterator is made; each worker counts the batches that it has collated since. A `DataLoader` hands batches to its
workers in turn, so worker `w`'s `n`-th batch is batch `n * num_workers + w` of the epoch. Where that may fail,
[`Turns`] notices.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.utils.data import get_worker_info

from hf_dynmask import warned
from hf_dynmask.callers import training
from hf_dynmask.turns import Turns

MOST = (1 << 63) - 1  # what shared memory holds


class Moment(NamedTuple):
    """When a batch is used: its epoch, its optimizer step, and the steps of the whole training (None: not known)."""

    epoch: int
    step: int
    total_steps: int | None


class Clock:
    """Tells each batch its [`Moment`], alike in the main process and in every worker.

    It is shared, not copied, when a `DataLoader` sends it to its workers, by fork or by spawn.

    Attributes:
        turns: what checks that workers take turns to the end; None if nobody does.
    """

    def __init__(self) -> None:
        self.turns: Turns | None = None
        # epochs announced, then what `start_epoch` was told, then whether a `Trainer` was training; no epoch is known
        # while the first is 0
        self._shared = torch.zeros(6, dtype=torch.int64).share_memory_()
        self._iteration: tuple[int, int | None] = (0, None)
        self._collated = 0
        self._sent_in_training = False

    def start_epoch(self, epoch: int, first_step: int, batches_per_step: int, total_steps: int | None) -> None:
        """Announce an epoch. Called in the main process, before the epoch's iterator is made.

        Args:
            epoch: from 0.
            first_step: the optimizer step that the first batch to be collated belongs to.
            batches_per_step: how many collated batches one optimizer step takes.
            total_steps: optimizer steps of the whole training, or None.
        """
        announced = int(self._shared[0]) + 1
        steps = -1 if total_steps is None else total_steps
        facts = [announced, epoch, first_step, batches_per_step, steps, training()]
        self._shared.copy_(torch.tensor(facts, dtype=torch.int64))

    @property
    def told(self) -> bool:
        """Whether an epoch was announced."""
        return bool(self._shared[0])

    def tick(self) -> Moment | None:
        """The moment of the batch about to be collated; None if no epoch was announced. Called once a batch.

        What was announced before a `Trainer` began to train, at a look at a batch, say, is not of its epochs.
        """
        announced, epoch, first_step, batches_per_step, total_steps, by_trainer = self._shared.tolist()
        if not announced:
            return None
        if not by_trainer and self._in_training():
            warned.of_old_epoch()
            return None
        batch = self._count(announced)
        return Moment(epoch, first_step + batch // batches_per_step, None if total_steps < 0 else total_steps)

    def _count(self, announced: int) -> int:
        """This batch's number in the epoch."""
        worker = get_worker_info()
        # A forked worker inherits the parent's count; its own seed, new for each iterator, tells it to start afresh.
        iteration = (announced, None if worker is None else worker.seed)
        if iteration != self._iteration:
            self._iteration, self._collated = iteration, 0
        mine, self._collated = self._collated, self._collated + 1
        if worker is None:
            return mine
        if self.turns is not None:
            self.turns.note(worker.id, self._collated)
        return mine * worker.num_workers + worker.id

    def _in_training(self) -> bool:
        return training() or (self._sent_in_training and get_worker_info() is not None)

    def __getstate__(self) -> dict[str, object]:
        # a spawned worker does not see who calls, a forked one does
        return {**self.__dict__, "_sent_in_training": training()}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._shared.share_memory_()  # a copy or a plain pickle arrives unshared
