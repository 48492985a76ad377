"""The position of a batch in its epoch, and how it travels from the sampler to the collator.

A `DataLoader` draws the indices of a batch in the main process, in the order in which batches are used. It collates the
batch later, usually in a worker. The position of a batch is known where its indices are drawn, so it travels with them:
[`attach_position`] wraps the indices that are pickled for a worker, and unpickling restores them. Without workers, a
batch is collated right after its indices are drawn. In both cases, [`take_position`] returns the position of the batch
that this thread collates next.

Nothing here counts calls, so other code may call the collator or iterate the loader at any time.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hf_dynmask.rates.schedules import FixedRate, Rate, rate_at


class BatchPosition(NamedTuple):
    """When a batch is used, and how it is to be masked.

    Attributes:
        epoch: from 0.
        number: the number of the batch in its epoch, in the order of the sampler, from 0.
        step: the number of optimizer steps done before the batch is used.
        total_steps: the number of optimizer steps of the whole training; None if unknown.
        rate: the mask rate, which replaces the collator's own; an exception if the schedule raised one; None for the
            collator's own rate.
        seed: used if the collator has no seed.
        is_evaluation: whether the batch is for evaluation.
        set_epoch_calls: how many calls of `set_epoch` the plan has seen. A later call takes precedence over the plan;
            None if it does not.
        iteration: which iteration of the loader draws the batch, from 1; 0 if unknown.
        part: which of the batches of its optimizer step it is, over all ranks, from 0.
        parts: how many these are.
    """

    epoch: int
    number: int = 0
    step: int = 0
    total_steps: int | None = None
    rate: FixedRate | Exception | None = None
    seed: int | None = None
    is_evaluation: bool = False
    set_epoch_calls: int | None = None
    iteration: int = 0
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class EpochPlan:
    """Settings that all batches of an epoch share.

    Attributes:
        epoch: from 0.
        first_step: the optimizer step that the first batch to be used belongs to.
        first_batch: the number of that batch: above 0 if the epoch is resumed.
        batches_per_step: how many drawn batches make one optimizer step.
        total_steps: the number of optimizer steps of the whole training; None if unknown.
        rate: the mask rate, a number, a distribution or a schedule, which replaces the collator's own; None for the
            collator's own rate.
        seed: used if the collator has no seed.
        is_evaluation: whether this is an evaluation.
        single_pass: whether the plan is for one pass over the loader only.
        set_epoch_calls: as in [`BatchPosition`].
        rank: which share of the batches of a step this loader draws, from 0.
        ranks: how many loaders draw a share.
    """

    epoch: int
    first_step: int = 0
    first_batch: int = 0
    batches_per_step: int = 1
    total_steps: int | None = None
    rate: Rate | None = None
    seed: int | None = None
    is_evaluation: bool = False
    single_pass: bool = False
    set_epoch_calls: int | None = None
    rank: int = 0
    ranks: int = 1

    def position(self, batch: int, iteration: int = 0) -> BatchPosition:
        """The position of the epoch's batch of this number, from 0, which this iteration of the loader draws."""
        steps, number = divmod(batch - self.first_batch, self.batches_per_step)
        step = max(self.first_step + steps, 0)
        rate = self._rate_at(step)
        return BatchPosition(
            self.epoch,
            batch,
            step,
            self.total_steps,
            rate,
            self.seed,
            self.is_evaluation,
            self.set_epoch_calls,
            iteration,
            part=number * self.ranks + self.rank,
            parts=self.batches_per_step * self.ranks,
        )

    def _rate_at(self, step: int) -> FixedRate | Exception | None:
        """Returns an exception of the schedule: batches are drawn ahead, so only a batch that is collated raises it."""
        if not callable(self.rate) or self.total_steps is None:
            return None if callable(self.rate) else self.rate
        try:
            return rate_at(self.rate, step, self.total_steps)
        except Exception as error:
            return _portable(error)


def _portable(error: Exception) -> Exception:
    """The exception itself, or a `RuntimeError` with its text if it cannot be pickled."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


# columns of the examples, other than the ids, that masks depend on
MASK_INPUT_COLUMNS = ("special_tokens_mask", "labels")


class _Thread(threading.local):
    columns: Sequence[bool] = (False,) * len(MASK_INPUT_COLUMNS)  # which of them the examples of a batch had
    next_position: BatchPosition | None = None  # of the batch whose indices were drawn, or received, last
    current: BatchPosition | None = None  # of the batch that is being collated


_THREAD = _Thread()


def attach_position(indices: Any, position: BatchPosition, to_worker: bool) -> Any:
    """The object that a sampler yields for `indices`, so that the position is known where the batch is collated."""
    return _PositionedIndices(indices, position) if to_worker else _receive(indices, position)


def take_position() -> BatchPosition | None:
    """Removes and returns the position of the batch that this thread collates next; None if no batch was drawn."""
    position, _THREAD.next_position = _THREAD.next_position, None
    return position


def discard_position(position: BatchPosition) -> None:
    """Forgets a position whose batch is not collated."""
    if _THREAD.next_position is position:
        _THREAD.next_position = None


def current_position() -> BatchPosition | None:
    """The position of the batch that this thread is collating; None if unknown."""
    return _THREAD.current


def collate_at(position: BatchPosition | None, collate: Callable[[], Any]) -> Any:
    """Calls `collate` with `position` as the current position, and returns its result."""
    before, _THREAD.current = _THREAD.current, position
    try:
        return collate()
    finally:
        _THREAD.current = before


def record_columns(names: Container[str]) -> None:
    """Records which of `MASK_INPUT_COLUMNS` are among the columns of the current batch."""
    _THREAD.columns = [name in names for name in MASK_INPUT_COLUMNS]


def recorded_columns() -> Sequence[bool]:
    """Which of `MASK_INPUT_COLUMNS` this thread has recorded last."""
    return _THREAD.columns


class _PositionedIndices:
    """Indices that are pickled for a worker, which receives the plain indices."""

    def __init__(self, indices: Any, position: BatchPosition) -> None:
        self._parts = indices, position

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive, self._parts


def _receive(indices: Any, position: BatchPosition) -> Any:
    _THREAD.next_position = position
    return indices
