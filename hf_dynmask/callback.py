"""Trainer's events, turned into what the collator's clock needs to know."""

from __future__ import annotations

import copy
import math
import sys
from types import FrameType
from typing import Any

from torch.utils.data import IterableDataset
from transformers import Trainer
from transformers.trainer_callback import ExportableState, TrainerCallback, TrainerControl, TrainerState
from transformers.trainer_utils import has_length
from transformers.training_args import TrainingArguments

from hf_dynmask.adaptive import TokenLosses
from hf_dynmask.rates import FixedRate, Rate, checked_fixed_rate, rate_at


class MaskRateCallback(TrainerCallback):
    """Makes the mask rate follow a schedule, exactly: a batch has the rate of the optimizer step that it is used in.

    It serves every collator of this package. It also tells the epoch, so that masks do not depend on workers, ranks or
    resuming; has evaluation use one fixed mask for each example at a fixed rate, and none in fine-tuning; and has
    checkpoints hold the losses that adaptive masks follow.

    The `Trainer`'s collator is left as it is: a twin of it serves evaluation, from the making of the `Trainer` on, and
    another goes into the training `DataLoader` when training begins. `mask_rate`, the rate of the last optimizer step,
    is added to the training logs: to `trainer.state.log_history` and to what trackers (TensorBoard, W&B, ...) write.

    It keeps nothing between runs: all follows from `trainer.state.global_step`, so a run resumes from any checkpoint,
    with or without a callback of this class in it.

    Args:
        schedule: a function from training progress in [0, 1] to a rate, a number, or a distribution that each sequence
            draws its rate from; None for the collator's own.
        eval_mlm_probability: the rate of evaluation, in [0, 1], or a distribution.

    Raises:
        ValueError: if a rate is not in [0, 1]; when training begins, if the training `DataLoader` has no
            collator to serve, or hands batches out of order (`in_order=False`) under a schedule.
    """

    def __init__(self, schedule: Rate | None = None, eval_mlm_probability: FixedRate = 0.15) -> None:
        self.schedule = schedule if schedule is None or callable(schedule) else checked_fixed_rate(schedule, "schedule")
        self.eval_mlm_probability = checked_fixed_rate(eval_mlm_probability, "eval_mlm_probability")
        self._collator: Any = None
        self._epoch: int | None = None

    def on_init_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        trainer = _calling_trainer()
        if trainer is not None:
            self._serve_evaluation(trainer)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        loader = kwargs["train_dataloader"]
        self._collator = _collator_in(loader.collate_fn).for_training(self.schedule, args.seed)
        if callable(self._collator.rate):
            _check_order(loader)
        _put_into(loader, self._collator)
        self._epoch = None
        trainer = _calling_trainer()
        if trainer is not None:
            self._serve_evaluation(trainer)  # also where this callback, or the collator, came later than the `Trainer`
            callbacks = trainer.callback_handler.callbacks
            callbacks.sort(key=lambda other: other is not self)  # so that trackers write what `on_log` adds
            _resume_losses(self._collator.losses, state, callbacks)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        loader = kwargs["train_dataloader"]
        resumed = self._epoch is None
        self._epoch = _first_epoch(args, state, loader) if self._epoch is None else self._epoch + 1
        _drop_leftovers(loader)
        self._collator.set_epoch(
            self._epoch,
            first_step=_first_step(args, state, loader, self._epoch) if resumed else state.global_step,
            total_steps=state.max_steps,
            gradient_accumulation_steps=args.gradient_accumulation_steps * _collated_per_batch(loader),
        )

    def _serve_evaluation(self, trainer: Any) -> None:
        """Has the `Trainer` evaluate with the twin for it, in loaders that it has kept as well."""
        source = _collator_in(trainer.data_collator)
        evaluation = _Evaluation(source, source.for_evaluation(self.eval_mlm_probability))
        trainer.data_collator = _with_collator(trainer.data_collator, evaluation)
        for loader in getattr(trainer, "_eval_dataloaders", {}).values():
            _put_into(loader, evaluation)
            _restart_workers(loader)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if self._collator is None or logs is None or "loss" not in logs:
            return
        logs["mask_rate"] = rate_at(self._collator.rate, max(state.global_step - 1, 0), state.max_steps)
        state.log_history[-1]["mask_rate"] = logs["mask_rate"]  # a copy of `logs`, made before this event


class _Evaluation:
    """Evaluates with one collator, and knows the other, the user's, that training begins from."""

    def __init__(self, source: Any, collator: Any) -> None:
        self.source, self.collator = source, collator

    def __call__(self, examples: Any) -> Any:
        return self.collator(examples)

    def __getattr__(self, name: str) -> Any:
        """All else is the user's, such as the tokenizer, which `Trainer` saves."""
        if name == "source":  # not set yet: a copy is being made
            raise AttributeError(name)
        return getattr(self.source, name)


