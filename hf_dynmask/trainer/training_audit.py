"""Checks, while a `Trainer` trains, that its model receives the masks that were asked for.

The audit reads the arguments of the model's `forward`, so it does not matter which code loaded, wrapped, replicated or
kept a batch. A hook records the batches of a step, and the events of the callback check them. If an interrupted
training leaves the hook behind, it does nothing.
"""

from __future__ import annotations

import inspect
import logging
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from transformers.trainer_callback import TrainerState
from transformers.training_args import TrainingArguments

from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.rates.schedules import FixedRate, rate_at
from hf_dynmask.trainer.audit import Audit, audit_batch, compare, restore_batch
from hf_dynmask.trainer.audit_explanation import Candidate, Explanation, explain_mismatch

_LOGGER = logging.getLogger("hf_dynmask")
_FIRST_STEPS = 3  # of a training, or after it is resumed
_NEAR = 8  # steps and epochs that are tried before and after
_FORWARDS = 4  # that are noted for each batch: a loss may take several
_READ = ("input_ids", "labels", "attention_mask", "position_ids", "cu_seq_lens_q", "mask_rate")


class MaskAuditError(RuntimeError):
    """The model received other masks than those that were asked for."""


class TrainerAudit:
    """The audit of one training.

    Args:
        collator: the collator with the rate and the seed of the training.
        evaluation_rate: the rate of evaluation, whose masks an error can recognize.
        columns: returns the columns of the examples that masks also depend on, and that the batch does not hold.
        fills_up: whether the loader fills up the last batch of an epoch with sequences of the first, as accelerate's
            dispatcher does for several processes.
        every_step: whether to check every step.
    """

    def __init__(
        self,
        collator: EpochAwareCollator,
        checked_evaluation_rate: FixedRate,
        columns: Callable[[], Collection[str]],
        fills_up: bool,
        every_step: bool,
    ) -> None:
        self._collator, self._evaluation_rate, self._columns = collator, checked_evaluation_rate, columns
        self._fills_up, self._every_step = fills_up, every_step
        self._steps = 0  # begun in this training
        self._step, self._total_steps = 0, 1
        self._epoch, self._first_step = 0, 0  # the epoch, and the step that it began with
        self._is_due = self._is_open = False
        self._recorded: deque[dict[str, Any]] = deque()  # what the model was given in this step
        self._reported: set[str] = set()

    def begin_step(self, args: TrainingArguments, state: TrainerState, epoch: int, first_step: int) -> None:
        """Starts an optimizer step, before its first batch is used.

        Args:
            args: of the `Trainer`.
            state: of the `Trainer`.
            epoch: the epoch of the step.
            first_step: the first step of the epoch.
        """
        starts = epoch != self._epoch or self._steps < _FIRST_STEPS
        self._step, self._total_steps = state.global_step, state.max_steps
        self._epoch, self._first_step = epoch, first_step
        self._steps += 1
        self._is_due, self._is_open = starts or self._every_step or _logs_after(args, state), True
        batches = args.gradient_accumulation_steps if self._is_due else 1
        self._recorded = deque(maxlen=_FORWARDS * batches)

    def record(self, batch: Mapping[str, Any]) -> None:
        """Records a batch that the model receives in training."""
        if self._is_open:
            self._recorded.append({name: batch[name] for name in _READ if batch.get(name) is not None})

    def record_labels(self, labels: torch.Tensor) -> None:
        """Records labels that the library's loss function receives instead of the model."""
        if self._is_open and self._recorded:
            self._recorded[-1].setdefault("labels", labels)

    def end_step(self) -> None:
        """Ends the batches of a step, before the optimizer step, and checks them if they are due.

        Raises:
            MaskAuditError: if their masks are not those that were asked for.
        """
        self._is_open = False
        if self._is_due:
            self.check()

    def check(self) -> None:
        """Checks the batches of the step that were not checked yet.

        If some batches are right, a batch that matches nothing is ignored: a loss may call the model with other inputs.

        Raises:
            MaskAuditError: if their masks are not those that were asked for.
        """
        batches, self._recorded = self._recorded, deque()
        audits = [self._audit(batch) for batch in batches]
        wrong = [batch for batch, audit in zip(batches, audits, strict=True) if not self._is_right(batch, audit)]
        are_right = len(wrong) < sum(audit.kind != "none" for audit in audits)
        for batch in wrong:
            found = self._explained(batch)
            if not are_right or found.candidate is not None:
                raise MaskAuditError(self._message(found))
        if audits and not wrong:
            self._report_gaps(audits)

    def _audit(self, batch: Mapping[str, Any]) -> Audit:
        asked = self._asked()
        return audit_batch(self._collator, batch, epoch=asked.epoch, rate=asked.rate, columns=self._columns())

    def _asked(self) -> Candidate:
        return self._candidate(self._step, self._epoch)

    def _candidate(self, step: int, epoch: int) -> Candidate:
        rate = self._collator.rate
        return Candidate(
            f"step {step} of epoch {epoch}", epoch, rate_at(rate, step, self._total_steps) if callable(rate) else rate
        )

    def _is_right(self, batch: Mapping[str, Any], audit: Audit) -> bool:
        return audit.matches or (self._fills_up and self._is_filled_up(batch))

    def _is_filled_up(self, batch: Mapping[str, Any]) -> bool:
        """Whether the sequences that differ have the masks of the first step, as the first batch of the epoch."""
        restored = restore_batch(self._collator, batch)
        differ = [
            compare(self._collator, restored, batch, each.epoch, each.rate, self._columns()).differs
            for each in (self._asked(), self._candidate(self._first_step, self._epoch))
        ]
        return not (differ[0] & differ[1]).any()

    def _explained(self, batch: Mapping[str, Any]) -> Explanation:
        return explain_mismatch(self._collator, batch, self._asked(), self._candidates(), self._columns())

    def _candidates(self) -> Iterator[Candidate]:
        """Masks that the batch may have instead, the nearest first."""
        for distance in range(1, _NEAR + 1):
            for step in (self._step - distance, self._step + distance):
                if callable(self._collator.rate) and 0 <= step < self._total_steps:
                    yield self._candidate(step, self._epoch)
        for distance in range(1, _NEAR + 1):
            for epoch in (self._epoch - distance, self._epoch + distance):
                if epoch >= 0:
                    yield self._candidate(self._step, epoch)
        yield Candidate("evaluation", 0, self._evaluation_rate)

    def _message(self, found: Explanation) -> str:
        asked = self._asked()
        rate = f" at a rate of {asked.rate:.3g}" if isinstance(asked.rate, float) else ""
        return (
            f"the model must be given the masks of {asked.label}{rate}, but it was given {found}. Probably a loader, a "
            "worker or a wrapper has kept an earlier collator or batch, or code has changed the batch. Return a new "
            "`DataLoader` with the `data_collator` of the Trainer from `get_train_dataloader`. If you change inputs on "
            "purpose, pass `audit=False` to `MaskRateCallback`."
        )

    def _report_gaps(self, audits: list[Audit]) -> None:
        """Logs once why the audit is not full, and once more if later batches allow less."""
        audit = max(audits, key=lambda each: ("none", "partial", "full").index(each.kind))
        if audit.reason and audit.kind not in self._reported:
            self._reported.add(audit.kind)
            how = "not audited" if audit.kind == "none" else "audited in part"
            _LOGGER.warning("The masks that the model receives are %s: %s.", how, audit.reason)


