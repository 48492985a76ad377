"""Checks, while a `Trainer` trains, that the masks which its model is given are those that were asked for.

It looks at what the model's `forward` receives, so it does not matter who loaded, wrapped, replicated or kept what.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from transformers.trainer_callback import TrainerState
from transformers.training_args import TrainingArguments

from hf_dynmask.audit import Audit, audit_batch, compared, restored_batch
from hf_dynmask.audit_explanation import Candidate, explain_mismatch
from hf_dynmask.clocked import ClockedCollator
from hf_dynmask.rates import FixedRate, rate_at

_LOGGER = logging.getLogger("hf_dynmask")
_FIRST_STEPS = 3  # of a training, or after it is resumed
_NEAR = 8  # steps and epochs that are tried before and after
_READ = ("input_ids", "labels", "attention_mask", "position_ids", "cu_seq_lens_q", "mask_rate")


class MaskAuditError(RuntimeError):
    """The model was given other masks than those that were asked for."""


class TrainerAudit:
    """The audit of one training.

    Args:
        collator: what the training's batches are collated as.
        evaluation_rate: the rate of evaluation, whose masks are among those that an error can recognize.
        columns: tells which columns of the examples the masks depend on as well, of which the batch holds none.
        fills_up: whether the loader fills up an epoch's last batch with sequences of its first, as accelerate's
            dispatcher does for several processes.
        every_step: whether to check every step.
    """

    def __init__(
        self,
        collator: ClockedCollator,
        evaluation_rate: FixedRate,
        columns: Callable[[], Collection[str]],
        fills_up: bool,
        every_step: bool,
    ) -> None:
        self._collator, self._evaluation_rate, self._columns = collator, evaluation_rate, columns
        self._fills_up, self._every_step = fills_up, every_step
        self._steps = 0  # begun in this training
        self._step, self._total_steps = 0, 1
        self._epoch, self._first_step = 0, 0  # the epoch, and the step that it began with
        self._is_due = False
        self._last: dict[str, Any] = {}  # what the model was given last, if it was not checked
        self._said: set[str] = set()

    def begin_step(self, args: TrainingArguments, state: TrainerState, epoch: int, first_step: int) -> None:
        """Before the first batch of an optimizer step is used.

        Args:
            args: of the `Trainer`.
            state: of the `Trainer`.
            epoch: that the step is in.
            first_step: of the epoch.
        """
        starts = epoch != self._epoch or self._steps < _FIRST_STEPS
        self._step, self._total_steps = state.global_step, state.max_steps
        self._epoch, self._first_step = epoch, first_step
        self._steps += 1
        self._is_due = starts or self._every_step or _logs_after(args, state)

    def given(self, batch: Mapping[str, Any]) -> None:
        """The model is given a batch to train on.

        Raises:
            MaskAuditError: if this step is checked, and its masks are not those that were asked for.
        """
        self._last = {name: batch[name] for name in _READ if batch.get(name) is not None}
        if self._is_due and not self._waits_for_labels():
            self.check()

    def given_labels(self, labels: torch.Tensor) -> None:
        """The labels that a loss function of the library received in the place of the model."""
        if "input_ids" in self._last and "labels" not in self._last:
            self._last["labels"] = labels
            if self._is_due:
                self.check()

    def check(self) -> None:
        """Checks the batch that the model was given last, if it was not checked yet.

        Raises:
            MaskAuditError: if its masks are not those that were asked for.
        """
        batch, self._last = self._last, {}
        if not batch:
            return
        audit = self._audit(batch, self._asked())
        if audit.kind == "none":
            self._say(f"The masks that the model is given are not audited: {audit.reason}.", audit.reason)
        elif (not audit.matches and not self._is_filled_up(batch)) or self._is_another(batch, audit):
            raise MaskAuditError(self._words(batch))
        elif audit.kind == "partial":
            self._say(f"The masks that the model is given are audited in part: {audit.reason}.", audit.reason)

    def _waits_for_labels(self) -> bool:
        return self._collator.losses is not None and "labels" not in self._last

    def _asked(self) -> Candidate:
        return self._candidate(self._step, self._epoch)

    def _candidate(self, step: int, epoch: int) -> Candidate:
        rate = rate_at(self._collator.rate, step, self._total_steps) if self._is_scheduled else self._collator.rate
        return Candidate(f"step {step} of epoch {epoch}", epoch, rate)  # type: ignore[arg-type]

    @property
    def _is_scheduled(self) -> bool:
        return callable(self._collator.rate)

    def _audit(self, batch: Mapping[str, Any], asked: Candidate) -> Audit:
        return audit_batch(self._collator, batch, epoch=asked.epoch, rate=asked.rate, columns=self._columns())

    def _is_filled_up(self, batch: Mapping[str, Any]) -> bool:
        """Whether what differs are sequences of the epoch's first batch, with the masks of its step."""
        if not self._fills_up:
            return False
        restored = restored_batch(self._collator, batch)
        differ = [
            compared(self._collator, restored, batch, each.epoch, each.rate, self._columns()).differs
            for each in (self._asked(), self._candidate(self._first_step, self._epoch))
        ]
        return not (differ[0] & differ[1]).any()

    def _is_another(self, batch: Mapping[str, Any], audit: Audit) -> bool:
        """Whether a batch that was checked in part has exactly the masks of another step or epoch."""
        if audit.kind == "full" or self._collator.columns:
            return False
        found = (self._audit(batch, candidate) for candidate in self._candidates())
        return any(audit.kind == "full" and audit.matches and audit.masked for audit in found)

    def _candidates(self) -> Iterator[Candidate]:
        """What the batch may be instead, the nearest first."""
        for distance in range(1, _NEAR + 1):
            for step in (self._step - distance, self._step + distance):
                if self._is_scheduled and 0 <= step < self._total_steps:
                    yield self._candidate(step, self._epoch)
        for distance in range(1, _NEAR + 1):
            for epoch in (self._epoch - distance, self._epoch + distance):
                if epoch >= 0:
                    yield self._candidate(self._step, epoch)
        yield Candidate("evaluation", 0, self._evaluation_rate)

    def _words(self, batch: Mapping[str, Any]) -> str:
        asked = self._asked()
        found = explain_mismatch(self._collator, batch, asked, self._candidates(), self._columns())
        rate = f" at a rate of {asked.rate:.3g}" if isinstance(asked.rate, float) else ""
        return (
            f"the model must be given the masks of {asked.label}{rate}, but it was given {found}. A loader, a worker "
            "or a wrapper has kept an earlier collator or batch, or changed the batch on its way. Return a new "
            "`DataLoader` from `get_train_dataloader`, with the `data_collator` of the Trainer; where inputs are "
            "changed on purpose, pass `audit=False` to `MaskRateCallback`."
        )

    def _say(self, message: str, reason: str) -> None:
        """Once for each reason."""
        if reason not in self._said:
            self._said.add(reason)
            _LOGGER.warning("%s", message)


def watch(model: torch.nn.Module, audit: TrainerAudit) -> Any:
    """Has the audit see what a model is given while it trains; returns the hook's handle."""
    return model.register_forward_pre_hook(_Watch(audit), with_kwargs=True)


class _Watch:
    """A forward hook. A copy or a pickle of the model goes without."""

    def __init__(self, audit: TrainerAudit | None = None) -> None:
        self._audit = audit

    def __call__(self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._audit is not None and model.training and torch.is_grad_enabled():
            self._audit.given(kwargs or (args[0] if args and isinstance(args[0], Mapping) else {}))

    def __reduce__(self) -> tuple[Any, ...]:
        return _Watch, ()


def _logs_after(args: TrainingArguments, state: TrainerState) -> bool:
    """Whether `Trainer` logs after the optimizer step that begins."""
    if args.logging_first_step and state.global_step == 0:
        return True
    return args.logging_strategy == "steps" and (state.global_step + 1) % max(state.logging_steps, 1) == 0
