"""The callback: turns Trainer's events into plans for its loaders, and checks the result."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import torch
from transformers import Trainer
from transformers.trainer_callback import TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.core.checks import INT64_MAX, checked_flag, checked_integer
from hf_dynmask.loading.batch_position import EpochPlan
from hf_dynmask.rates.schedules import (
    FixedRate,
    Rate,
    check_not_a_factory,
    check_schedule,
    checked_evaluation_rate,
    checked_fixed_rate,
)
from hf_dynmask.trainer.binding import Binding, calling_trainer, check_needs_no_trainer
from hf_dynmask.trainer.evaluation_loaders import check_evaluation_loader
from hf_dynmask.trainer.first_epoch import remember_epochs, resolve_first_epoch
from hf_dynmask.trainer.log_statistics import LogStatistics, ranks_share_batches
from hf_dynmask.trainer.loss_checkpoint import resume_losses
from hf_dynmask.trainer.packing_checks import check_packing
from hf_dynmask.trainer.start_warnings import warn_about_evaluation, warn_at_start, warn_metrics_of_views
from hf_dynmask.trainer.training import Training
from hf_dynmask.trainer.training_audit import TrainerAudit, attach_audit_hook

_EVALUATION_RATE = 0.15
_LOGGER = logging.getLogger("hf_dynmask")


class MaskRateCallback(TrainerCallback):
    """Makes the mask rate follow a schedule: each batch has exactly the rate of the optimizer step that uses it.

    The callback works with every collator of this package. It also:

    - makes the epoch known, so masks do not depend on workers, ranks or resuming;
    - evaluates with one fixed mask for each example at a fixed rate, and without masks in fine-tuning;
    - saves the losses that adaptive masks follow with each checkpoint;
    - adds `mask_rate`, the rate of the last optimizer step, to the training logs: to `trainer.state.log_history` and to
      trackers such as TensorBoard and W&B. With complementary views, it is 0.5, the mean of both.

    It does not change the `Trainer`'s collator. The training `DataLoader` and the loaders that the `Trainer` makes for
    evaluation send the epoch and the rate of each batch along with its indices. Other code may call the collator or
    iterate a loader at any time, and workers may start at any time.

    The callback has no state of its own. Everything follows from `trainer.state.global_step`, so a run resumes from any
    checkpoint, whether or not it was saved with this callback.

    Args:
        schedule: a function from training progress in [0, 1] to a rate in [0, 1]; or a rate; or a distribution that
            each sequence draws its rate from. It replaces the collator's own rate, with a warning if that is also
            a schedule. None: the collator's own rate.
        eval_mlm_probability: the rate of evaluation in [0, 1], or a distribution. None: 0.15, with a warning if
            training ends at a higher rate.
        audit: whether to check that the model receives the masks that were asked for. True checks the first steps of
            training, the first step of each epoch, and every step that is logged; `"every_step"` checks all steps. If
            a batch does not hold the data for a full check, a log message says so once; see [`audit_batch`].
        first_epoch: the epoch in which masks begin, for a further phase of training on the same data and seed: the
            number of epochs before it. None: if the model was loaded from a checkpoint of a `Trainer`, the number of
            its epochs, and 0 otherwise. If that training had several views, these count like epochs. Resumed training
            keeps its own. With `restore_callback_states_from_checkpoint`, transformers logs that it ignores the entry
            `hf_dynmask`, which this callback reads.
        log_statistics: whether to add to each training log, beside `mask_rate`, what all ranks have used since the last
            log: `masked_fraction`, the masked tokens as a fraction of the maskable ones; `num_labels`, the mean number
            of labels in an optimizer step; `padding_fraction`, the padding as a fraction of all input tokens; and
            `waiting_fraction`, the fraction of time spent waiting for batches, as the mean of all ranks. It leaves out
            the time of evaluation, saving and logging. The work of other callbacks between steps counts as waiting. The
            collator counts the tokens, in the workers. A value that is unknown is left out, and a log message says so
            once. All ranks must call `trainer.log`, as `Trainer` does.

    Raises:
        ValueError: if a rate is not in [0, 1], `log_statistics` is not a bool, or `first_epoch` is negative; when
            training begins, if the training `DataLoader` has no collator of this package, yields batches out of order
            (`in_order=False`) under a schedule, or resumes with another `first_epoch`.
        MaskAuditError: before an optimizer step whose batch has the masks of another step, epoch or seed.
        RuntimeError: when training begins, if the `Trainer` is unknown and something depends on it (see [`bind`]);
            under a schedule, before a step whose batch may have another step's rate, because a worker of a streamed
            dataset reached the end of its share before the others.

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
        first_epoch: int | None = None,
        log_statistics: bool = False,
    ) -> None:
        for argument, rate in (("schedule", schedule), ("eval_mlm_probability", eval_mlm_probability)):
            _check_is_no_collator(rate, argument)
            check_not_a_factory(rate, argument)
        if audit not in (True, False, "every_step"):
            raise ValueError(
                f'`audit` must be True, False or "every_step", but got {audit!r}. Pass "every_step" to check all steps.'
            )
        self.audit = audit
        remedy = "Pass the number of epochs of the phases before."
        self.first_epoch = (
            None if first_epoch is None else checked_integer(first_epoch, "first_epoch", 0, remedy, INT64_MAX)
        )
        self.log_statistics = checked_flag(log_statistics, "log_statistics")
        if callable(schedule):
            check_schedule(schedule, "schedule")
        self.schedule = schedule if schedule is None or callable(schedule) else checked_fixed_rate(schedule, "schedule")
        chosen = _EVALUATION_RATE if eval_mlm_probability is None else eval_mlm_probability
        self.eval_mlm_probability = checked_fixed_rate(chosen, "eval_mlm_probability", other="")
        self._has_evaluation_rate = eval_mlm_probability is not None
        self._binding = Binding()
        self._training: Training | None = None
        self._audit: TrainerAudit | None = None
        self._statistics: LogStatistics | None = None
        self._hook: Any = None

    def evaluation_plan(self, seed: int) -> EpochPlan:
        """The settings of all batches of an evaluation; `seed` is used if the collator has none."""
        return EpochPlan(0, rate=checked_evaluation_rate(self.eval_mlm_probability), seed=seed, is_evaluation=True)

    def bind(self, trainer: Trainer) -> None:
        """Connects this callback to a `Trainer`: transformers does not give callbacks access to it.

        You rarely need to call this. A `Trainer` created with `callbacks=[MaskRateCallback(...)]` is bound at once, and
        any other when `trainer.train()` begins. Call it if you add the callback later and evaluate before you train, or
        if code outside the `Trainer`'s methods runs the training loop.

        Binding does three things. It adds the callback to the `Trainer` if it is missing. It moves the callback to the
        front, so that trackers see the `mask_rate` that it adds to logs. It wraps `trainer.get_eval_dataloader` and
        `trainer.get_test_dataloader`, so that the batches of their loaders are marked as evaluation.

        A callback may be bound to several Trainers. Binding twice has no further effect.

        Args:
            trainer: the `Trainer` that this callback is for.

        Raises:
            ValueError: if `trainer` is not a `Trainer`.
        """
        self._binding.add(trainer, self)

    def record_labels(self, labels: torch.Tensor, mask_rate: torch.Tensor | None = None) -> None:
        """Completes the batch that the audit recorded last, for a loss that receives these columns outside the model.

        Args:
            labels: the labels of the batch.
            mask_rate: its rates, if it has any.
        """
        if self._audit is not None:
            self._audit.record_labels(labels, mask_rate)

    def on_init_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        trainer = calling_trainer()
        if trainer is not None:
            self.bind(trainer)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        first_epoch = partial(resolve_first_epoch, self.first_epoch, state, kwargs.get("model"))
        training = self._training = Training(args, state, kwargs["train_dataloader"], self.schedule, first_epoch)
        trainer = self._binding.trainer_of(state) or calling_trainer()
        if trainer is None:
            check_needs_no_trainer(args, training.collator)
        else:
            self.bind(trainer)  # even if it is bound: the list of callbacks or a method may have been replaced since
            resume_losses(training.collator.losses, state, trainer.callback_handler.callbacks)
        check_packing(training.collator, kwargs.get("model"), kwargs["train_dataloader"], trainer)
        if self._has_evaluation_rate:
            training.collator.for_evaluation(self.eval_mlm_probability)  # raises now what evaluation would raise
        self._begin_audit(training, getattr(trainer, "model_wrapped", kwargs.get("model")))
        self._statistics = None
        if self.log_statistics:
            self._statistics = LogStatistics(training.count_tokens(), args, ranks_share_batches())
        if state.is_world_process_zero:
            _LOGGER.info("%s", training.collator)
            warn_at_start(training, state, kwargs.get("model"))
            if getattr(trainer, "compute_metrics", None) is not None:
                warn_metrics_of_views(getattr(training.collator, "views", 1))
            if getattr(trainer, "eval_dataset", None) is not None and not self._has_evaluation_rate:
                warn_about_evaluation(training.collator, _EVALUATION_RATE, state.max_steps)

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
        """Leaves out the current training: a copy has none."""
        return {**self.__dict__, "_training": None, "_audit": None, "_hook": None, "_statistics": None}

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._in_training().start_epoch(state)
        self._wait()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._in_training().end_epoch()
        if self._statistics is not None:
            self._statistics.end_epoch()

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        training = self._in_training()
        if self._statistics is not None:
            self._statistics.begin_step()
            training.begin_step()
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
        if self._statistics is not None:
            self._statistics.end_step()

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._in_training().record_consumed()

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._wait()

    on_save = on_evaluate

    def _wait(self) -> None:
        if self._statistics is not None:
            self._statistics.wait()

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        check_evaluation_loader(kwargs.get("eval_dataloader"))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._end_audit()
        self._statistics = None
        training, self._training = self._training, None
        if training is not None:
            training.end()
            remember_epochs(kwargs["model"], training.collator, training.epoch)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is not None and "loss" in logs and self._training is not None and self._training.is_active:
            self._complete_logs(logs, self._training, state)
        self._wait()

    def _complete_logs(self, logs: dict[str, float], training: Training, state: TrainerState) -> None:
        if self._audit is not None:
            self._audit.check()
        added = training.rate_log(max(state.global_step - 1, 0), state.max_steps)
        if self._statistics is not None and "learning_rate" in logs:  # a log of `Trainer` itself, so of all ranks
            added |= self._statistics.take()
        logs.update(added)
        logged = state.log_history[-1] if state.log_history else {}
        loss = logged.get("loss")
        if loss is logs["loss"] or loss == logs["loss"]:  # `Trainer.log` has copied `logs`; a loss may be NaN
            logged.update(added)

    def _in_training(self) -> Training:
        if self._training is None:
            raise RuntimeError(
                "`MaskRateCallback` must be added to `Trainer` before training begins, but it was added during "
                "training. Pass `callbacks=[MaskRateCallback(...)]` to `Trainer`, or call `trainer.add_callback(...)` "
                "before `trainer.train()`."
            )
        return self._training


def _check_is_no_collator(rate: Any, argument: str) -> None:
    if isinstance(rate, EpochAwareCollator):
        raise ValueError(
            f"`{argument}` must be a mask rate or a schedule, but got a {type(rate).__name__}. Pass the collator to "
            "`Trainer` as `data_collator`, and pass a schedule such as `linear_schedule(0.30, 0.15)`, or nothing, here."
        )