def attach_audit_hook(model: torch.nn.Module, audit: TrainerAudit) -> Any:
    """Makes the audit record what a model receives in training, before other hooks run; returns the hook's handle."""
    return model.register_forward_pre_hook(_AuditHook(audit), prepend=True, with_kwargs=True)


class _AuditHook:
    """A forward hook. It refers to the audit weakly, and a copied or pickled model has no audit."""

    def __init__(self, audit: TrainerAudit | None = None) -> None:
        self._audit = (lambda: None) if audit is None else weakref.ref(audit)

    @torch.compiler.disable
    def __call__(self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        audit = self._audit()
        if audit is not None and model.training and torch.is_grad_enabled():
            audit.record(_named(model, args, kwargs))

    def __reduce__(self) -> tuple[Any, ...]:
        return _AuditHook, ()


def _named(model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """The arguments of `forward` by name."""
    if not args:
        return kwargs
    if isinstance(args[0], Mapping):
        return args[0]
    return inspect.signature(model.forward).bind_partial(*args, **kwargs).arguments


def _logs_after(args: TrainingArguments, state: TrainerState) -> bool:
    """Whether `Trainer` logs after the optimizer step that is about to begin."""
    if args.logging_first_step and state.global_step == 0:
        return True
    return args.logging_strategy == "steps" and (state.global_step + 1) % max(state.logging_steps, 1) == 0
