"""One training of a `Trainer`: plans the epoch, step and rate of its batches, and checks the order of their use."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection
from typing import Any

from torch.utils.data import IterableDataset
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import has_length
from transformers.training_args import TrainingArguments

from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.loading.batch_counts import SharedCounts, UsedCounts
from hf_dynmask.loading.batch_position import MASK_INPUT_COLUMNS, EpochPlan
from hf_dynmask.loading.loaders import (
    check_order,
    collated_per_batch,
    find_collator,
    find_collators,
    is_collated_here,
    is_dispatched,
    is_in_order,
    restart_workers,
    shard_of,
    streams_unequally,
    torch_loader,
)
from hf_dynmask.loading.numbering import PEEKED_BATCHES, number_batches
from hf_dynmask.loading.worker_order import WorkerOrderMonitor
from hf_dynmask.masking.views import views_of
from hf_dynmask.rates.schedules import Rate, rate_at


class Training:
    """A training run, starting at `on_train_begin`. If several runs share a loader, only the last one is active.

    Args:
        args: of the `Trainer`.
        state: of the `Trainer`.
        loader: the training loader.
        schedule: the mask rate, which replaces the collator's own; None for the collator's own.
        first_epoch: the epoch in which the masks of the run begin, whatever the `Trainer` counts; a function of its
            collator.

    Attributes:
        collator: a copy of the loader's collator with the rate and the seed of this run.
        first_epoch: as a number.
        epoch: the current epoch of the masks, or the next one if none has begun.
        first_step: the optimizer step that uses the first batch of this epoch.

    Raises:
        ValueError: if the loader has no collator of this package, or does not hold exactly one torch `DataLoader`;
            under a schedule, if its batches come out of order.
    """

    def __init__(
        self,
        args: TrainingArguments,
        state: TrainerState,
        loader: Any,
        schedule: Rate | None,
        first_epoch: Callable[[EpochAwareCollator], int],
    ) -> None:
        self._source = training_collator(loader)
        self.collator = self._source.for_training(schedule, args.seed)
        self.collator.epoch_source = "MaskRateCallback"
        self._settings, self._plan_as_set = _settings(self._source), self._source._plan
        self._args, self._loader, self._schedule = args, loader, schedule
        if self.is_scheduled:
            check_order(loader)
        self._sampler, self._collate = number_batches(loader)
        self._sampler.planner = self._token = object()  # not the training itself, which refers to the loader
        restart_workers(torch_loader(loader))  # they have the collator as it was when they started
        self._monitor = self._collate.monitor = self._make_monitor()
        self._used: UsedCounts | None = None
        self._collate.counts = None
        self.first_epoch = first_epoch(self.collator)
        self.epoch = self.first_epoch + _epochs_done(args, state, loader)
        self._skipped = _skipped_batches(args, state, loader)
        self._plan(state)

    @property
    def is_active(self) -> bool:
        return self._sampler.planner is self._token

    def columns(self) -> Collection[str]:
        """The columns of the examples that masks depend on besides the ids; all of them if the examples are unknown."""
        return self._collate.columns if is_collated_here(self._loader) else MASK_INPUT_COLUMNS

    @property
    def fills_up_batches(self) -> bool:
        """Whether the last batch of an epoch may be filled up with sequences of the first, masked at the first step."""
        return is_dispatched(self._loader)

    @property
    def is_audited(self) -> bool:
        """Whether masks can be checked from a batch alone, which takes exactly one collator of this package."""
        return self.collator.is_audited and len(find_collators(torch_loader(self._loader).collate_fn)) == 1

    @property
    def is_scheduled(self) -> bool:
        return callable(self.collator.rate)

    @property
    def has_two_schedules(self) -> bool:
        """Whether the collator also has a schedule, which the callback's replaces."""
        other = self._source.rate
        return callable(other) and self._schedule is not None and self._schedule != other

    def rate_log(self, step: int, total_steps: int) -> dict[str, float]:
        """`mask_rate` for the log of a step; empty if nothing is masked."""
        if self.collator._plan is None:
            return {}
        if views_of(self.collator).complementary:
            return {"mask_rate": 0.5}  # of a rate and its complement
        return {"mask_rate": rate_at(self.collator.rate, step, total_steps)}

    def start_epoch(self, state: TrainerState) -> None:
        """Plans an epoch, before its first batch is drawn."""
        if not self.is_active:
            return
        self._plan(state)
        if self.collator.losses is not None:
            self.collator.losses.start_epoch(self.epoch)
        if self._monitor is not None:
            self._monitor.start_epoch(self.epoch, self._skipped)
        if self._used is not None:
            self._used.start_epoch(self._first_batch)

    def end_epoch(self) -> None:
        """Ends an epoch, after its last batch or early."""
        self.epoch, self._skipped = self.epoch + 1, 0

    def count_tokens(self) -> UsedCounts | None:
        """Makes the collator count the tokens of each batch. Call this before the first epoch.

        Returns:
            The counts of the batches in use; None if another rank collates them.
        """
        if not is_collated_here(self._loader):
            return None
        inner, per_batch = torch_loader(self._loader), collated_per_batch(self._loader)
        read_ahead = inner.num_workers * (inner.prefetch_factor or 0)
        fetched = (self._args.gradient_accumulation_steps + PEEKED_BATCHES) * per_batch  # before a step begins
        shared = SharedCounts(slots=2 * (read_ahead + fetched))
        if is_in_order(self._loader):
            self._collate.counts = shared
        ranks = self._args.world_size if is_dispatched(self._loader) else 1
        self._used = UsedCounts(shared, per_batch, streams_unequally(self._loader), ranks)
        return self._used

    def begin_step(self) -> None:
        """Records that the batches of an optimizer step were drawn."""
        if self.is_active and self._used is not None:
            self._used.use_iteration(0 if self._collate.resumed else self._sampler.iterations)

    def check_next(self) -> None:
        """Checks the next batch, before it is used and before the optimizer step.

        Raises:
            RuntimeError: if the batch may belong to another step.
        """
        if self.is_active and self._monitor is not None:
            self._monitor.check_next()

    def check_unchanged(self) -> None:
        """Checks, before an optimizer step, that the collator has kept its settings.

        Raises:
            RuntimeError: if one has changed.
        """
        if self.is_active and vars(self._source).get("_plan") is not self._plan_as_set:  # a change makes a new plan
            _check_unchanged(self._source, self._settings)
            self._plan_as_set = self._source._plan

    def record_consumed(self) -> None:
        """Records that a batch was used."""
        if self.is_active and self._monitor is not None:
            self._monitor.record_consumed()
        if self.is_active and self._used is not None:
            self._used.record_consumed()

    def end(self) -> None:
        """Ends the training: batches that are drawn from now on have no plan."""
        if self.is_active:
            self._sampler.plan = self._sampler.planner = self._collate.resumed = self._collate.monitor = None
            self._collate.counts = None

    def _plan(self, state: TrainerState) -> None:
        per_batch, (rank, ranks) = collated_per_batch(self._loader), shard_of(self._loader)
        self.first_step = state.global_step - self._skipped // self._args.gradient_accumulation_steps
        plan = EpochPlan(
            self.epoch,
            first_step=state.global_step,
            first_batch=self._first_batch,
            batches_per_step=self._args.gradient_accumulation_steps * per_batch,
            total_steps=state.max_steps,
            rate=self._schedule,
            seed=self._args.seed,
            rank=rank,
            ranks=ranks,
        )
        self._sampler.plan = plan
        self._collate.resumed = plan if self._streams and self._skipped else None

    @property
    def _first_batch(self) -> int:
        """The number of the first collated batch that is used in this epoch."""
        return self._skipped * (collated_per_batch(self._loader) if self._streams else 1)

    @property
    def _streams(self) -> bool:
        return isinstance(torch_loader(self._loader).dataset, IterableDataset)

    def _make_monitor(self) -> WorkerOrderMonitor | None:
        if self.is_scheduled and streams_unequally(self._loader) and is_collated_here(self._loader):
            return WorkerOrderMonitor(torch_loader(self._loader).num_workers, collated_per_batch(self._loader))
        return None


