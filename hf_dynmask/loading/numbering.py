"""Numbers the batches of a `DataLoader` in the order of its sampler, so that each batch knows its place in the epoch.

[`number_batches`] puts two thin layers into a loader: [`NumberedSampler`] around the sampler that draws indices, and
[`PositionedCollate`] around the collate function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from torch.utils.data import get_worker_info

from hf_dynmask.core.shared_memory import SharedArray
from hf_dynmask.loading.batch_counts import SharedCounts
from hf_dynmask.loading.batch_position import (
    MASK_INPUT_COLUMNS,
    BatchPosition,
    EpochPlan,
    attach_position,
    collate_at,
    discard_position,
    recorded_columns,
    take_position,
)
from hf_dynmask.loading.loaders import index_sampler, replace_index_sampler, restart_workers, torch_loader
from hf_dynmask.loading.worker_order import WorkerOrderMonitor

# drawn before the first is used: accelerate reads the next batch to know whether this one is the last
PEEKED_BATCHES = 2


class NumberedSampler:
    """Draws the indices that another sampler draws, and attaches the position of each batch in the epoch.

    In all other respects it is that sampler: it has its attributes and, to `isinstance`, its class.

    Args:
        sampler: the sampler to number.
        prefetched: how many batches workers receive before they are used; 0 without workers.

    Attributes:
        plan: holds for iterations that begin from now on; None if nothing is known about them.
        planner: the object that makes the plans; if there are several, the last one.
        iterations: how many iterations have begun to draw batches.
    """

    _OWN = ("_sampler", "_prefetched", "_drawn", "_number", "_first", "plan", "planner", "iterations")

    def __init__(self, sampler: Any, prefetched: int) -> None:
        self._sampler, self._prefetched = sampler, prefetched
        self._drawn: EpochPlan | None = None  # the plan of an iteration that has ended
        self._number = self._first = 0  # batches drawn in this iteration; where the next one resumes
        self.plan: EpochPlan | None = None
        self.planner: object = None
        self.iterations = 0

    @property
    def last_position(self) -> BatchPosition | None:
        """The position of the last batch drawn under a `Trainer`'s plan; None without one.

        Under `start_epoch`, a collate call without a draw may belong to another loader, so the position is unknown.
        """
        if self.plan is None or self.plan.single_pass:
            return None
        return self.plan.position(max(self._number - 1, 0))

    def __iter__(self) -> Iterator[Any]:
        plan, first, self._first = self.plan, self._first, 0
        self.iterations += 1
        number, iteration = first - 1, self.iterations
        for number, indices in enumerate(self._sampler, first):
            self._number = number + 1
            if plan is None:
                yield indices
            else:
                position = plan.position(number, iteration)
                try:
                    yield attach_position(indices, position, to_worker=self._prefetched > 0)
                finally:
                    discard_position(position)  # if a stream has ended, this batch is never collated
        if plan is not None and plan.single_pass and self.plan is plan:
            self._end(plan, batches=number + 1)

    def _end(self, plan: EpochPlan, batches: int) -> None:
        """Ends a plan for a single pass. Drawing all batches of a short loader may be a look ahead, not a pass."""
        if batches > self._prefetched + PEEKED_BATCHES or self._drawn is plan:
            self.plan = None
        self._drawn = plan

    def __len__(self) -> int:
        return len(self._sampler)

    def __getattr__(self, name: str) -> Any:
        if name in NumberedSampler._OWN:  # not set yet, while a copy is made
            raise AttributeError(name)
        value = getattr(self._sampler, name)
        return {"state_dict": self._state_dict, "load_state_dict": self._load_state_dict}.get(name, value)

    def _state_dict(self) -> dict[str, Any]:
        """The state of a sampler that can be resumed, such as torchdata's, and the number of batches drawn."""
        return {"sampler": self._sampler.state_dict(), "drawn": self._number}

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self._sampler.load_state_dict(state["sampler"])
        self._first = state["drawn"]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in NumberedSampler._OWN:
            super().__setattr__(name, value)
        else:
            setattr(self._sampler, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has no plan."""
        return NumberedSampler, (self._sampler, self._prefetched)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._sampler)


class PositionedCollate:
    """Calls another collate function, and makes the position of the batch available to it meanwhile.

    Attributes:
        data_collator: the other collate function.
        monitor: checks that workers take turns; None if that needs no check.
        counts: where the token counts of the batches are stored; None if nobody asks for them.
        resumed: the plan of an epoch that accelerate resumes through a new loader, as it does for streams. The sampler
            of that loader is not numbered, so its batches are counted here, as they are collated.
    """

    def __init__(self, data_collator: Callable[..., Any], sampler: NumberedSampler) -> None:
        self.data_collator = data_collator
        self.monitor: WorkerOrderMonitor | None = None
        self.counts: SharedCounts | None = None
        self._sampler: NumberedSampler | None = sampler
        self._resumed: EpochPlan | None = None
        self._counted = 0
        self._columns = SharedArray(np.zeros(len(MASK_INPUT_COLUMNS), dtype=bool))

    def __call__(self, features: Any, *args: Any, **kwargs: Any) -> Any:
        drawn = take_position()
        position = drawn or self._unnumbered()
        collate = partial(self.data_collator, features, *args, **kwargs)
        if self.counts is None:
            batch = collate_at(position, collate)
        else:  # a batch without drawn indices is one of a resumed stream, or only inspected
            counted = position if drawn or self._resumed else None
            batch = self.counts.collate(counted, partial(collate_at, position, collate))
        if True in recorded_columns():
            self._columns.values[:] |= recorded_columns()
        if self.monitor is not None and position is not None:
            self.monitor.record_collated(position)
        return batch

    @property
    def columns(self) -> list[str]:
        """The columns in `MASK_INPUT_COLUMNS` that examples have had, in any worker."""
        return [name for name, has in zip(MASK_INPUT_COLUMNS, self._columns.values, strict=True) if has]

    @property
    def resumed(self) -> EpochPlan | None:
        return self._resumed

    @resumed.setter
    def resumed(self, plan: EpochPlan | None) -> None:
        self._resumed, self._counted = plan, 0

    def _unnumbered(self) -> BatchPosition | None:
        """The position of a batch without drawn indices: one of a resumed stream, or a batch that is only inspected."""
        worker = get_worker_info()
        if self._resumed is None:
            return None if worker is not None or self._sampler is None else self._sampler.last_position
        number, self._counted = self._counted, self._counted + 1
        if worker is not None:
            number = number * worker.num_workers + worker.id
        return self._resumed.position(number)

    def __getattr__(self, name: str) -> Any:
        if name == "data_collator":  # not set yet, while a copy is made
            raise AttributeError(name)
        return getattr(self.data_collator, name)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the sampler: in a worker, positions arrive with the indices."""
        return {**self.__dict__, "_sampler": None}


def number_batches(loader: Any) -> tuple[NumberedSampler, PositionedCollate]:
    """Numbers the batches of a loader, and restarts its workers.

    Args:
        loader: a torch `DataLoader`, or an object that holds one, such as accelerate's loaders.

    Returns:
        The two layers that the loader has from now on.

    Raises:
        ValueError: if it does not hold exactly one `DataLoader`.
    """
    inner = torch_loader(loader)
    sampler = index_sampler(inner)
    if type(sampler) is not NumberedSampler:
        sampler = NumberedSampler(sampler, prefetched=inner.num_workers * (inner.prefetch_factor or 0))
        replace_index_sampler(inner, sampler)
    if type(inner.collate_fn) is not PositionedCollate:
        inner.collate_fn = PositionedCollate(inner.collate_fn, sampler)
        restart_workers(inner)
    return sampler, inner.collate_fn