def _collator_in(collate_fn: Any) -> Any:
    """The user's collator, also inside of wrappers such as `RemoveColumnsCollator`."""
    if isinstance(collate_fn, _Evaluation):
        return collate_fn.source
    if not hasattr(collate_fn, "for_evaluation"):
        if not hasattr(collate_fn, "data_collator"):
            raise ValueError(
                "`MaskRateCallback` needs a `DataCollatorForDynamicMasking`, or another collator of hf_dynmask, as the "
                f"Trainer's `data_collator`, but got {type(collate_fn).__name__}. Pass one; a wrapper must hold it as "
                "its attribute `data_collator`."
            )
        return _collator_in(collate_fn.data_collator)
    return collate_fn


def _put_into(loader: Any, collator: Any) -> None:
    collate_fn = _with_collator(loader.collate_fn, collator)
    loader.collate_fn = collate_fn  # what a resumed epoch's new loader copies
    if hasattr(loader, "base_dataloader"):
        loader.base_dataloader.collate_fn = collate_fn  # what every other epoch iterates


def _with_collator(collate_fn: Any, collator: Any) -> Any:
    if not hasattr(collate_fn, "data_collator"):
        return collator
    wrapper = copy.copy(collate_fn)
    wrapper.data_collator = _with_collator(collate_fn.data_collator, collator)
    return wrapper


def _check_order(loader: Any) -> None:
    if not getattr(loader, "in_order", True):
        raise ValueError(
            "`in_order` of the training DataLoader must be True under a mask rate schedule, but got False: a batch's "
            "optimizer step follows from its place in the order. Pass `dataloader_in_order=True`, or a constant rate."
        )


def _first_epoch(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    return state.global_step // _steps_per_epoch(args, state, loader)


def _first_step(args: TrainingArguments, state: TrainerState, loader: Any, epoch: int) -> int:
    """The optimizer step of the first batch that is collated when a training begins or goes on."""
    if isinstance(loader.dataset, IterableDataset) and not args.ignore_data_skip:
        return epoch * _steps_per_epoch(args, state, loader)  # the batches to be skipped are collated all the same
    return state.global_step


def _steps_per_epoch(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """As Trainer counts them: without a length, the whole training is one epoch."""
    return max(math.ceil(len(loader) / args.gradient_accumulation_steps), 1) if has_length(loader) else state.max_steps


def _collated_per_batch(loader: Any) -> int:
    """accelerate's dispatcher has rank 0 collate the batches of all ranks in turn, unless it splits one of them."""
    dispatches = type(loader).__name__ == "DataLoaderDispatcher" and not loader.split_batches
    return loader.state.num_processes if dispatches else 1


def _drop_leftovers(loader: Any) -> None:
    """Ends persistent workers that still hold batches of an epoch that was stopped early; new ones count from 0."""
    iterator = getattr(getattr(loader, "base_dataloader", loader), "_iterator", None)
    if iterator is not None and iterator._tasks_outstanding:
        _restart_workers(loader)


def _restart_workers(loader: Any) -> None:
    """Ends persistent workers; the next iteration starts new ones, which have the collator as it is then."""
    getattr(loader, "base_dataloader", loader)._iterator = None


def _calling_trainer() -> Any:
    """The `Trainer` that is calling right now: a callback is given no other way to its collator and its callbacks."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not isinstance(frame.f_locals.get("self"), Trainer):
        frame = frame.f_back
    return None if frame is None else frame.f_locals["self"]


def _resume_losses(losses: TokenLosses | None, state: TrainerState, callbacks: list[TrainerCallback]) -> None:
    """Takes up the losses of the checkpoint that the training resumes from, and has them saved from now on."""
    callbacks[:] = [callback for callback in callbacks if type(callback) is not SavesTokenLosses]
    if losses is None:
        return
    losses.reset()
    states: Any = state.stateful_callbacks  # a dict by now
    saved = states.setdefault(SavesTokenLosses.__name__, {})  # Trainer expects an entry at each save
    if saved and state.global_step:
        losses.load_state_dict(saved["losses"])
    callbacks.append(SavesTokenLosses(losses))


class SavesTokenLosses(TrainerCallback, ExportableState):
    """Has each checkpoint hold the losses that adaptive masks follow. [`MaskRateCallback`] adds it where it is needed.

    The losses of all ranks are put together at every step, so that whichever rank saves knows them all.
    """

    def __init__(self, losses: TokenLosses | None = None) -> None:
        self._losses = losses

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._losses is not None:
            self._losses.check_noted()
            self._losses.synchronize()

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {}, "losses": None if self._losses is None else self._losses.state_dict()}