def training_collator(loader: Any) -> EpochAwareCollator:
    """The collator of this package that a training loader uses.

    Raises:
        ValueError: if it uses none, or is not a loader.
    """
    collate_fn = torch_loader(loader).collate_fn
    collator = find_collator(collate_fn)
    if collator is None:
        while hasattr(collate_fn, "data_collator"):  # transformers' and our own wrappers
            collate_fn = collate_fn.data_collator
        name = getattr(collate_fn, "__name__", type(collate_fn).__name__)
        raise ValueError(
            "`MaskRateCallback` needs a `DataCollatorForDynamicMasking`, or another collator of hf_dynmask, in the "
            f"training DataLoader, but got {name}. Pass one as the `data_collator` of the Trainer. A wrapper must hold "
            "it as an attribute, such as `data_collator`."
        )
    return collator


def _settings(collator: EpochAwareCollator) -> dict[str, Any]:
    return {field.name: getattr(collator, field.name) for field in dataclasses.fields(collator)}  # type: ignore[arg-type]


def _check_unchanged(collator: EpochAwareCollator, settings: dict[str, Any]) -> None:
    for name, before in settings.items():
        now = getattr(collator, name)
        if now is not before and (_is_array(now) or _is_array(before) or now != before):
            raise RuntimeError(
                f"`{name}` of the collator must not change while `Trainer` trains, because running workers do not see "
                f"the change, but it changed from {before!r} to {now!r}. For a mask rate that changes, pass a schedule "
                "to `MaskRateCallback`; make other changes before training."
            )


def _is_array(value: Any) -> bool:
    """Whether a comparison may have several results."""
    return hasattr(value, "__array__")


def _epochs_done(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """The number of complete epochs as training begins or resumes; for a stream, the number of completed passes."""
    if has_length(loader):
        return state.global_step // _steps_per_epoch(args, state, loader)
    return int(state.epoch or 0)


def _skipped_batches(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """The number of batches that a resumed training skips in its first epoch."""
    if args.ignore_data_skip:
        return 0
    return state.global_step % _steps_per_epoch(args, state, loader) * args.gradient_accumulation_steps


def _steps_per_epoch(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """The steps of an epoch as Trainer counts them: without a length, the whole training is one epoch."""
    return max(math.ceil(len(loader) / args.gradient_accumulation_steps), 1) if has_length(loader) else state.max_steps
