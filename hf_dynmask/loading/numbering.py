"""A `DataLoader` whose batches know which of the epoch they are.

[`number_batches`] puts two thin layers into a loader: [`NumberedSampler`] around what draws its indices, and
[`PositionedCollate`] around what collates. The number of a batch then follows from the sampler's own order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import get_worker_info

from hf_dynmask.core.checks import checked_integer
from hf_dynmask.core.shared import INT64_MAX, SharedArray
from hf_dynmask.loading.loaders import (
    check_order,
    collated_per_batch,
    find_collator,
    index_sampler,
    replace_index_sampler,
    restart_workers,
    streams_unequally,
    torch_loader,
)
from hf_dynmask.loading.position import (
    MASK_INPUT_COLUMNS,
    BatchPosition,
    EpochPlan,
    attach_position,
    collate_at,
    discard_position,
    recorded_columns,
    take_position,
)
from hf_dynmask.loading.worker_order import WorkerOrderMonitor

if TYPE_CHECKING:
    from hf_dynmask.collators.base import EpochAwareCollator


_PEEKED_BATCHES = 2  # batches that a look at one takes: accelerate reads another to know whether it is the last


class NumberedSampler:
    """Draws what another sampler draws, each time with its position in the epoch.

    For everything else it is that sampler: its attributes and its class, as `isinstance` sees it.

    Args:
        sampler: the other.
        prefetched: how many batches workers are sent ahead of use; 0 without workers.

    Attributes:
        plan: what holds for iterations that begin from now on; None if nothing is known of them.
        planner: whoever makes the plans; of several, the one that came last.
    """

    _OWN = ("_sampler", "_prefetched", "_drawn", "_number", "_first", "plan", "planner")

    def __init__(self, sampler: Any, prefetched: int) -> None:
        self._sampler, self._prefetched = sampler, prefetched
        self._drawn: EpochPlan | None = None  # the plan of an iteration that came to its end
        self._number = self._first = 0  # batches drawn in this iteration; in the next, before it is resumed
        self.plan: EpochPlan | None = None
        self.planner: object = None

    @property
    def last_position(self) -> BatchPosition | None:
        """The position that was drawn last, as long as there is a `Trainer`'s plan.

        In a loop of one's own, who collates without drawing may be a loader of its own, and nobody would notice.
        """
        if self.plan is None or self.plan.single_pass:
            return None
        return self.plan.position(max(self._number - 1, 0))

    def __iter__(self) -> Iterator[Any]:
        plan, first, self._first = self.plan, self._first, 0
        number = first - 1
        for number, indices in enumerate(self._sampler, first):
            self._number = number + 1
            if plan is None:
                yield indices
            else:
                position = plan.position(number)
                try:
                    yield attach_position(indices, position, to_worker=self._prefetched > 0)
                finally:
                    discard_position(position)  # if the stream ended, its batch is not collated
        if plan is not None and plan.single_pass and self.plan is plan:
            self._end(plan, batches=number + 1)

    def _end(self, plan: EpochPlan, batches: int) -> None:
        """After the pass that a plan is for, nothing is known. A look at a batch of a short loader is no pass."""
        if batches > self._prefetched + _PEEKED_BATCHES or self._drawn is plan:
            self.plan = None
        self._drawn = plan

    def __len__(self) -> int:
        return len(self._sampler)

    def __getattr__(self, name: str) -> Any:
        if name in NumberedSampler._OWN:  # not set yet, as in a copy
            raise AttributeError(name)
        value = getattr(self._sampler, name)
        return {"state_dict": self._state_dict, "load_state_dict": self._load_state_dict}.get(name, value)

    def _state_dict(self) -> dict[str, Any]:
        """Of a sampler that can be resumed, as torchdata's: its own, and how far it is."""
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
    """Collates a batch with another collate function, to which the batch's position is known meanwhile.

    Attributes:
        data_collator: what collates.
        monitor: checks that workers take turns; None if nothing has to be checked.
        resumed: the epoch that is resumed by a loader of its own, whose sampler is not numbered: so accelerate resumes
            streams. Its batches are counted here, as they are collated.
    """

    def __init__(self, data_collator: Callable[..., Any], sampler: NumberedSampler) -> None:
        self.data_collator = data_collator
        self.monitor: WorkerOrderMonitor | None = None
        self._sampler: NumberedSampler | None = sampler
        self._resumed: EpochPlan | None = None
        self._counted = 0
        self._columns = SharedArray(np.zeros(len(MASK_INPUT_COLUMNS), dtype=bool))

    def __call__(self, features: Any, *args: Any, **kwargs: Any) -> Any:
        position = take_position() or self._unnumbered()
        batch = collate_at(position, lambda: self.data_collator(features, *args, **kwargs))
        if True in recorded_columns():
            self._columns.values[:] |= recorded_columns()
        if self.monitor is not None and position is not None:
            self.monitor.record_collated(position)
        return batch

    @property
    def columns(self) -> list[str]:
        """The deciding columns that examples have had, in whichever worker."""
        return [name for name, has in zip(MASK_INPUT_COLUMNS, self._columns.values, strict=True) if has]

    @property
    def resumed(self) -> EpochPlan | None:
        return self._resumed

    @resumed.setter
    def resumed(self, plan: EpochPlan | None) -> None:
        self._resumed, self._counted = plan, 0

    def _unnumbered(self) -> BatchPosition | None:
        """Where nobody drew indices: a batch of a resumed stream; or somebody looks at one, as it is now."""
        worker = get_worker_info()
        if self._resumed is None:
            return None if worker is not None or self._sampler is None else self._sampler.last_position
        number, self._counted = self._counted, self._counted + 1
        if worker is not None:
            number = number * worker.num_workers + worker.id
        return self._resumed.position(number)

    def __getattr__(self, name: str) -> Any:
        if name == "data_collator":  # not set yet, as in a copy
            raise AttributeError(name)
        return getattr(self.data_collator, name)

    def __getstate__(self) -> dict[str, Any]:
        """In a worker, positions arrive with the indices."""
        return {**self.__dict__, "_sampler": None}


