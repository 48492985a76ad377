"""Numbers the batches of a custom training loop, which no `Trainer` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_dynmask.core.checks import INT64_MAX, checked_epoch, checked_integer
from hf_dynmask.loading.batch_position import EpochPlan
from hf_dynmask.loading.loaders import (
    check_order,
    collated_per_batch,
    find_collator,
    shard_of,
    streams_unequally,
    torch_loader,
)
from hf_dynmask.loading.numbering import number_batches

if TYPE_CHECKING:
    from hf_dynmask.collators.base import EpochAwareCollator


def start_epoch(
    collator: EpochAwareCollator,
    loader: Any,
    epoch: int,
    total_steps: int | None,
    gradient_accumulation_steps: int,
    first_step: int | None,
) -> None:
    """Numbers the batches of a custom training loop: see [`EpochAwareCollator.start_epoch`]."""
    _check_numbers(epoch, total_steps, gradient_accumulation_steps, first_step)
    _check_collates_with(collator, loader)
    if callable(collator.rate):
        _check_steps_are_known(loader, collator.rate_argument, total_steps)
    if first_step is None:
        first_step = 0 if epoch == 0 else epoch * _steps_per_epoch(loader, gradient_accumulation_steps, collator)
    sampler, _ = number_batches(loader)
    calls = collator._clock.set_epoch_calls
    batches = gradient_accumulation_steps * collated_per_batch(loader)
    rank, ranks = shard_of(loader)
    sampler.plan = EpochPlan(
        epoch, first_step, 0, batches, total_steps, single_pass=True, set_epoch_calls=calls, rank=rank, ranks=ranks
    )


def _check_numbers(
    epoch: int, total_steps: int | None, gradient_accumulation_steps: int, first_step: int | None
) -> None:
    checked_epoch(epoch)
    checked_integer(gradient_accumulation_steps, "gradient_accumulation_steps", 1, "Pass 1 for none.", INT64_MAX)
    if total_steps is not None:
        remedy = "Pass the number of optimizer steps of the whole training."
        checked_integer(total_steps, "total_steps", 1, remedy, INT64_MAX)
    if first_step is not None:
        remedy = "Pass the number of optimizer steps done before this epoch."
        checked_integer(first_step, "first_step", 0, remedy, INT64_MAX)


def _check_collates_with(collator: EpochAwareCollator, loader: Any) -> None:
    """Checks that a loader collates with this collator.

    Raises:
        ValueError: if it does not.
    """
    found = find_collator(getattr(torch_loader(loader), "collate_fn", None))
    if found is not collator:
        collates = "another collator" if found is not None else "no collator of hf_dynmask"
        raise ValueError(
            f"`loader` must collate with this collator, but it has {collates}. Create the DataLoader with "
            "`collate_fn=collator`."
        )


def _check_steps_are_known(loader: Any, argument: str, total_steps: int | None) -> None:
    if total_steps is None:
        raise ValueError(
            f"`total_steps` is required when `{argument}` is a schedule, but got None. Pass the number of optimizer "
            "steps of the whole training."
        )
    check_order(loader)
    if streams_unequally(loader):
        raise ValueError(
            f"`num_workers` must be 0 or 1 for streamed data when `{argument}` is a schedule, but the loader has more. "
            "If the share of one worker ends early, the others take over its turns, and the optimizer step of a batch "
            "is unknown. Use one worker, or use `Trainer` with `MaskRateCallback`, which detects that."
        )


def _steps_per_epoch(loader: Any, gradient_accumulation_steps: int, collator: EpochAwareCollator) -> int:
    try:
        batches = len(loader)
    except TypeError:  # a stream
        if not callable(collator.rate):
            return 0
        raise ValueError(
            "`first_step` is required after the first epoch for a loader without a length, but got None. Pass the "
            "number of optimizer steps done before this epoch."
        ) from None
    return -(-batches // gradient_accumulation_steps)
