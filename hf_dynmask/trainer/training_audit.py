"""Checks during training that the model receives the expected masks.

The audit reads the arguments of the model's `forward`, so it covers every loader, wrapper and cache before it. A hook
records the batches of a step, and the events of the callback check them. A hook that an interrupted training leaves on
the model has no effect.
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
from hf_dynmask.trainer.audit_explanation import Candidate, Explanation, explain_mismatch
from hf_dynmask.trainer.batch_audit import Audit, audit_batch, compare, restore_batch

_LOGGER = logging.getLogger("hf_dynmask")
_FIRST_STEPS = 3  # steps that are always checked when training begins or resumes
_SEARCH_DISTANCE = 8  # an explanation considers this many steps and epochs before and after the expected ones
_MAX_FORWARDS = 4  # forward passes that are recorded for each batch: a loss may need several
_COLUMNS = ("input_ids", "labels", "attention_mask", "position_ids", "cu_seq_lens_q", "seq_idx", "mask_rate")


class MaskAuditError(RuntimeError):
    """The model received masks other than the expected ones."""


class TrainerAudit:
    """The audit of one training.

    Args:
        collator: the collator of the training batches.
        evaluation_rate: the mask rate of evaluation. An error can then identify evaluation masks.
        columns: returns the columns of the examples that the masks depend on and that are not in a batch.
        fills_up_batches: whether the loader completes the last batch of an epoch with sequences of the first batch, as
            the dispatcher of accelerate does for several processes.
        every_step: whether to check every step.
    """

    def __init__(
        self,
        collator: EpochAwareCollator,
        evaluation_rate: FixedRate,
        columns: Callable[[], Collection[str]],
        fills_up_batches: bool,
        every_step: bool,
    ) -> None:
        self._collator, self._evaluation_rate, self._columns = collator, evaluation_rate, columns
        self._fills_up_batches, self._every_step = fills_up_batches, every_step
        self._steps_begun = 0  # in this training
        self._step, self._total_steps = 0, 1
        self._epoch, self._first_step = 0, 0
        self._is_checked_step = self._is_recording = False
        self._recorded: deque[dict[str, Any]] = deque()  # what the model received in this step
        self._reported: set[str] = set()

    def begin_step(self, args: TrainingArguments, state: TrainerState, epoch: int, first_step: int) -> None:
        """Starts recording. Call this before the first batch of an optimizer step is used.

        Args:
            args: the arguments of the `Trainer`.
            state: the state of the `Trainer`.
            epoch: the epoch of the step.
            first_step: the first step of this epoch.
        """
        is_early = epoch != self._epoch or self._steps_begun < _FIRST_STEPS
        self._step, self._total_steps = state.global_step, state.max_steps
        self._epoch, self._first_step = epoch, first_step
        self._steps_begun += 1
        self._is_checked_step = is_early or self._every_step or _is_logged(args, state)
        self._is_recording = True
        batches = args.gradient_accumulation_steps if self._is_checked_step else 1
        self._recorded = deque(maxlen=_MAX_FORWARDS * batches)

    def record(self, batch: Mapping[str, Any]) -> None:
        """Records a batch that the model receives in training."""
        if self._is_recording:
            self._recorded.append({name: batch[name] for name in _COLUMNS if batch.get(name) is not None})

    def record_labels(self, labels: torch.Tensor, mask_rate: torch.Tensor | None = None) -> None:
        """Records labels and rates of the last batch, if a loss function receives them instead of the model."""
        if self._is_recording and self._recorded:
            self._recorded[-1].setdefault("labels", labels)
            if mask_rate is not None:
                self._recorded[-1].setdefault("mask_rate", mask_rate)

    def end_step(self) -> None:
        """Stops recording, and checks the step if a check is due. Call this before the optimizer step.

        Raises:
            MaskAuditError: if the model received other masks than the expected ones.
        """
        self._is_recording = False
        if self._is_checked_step:
            self.check()

    def check(self) -> None:
        """Checks the recorded batches that are not checked yet.

        A loss may also call the model with inputs of its own. So a batch whose masks cannot be identified is ignored if
        the model also received a batch with the expected masks.

        Raises:
            MaskAuditError: if the model received other masks than the expected ones.
        """
        batches, self._recorded = self._recorded, deque()
        audits = [self._audit(batch) for batch in batches]
        wrong = [batch for batch, audit in zip(batches, audits, strict=True) if not self._is_correct(batch, audit)]
        some_are_correct = len(wrong) < sum(audit.coverage != "none" for audit in audits)
        for explanation in map(self._explain, wrong):
            if not some_are_correct or explanation.candidate is not None:
                raise MaskAuditError(self._error_message(explanation))
        if audits and not wrong:
            self._log_coverage(audits)

    def _audit(self, batch: Mapping[str, Any]) -> Audit:
        expected = self._expected()
        return audit_batch(self._collator, batch, epoch=expected.epoch, rate=expected.rate, columns=self._columns())

    def _expected(self) -> Candidate:
        return self._candidate(self._step, self._epoch)

    def _candidate(self, step: int, epoch: int) -> Candidate:
        rate = self._collator.rate
        rate_of_step = rate_at(rate, step, self._total_steps) if callable(rate) else rate
        return Candidate(f"step {step} of epoch {epoch}", epoch, rate_of_step)

    def _is_correct(self, batch: Mapping[str, Any], audit: Audit) -> bool:
        return audit.matches or (self._fills_up_batches and self._is_filled_up(batch))

    def _is_filled_up(self, batch: Mapping[str, Any]) -> bool:
        """Whether each sequence has the masks of this step, or those of the first step of the epoch."""
        restored = restore_batch(self._collator, batch)
        this_step, first_step = (
            compare(self._collator, restored, batch, each.epoch, each.rate, self._columns()).mismatches
            for each in (self._expected(), self._candidate(self._first_step, self._epoch))
        )
        return not (this_step & first_step).any()

    def _explain(self, batch: Mapping[str, Any]) -> Explanation:
        return explain_mismatch(self._collator, batch, self._expected(), self._candidates(), self._columns())

    def _candidates(self) -> Iterator[Candidate]:
        """The masks that a wrong batch may have: of the nearest steps, of the nearest epochs, and of evaluation."""
        for step in _nearest(self._step):
            if callable(self._collator.rate) and 0 <= step < self._total_steps:
                yield self._candidate(step, self._epoch)
        for epoch in _nearest(self._epoch):
            if epoch >= 0:
                yield self._candidate(self._step, epoch)
        yield Candidate("evaluation", 0, self._evaluation_rate)

    def _error_message(self, explanation: Explanation) -> str:
        expected = self._expected()
        rate = f" at a rate of {expected.rate:.3g}" if isinstance(expected.rate, float) else ""
        return (
            f"The model must receive the masks of {expected.name}{rate}, but it received {explanation}. Probably a "
            "loader, a worker or a wrapper kept an earlier collator or batch, or other code changed the batch. Return "
            "a new `DataLoader` from `get_train_dataloader`, with the `data_collator` of the Trainer. If your code "
            "changes inputs on purpose, pass `audit=False` to `MaskRateCallback`."
        )

    def _log_coverage(self, audits: list[Audit]) -> None:
        """Logs why the audit is partial or impossible: once for each of the two."""
        best = max(audits, key=lambda audit: ("none", "partial", "full").index(audit.coverage))
        if best.reason and best.coverage not in self._reported:
            self._reported.add(best.coverage)
            extent = "not audited" if best.coverage == "none" else "only partly audited"
            _LOGGER.warning("The masks that the model receives are %s: %s.", extent, best.reason)


def attach_audit_hook(model: torch.nn.Module, audit: TrainerAudit) -> Any:
    """Records each batch that the model receives in training, before its other hooks run. Returns the hook's handle."""
    return model.register_forward_pre_hook(_AuditHook(audit), prepend=True, with_kwargs=True)


