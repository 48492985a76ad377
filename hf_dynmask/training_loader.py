"""The DataLoader that `Trainer` trains on, as accelerate wraps it: what it collates with, and when it is used."""

from __future__ import annotations

import copy
import math
from typing import Any

from torch.utils.data import IterableDataset
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import has_length
from transformers.training_args import TrainingArguments

from hf_dynmask.turns import Turns


def collator_in(collate_fn: Any) -> Any | None:
    """The collator of this package in there, also inside of wrappers such as `RemoveColumnsCollator`, or None."""
    while collate_fn is not None and not hasattr(collate_fn, "for_evaluation"):
        collate_fn = getattr(collate_fn, "data_collator", None)
    return collate_fn


def put_into(loader: Any, collator: Any) -> None:
    """Has the loader collate with `collator`, within the wrappers that it has."""
    collate_fn = with_collator(loader.collate_fn, collator)
    loader.collate_fn = collate_fn  # what a resumed epoch's new loader copies
    if hasattr(loader, "base_dataloader"):
        loader.base_dataloader.collate_fn = collate_fn  # what every other epoch iterates


def with_collator(collate_fn: Any, collator: Any) -> Any:
    """`collator` within the wrappers of `collate_fn`, such as `RemoveColumnsCollator`."""
    if not hasattr(collate_fn, "data_collator"):
        return collator
    wrapper = copy.copy(collate_fn)
    wrapper.data_collator = with_collator(collate_fn.data_collator, collator)
    return wrapper


def check_order(loader: Any) -> None:
    """Refuses a loader whose batches come as they are ready, so that their steps cannot be known.

    Raises:
        ValueError: if it is such a loader.
    """
    if not getattr(loader, "in_order", True):
        raise ValueError(
            "`in_order` of the training DataLoader must be True under a mask rate schedule, but got False: a batch's "
            "optimizer step follows from its place in the order. Pass `dataloader_in_order=True`, or a constant rate."
        )


def turns_of(loader: Any, checked: bool) -> Turns:
    """What checks, if it is to be `checked` and not sure anyway, that the loader's workers take turns."""
    streams = isinstance(loader.dataset, IterableDataset) and loader.num_workers > 1
    return Turns(loader.num_workers, collated_per_batch(loader), checked and streams and _collates_here(loader))


def first_epoch(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """The epoch that a training begins or goes on in, as Trainer counts them; of a stream, the passes over it."""
    if has_length(loader):
        return state.global_step // _steps_per_epoch(args, state, loader)
    return int(state.epoch or 0)


def first_step(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """The optimizer step of the first batch that is collated when a training begins or goes on."""
    if isinstance(loader.dataset, IterableDataset) and not args.ignore_data_skip:
        # the batches to be skipped are collated all the same
        return state.global_step - state.global_step % _steps_per_epoch(args, state, loader)
    return state.global_step


def _steps_per_epoch(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """As Trainer counts them: without a length, the whole training is one epoch."""
    return max(math.ceil(len(loader) / args.gradient_accumulation_steps), 1) if has_length(loader) else state.max_steps


def collated_per_batch(loader: Any) -> int:
    """accelerate's dispatcher has rank 0 collate the batches of all ranks in turn, unless it splits one of them."""
    dispatches = type(loader).__name__ == "DataLoaderDispatcher" and not loader.split_batches
    return loader.state.num_processes if dispatches else 1


def _collates_here(loader: Any) -> bool:
    """Whether what this process uses is collated by its own loader, not by that of rank 0."""
    return type(loader).__name__ != "DataLoaderDispatcher" or loader.state.process_index == 0


def drop_leftovers(loader: Any) -> None:
    """Ends persistent workers that still hold batches of an epoch that was stopped early; new ones count from 0."""
    iterator = getattr(getattr(loader, "base_dataloader", loader), "_iterator", None)
    if iterator is not None and iterator._tasks_outstanding:
        restart_workers(loader)


def restart_workers(loader: Any) -> None:
    """Ends persistent workers; the next iteration starts new ones, which have the collator as it is then."""
    getattr(loader, "base_dataloader", loader)._iterator = None
