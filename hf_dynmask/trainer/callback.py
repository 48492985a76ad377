"""Trainer's events, turned into what the collator's clock needs to know."""

from __future__ import annotations

import logging
import math
import weakref
from contextlib import suppress
from typing import Any

import torch
from transformers.trainer_callback import ExportableState, TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from hf_dynmask.collators import warned
from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.core.callers import calling_trainer
from hf_dynmask.loading.position import EpochPlan
from hf_dynmask.rates.schedules import (
    FixedRate,
    Rate,
    check_not_a_factory,
    check_schedule,
    checked_evaluation_rate,
    checked_fixed_rate,
    rate_at,
)
from hf_dynmask.strategies.token_losses import TokenLosses
from hf_dynmask.trainer.evaluation_loaders import patch_eval_dataloaders
from hf_dynmask.trainer.training import Training
from hf_dynmask.trainer.training_audit import TrainerAudit, attach_audit_hook

_EVALUATION_RATE = 0.15
_LOGGER = logging.getLogger("hf_dynmask")
_TRAINED: weakref.WeakKeyDictionary[Any, set[int]] = weakref.WeakKeyDictionary()  # a model: the seeds of its masks


class MaskRateCallback(TrainerCallback):
    """Makes the mask rate follow a schedule, exactly: a batch has the rate of the optimizer step that it is used in.

    It serves every collator of this package. It also tells the epoch, so that masks do not depend on workers, ranks or
    resuming; has evaluation use one fixed mask for each example at a fixed rate, and none in fine-tuning; and has
    checkpoints hold the losses that adaptive masks follow.

    The `Trainer`'s collator is left as it is. The training `DataLoader`, and those that the `Trainer` makes for
    evaluation, send each batch's epoch and rate along with its indices, so it does not matter who else calls the
    collator or iterates the loader, nor when workers began. `mask_rate`, the rate of the last optimizer step,
    is added to the training logs: to `trainer.state.log_history` and to what trackers (TensorBoard, W&B, ...) write.

    It keeps nothing between runs: all follows from `trainer.state.global_step`, so a run resumes from any checkpoint,
    with or without a callback of this class in it.

    Args:
        schedule: a function from training progress in [0, 1] to a rate, a number, or a distribution that each sequence
            draws its rate from; None for the collator's own. It takes the place of the collator's; with a warning if
            that is a schedule as well.
        eval_mlm_probability: the rate of evaluation, in [0, 1], or a distribution; None for 0.15, with a warning if
            training ends at a higher rate.
        audit: whether to check that the masks which the model is given are those that were asked for: True checks the
            first steps of a training, the first of each epoch and those that are logged; `"every_step"` each one.
            Where a batch does not hold what that takes, a message says so, once; see [`audit_batch`].

    Raises:
        ValueError: if a rate is not in [0, 1]; when training begins, if the training `DataLoader` has no
            collator to serve, or hands batches out of order (`in_order=False`) under a schedule.
        MaskAuditError: a RuntimeError, before an optimizer step with masks of another step, epoch or seed.
        RuntimeError: under a schedule, once the workers of a streamed dataset no longer take turns, because the share
            of one has ended before those of the others; before a step is made with a batch of another step's rate.

    Example:

        >>> from hf_dynmask import linear_schedule
        >>> callback = MaskRateCallback(linear_schedule(0.30, 0.15))  # Trainer(..., callbacks=[callback])
        >>> round(callback.schedule(0.5), 4), callback.eval_mlm_probability
        (0.225, 0.15)
    """

    def __init__(
        self,
        schedule: Rate | None = None,
        eval_mlm_probability: FixedRate | None = None,
        audit: bool | str = True,
    ) -> None:
        for argument, rate in (("schedule", schedule), ("eval_mlm_probability", eval_mlm_probability)):
            _check_is_no_collator(rate, argument)
            check_not_a_factory(rate, argument)
        if audit not in (True, False, "every_step"):
            raise ValueError(f'`audit` must be True, False or "every_step", but got {audit!r}.')
        self.audit = audit
        if callable(schedule):
            check_schedule(schedule, "schedule")
        self.schedule = schedule if schedule is None or callable(schedule) else checked_fixed_rate(schedule, "schedule")
        chosen = _EVALUATION_RATE if eval_mlm_probability is None else eval_mlm_probability
        self.eval_mlm_probability = checked_fixed_rate(chosen, "eval_mlm_probability", other="")
        self._evaluates_as_chosen = eval_mlm_probability is not None
        self._training: Training | None = None
        self._audit: TrainerAudit | None = None
        self._hook: Any = None

    def evaluation_plan(self, seed: int) -> EpochPlan:
        """What holds for the batches of an evaluation; `seed` counts where the collator has none."""
        return EpochPlan(0, rate=checked_evaluation_rate(self.eval_mlm_probability), seed=seed, is_evaluation=True)

    def on_init_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        trainer = calling_trainer()
        if trainer is not None:
            patch_eval_dataloaders(trainer, self)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        training = self._training = Training(args, state, kwargs["train_dataloader"], self.schedule)
        trainer = calling_trainer()
        if trainer is not None:
            patch_eval_dataloaders(trainer, self)  # also where this callback came later than the `Trainer`
            callbacks = trainer.callback_handler.callbacks
            callbacks.sort(key=lambda other: other is not self)  # so that trackers write what `on_log` adds
            _resume_losses(training.collator.losses, state, callbacks)
        self._begin_audit(training, getattr(trainer, "model_wrapped", kwargs.get("model")))
        if state.is_world_process_zero:
            is_evaluation = getattr(trainer, "eval_dataset", None) is not None
            self._log_and_warn(training, state, kwargs.get("model"), is_evaluation)

    def _begin_audit(self, training: Training, model: Any) -> None:
        self._end_audit()
        collator = training.collator
        if self.audit and training.is_audited and isinstance(model, torch.nn.Module):
            rate = checked_evaluation_rate(self.eval_mlm_probability)
            every_step = self.audit == "every_step"
            self._audit = TrainerAudit(collator, rate, training.columns, training.fills_up_batches, every_step)
            self._hook = attach_audit_hook(model, self._audit)
            if collator.losses is not None:
                collator.losses.label_observer = self._audit.record_labels

    def _end_audit(self) -> None:
        if self._hook is not None:
            self._hook.remove()
        if self._training is not None and self._training.collator.losses is not None:
            self._training.collator.losses.label_observer = None
        self._audit = self._hook = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy is of no training."""
        return {**self.__dict__, "_training": None, "_audit": None, "_hook": None}

    def _log_and_warn(self, training: Training, state: TrainerState, model: Any, is_evaluation: bool) -> None:
        """Logs which masking this is, and warns of what it may not have been meant to be."""
        collator = training.collator
        _LOGGER.info("%s", collator)
        epochs = math.ceil(state.num_train_epochs)
        if training.has_two_schedules:
            warned.warn_two_schedules()
        if state.global_step == 0 and collator.num_mask_patterns is None and collator.seed in _TRAINED.get(model, ()):
            warned.warn_repeated_epochs(collator.seed)
        warned.warn_patterns_never_repeat(collator.num_mask_patterns, epochs)
        if collator.losses is not None:
            warned.warn_single_epoch(epochs)
        if getattr(collator, "padding_free", False):
            warned.warn_attention_across_sequences(
                getattr(getattr(model, "config", None), "_attn_implementation", None)
            )
        masked = isinstance(collator.for_evaluation(self.eval_mlm_probability), EpochAwareCollator)
        if is_evaluation and masked and not self._evaluates_as_chosen:
            with suppress(Exception):  # a schedule that goes wrong at its end does so there, if training comes there
                warned.warn_easier_evaluation(
                    rate_at(collator.rate, state.max_steps, state.max_steps), _EVALUATION_RATE
                )

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._in_training().start_epoch(state)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._in_training().end_epoch()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        training = self._in_training()
        training.check_next()
        if self._audit is not None and training.is_active:
            self._audit.begin_step(args, state, training.epoch, training.first_step)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        training = self._in_training()
        training.check_next()
        training.check_unchanged()
        if self._audit is not None:
            self._audit.end_step()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._in_training().record_consumed()

    on_substep_end = on_step_end

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._end_audit()
        training, self._training = self._training, None
        if training is not None:
            training.end()
            _TRAINED.setdefault(kwargs["model"], set()).add(training.collator.seed)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is None or "loss" not in logs or self._training is None or not self._training.is_active:
            return
        if self._audit is not None:
            self._audit.check()
        rate = rate_at(self._training.collator.rate, max(state.global_step - 1, 0), state.max_steps)
        logs["mask_rate"] = rate
        logged = state.log_history[-1] if state.log_history else {}
        if logged.get("loss") == logs["loss"]:  # a copy of `logs` that `Trainer.log` made before this event
            logged["mask_rate"] = rate

    def _in_training(self) -> Training:
        if self._training is None:
            raise RuntimeError(
                "`MaskRateCallback` must be added to `Trainer` before training begins, but it was added while it "
                "trains. Pass `callbacks=[MaskRateCallback(...)]` to `Trainer`, or call `trainer.add_callback(...)` "
                "before `trainer.train()`."
            )
        return self._training


def _check_is_no_collator(rate: Any, argument: str) -> None:
    if isinstance(rate, EpochAwareCollator):
        raise ValueError(
            f"`{argument}` must be a mask rate or a schedule, but got a {type(rate).__name__}. Pass the collator to "
            "`Trainer` as `data_collator`, and here a schedule such as `linear_schedule(0.30, 0.15)`, or nothing."
        )


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
            self._losses.synchronize()
            self._losses.check_recorded()

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {}, "losses": None if self._losses is None else self._losses.state_dict()}