class _AuditHook:
    """A forward hook. It refers to the audit weakly, and its copies and pickles refer to no audit."""

    def __init__(self, audit: TrainerAudit | None = None) -> None:
        self._audit = (lambda: None) if audit is None else weakref.ref(audit)

    @torch.compiler.disable
    def __call__(self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        audit = self._audit()
        if audit is not None and model.training and torch.is_grad_enabled():
            audit.record(_arguments_by_name(model, args, kwargs))

    def __reduce__(self) -> tuple[Any, ...]:
        return _AuditHook, ()


def _arguments_by_name(model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """The arguments of `forward`."""
    if not args:
        return kwargs
    if isinstance(args[0], Mapping):
        return args[0]
    return inspect.signature(model.forward).bind_partial(*args, **kwargs).arguments


def _nearest(number: int) -> Iterator[int]:
    """The numbers before and after this one, the nearest first."""
    for distance in range(1, _SEARCH_DISTANCE + 1):
        yield number - distance
        yield number + distance


def _is_logged(args: TrainingArguments, state: TrainerState) -> bool:
    """Whether `Trainer` logs after the optimizer step that begins."""
    if args.logging_first_step and state.global_step == 0:
        return True
    return args.logging_strategy == "steps" and (state.global_step + 1) % max(state.logging_steps, 1) == 0