def number_batches(loader: Any) -> tuple[NumberedSampler, PositionedCollate]:
    """Has the loader's batches know which they are; its workers begin anew.

    Args:
        loader: a torch `DataLoader`, or what holds one, such as accelerate's.

    Raises:
        ValueError: if there is no one `DataLoader` in it.
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


def start_epoch(
    collator: EpochAwareCollator,
    loader: Any,
    epoch: int,
    total_steps: int | None,
    gradient_accumulation_steps: int,
    first_step: int | None,
) -> None:
    """Numbers the batches of a loop of one's own: see [`EpochAwareCollator.start_epoch`]."""
    checked_integer(epoch, "epoch", 0, "Count epochs from 0.", INT64_MAX)
    checked_integer(gradient_accumulation_steps, "gradient_accumulation_steps", 1, "Pass 1 for none.", INT64_MAX)
    if total_steps is not None:
        checked_integer(total_steps, "total_steps", 1, "Pass the optimizer steps of the whole training.", INT64_MAX)
    if first_step is not None:
        checked_integer(first_step, "first_step", 0, "Pass the optimizer steps done before this epoch.", INT64_MAX)
    check_collates_with(collator, loader)
    if callable(collator.rate):
        _check_steps_are_known(loader, collator.rate_argument, total_steps)
    if first_step is None:
        first_step = 0 if epoch == 0 else epoch * _steps_per_epoch(loader, gradient_accumulation_steps, collator)
    sampler, _ = number_batches(loader)
    batches = gradient_accumulation_steps * collated_per_batch(loader)
    told = collator._clock.set_epoch_calls
    sampler.plan = EpochPlan(epoch, first_step, 0, batches, total_steps, single_pass=True, set_epoch_calls=told)


def check_collates_with(collator: EpochAwareCollator, loader: Any) -> None:
    """Refuses a loader that collates with something else.

    Raises:
        ValueError: if it does.
    """
    found = find_collator(getattr(torch_loader(loader), "collate_fn", None))
    if found is not collator:
        collates = "another one" if found is not None else "none of this package"
        raise ValueError(
            f"`loader` must collate with this collator, but it has {collates}. Make the DataLoader with "
            "`collate_fn=collator`."
        )


def _check_steps_are_known(loader: Any, argument: str, total_steps: int | None) -> None:
    if total_steps is None:
        raise ValueError(
            f"`total_steps` must be given when `{argument}` is a schedule, but got None. Pass the number of optimizer "
            "steps of the whole training."
        )
    check_order(loader)
    if streams_unequally(loader):
        raise ValueError(
            f"`num_workers` must be 0 or 1 for streamed data when `{argument}` is a schedule, but is more: workers "
            "whose shares end early leave their turns to others, so the optimizer step of a batch is unknown. Use one "
            "worker, or `Trainer` with `MaskRateCallback`, which notices when that happens."
        )


def _steps_per_epoch(loader: Any, gradient_accumulation_steps: int, collator: EpochAwareCollator) -> int:
    try:
        batches = len(loader)
    except TypeError:  # a stream
        if not callable(collator.rate):
            return 0
        raise ValueError(
            "`first_step` must be given for a loader without a length after the first epoch, but got None. Pass the "
            "optimizer steps done before this epoch."
        ) from None
    return -(-batches // gradient_accumulation_steps)
