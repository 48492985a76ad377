"""Connects a callback to its `Trainer`, which the events of transformers do not pass on."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from transformers import Trainer, TrainerState, TrainingArguments

from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.trainer.evaluation_loaders import patch_eval_dataloaders

if TYPE_CHECKING:
    from hf_dynmask.trainer.callback import MaskRateCallback

_BIND = "Call `callback.bind(trainer)` once the Trainer is made, before `trainer.train()` and `trainer.evaluate()`."


class Binding:
    """The Trainers that a callback is bound to, as weak references. A copy is bound to none."""

    def __init__(self) -> None:
        self._trainers: weakref.WeakSet[Trainer] = weakref.WeakSet()

    def add(self, trainer: Trainer, callback: MaskRateCallback) -> None:
        """Binds the callback to a Trainer: see [`MaskRateCallback.bind`]."""
        if not isinstance(trainer, Trainer):
            raise ValueError(
                f"`trainer` must be a transformers `Trainer`, but got a {type(trainer).__name__}. Pass the Trainer "
                "that this callback is for."
            )
        _put_first(callback, trainer.callback_handler.callbacks)
        patch_eval_dataloaders(trainer, callback)
        self._trainers.add(trainer)

    def trainer_of(self, state: TrainerState) -> Trainer | None:
        """The bound Trainer that has this state; None if there is none."""
        return next((trainer for trainer in self._trainers if trainer.state is state), None)

    def __reduce__(self) -> tuple[type[Binding], tuple[()]]:
        return Binding, ()


def _put_first(callback: MaskRateCallback, callbacks: list[Any]) -> None:
    """Moves or adds the callback to the front, after others of its class, so that the last one takes precedence.

    Nothing else moves, as an event may be going through the list.
    """
    others = [other for other in callbacks if other is not callback]
    first = next((i for i, other in enumerate(others) if not isinstance(other, type(callback))), len(others))
    if not any(other is callback for other in callbacks[:first]):
        callbacks[:] = [*others[:first], callback, *others[first:]]


def calling_trainer() -> Trainer | None:
    """The `Trainer` that fires the current event, if the interpreter's stack shows it."""
    with suppress(ImportError):  # a convenience: everything else works without that module
        from hf_dynmask.trainer.calling_trainer import calling_trainer

        return calling_trainer()
    return None


def check_needs_no_trainer(args: TrainingArguments, collator: EpochAwareCollator) -> None:
    """Checks that nothing in this training depends on knowing the `Trainer`.

    Raises:
        RuntimeError: if it evaluates, reports to trackers, or follows losses.
    """
    needs = {
        "evaluation has its own masks": args.eval_strategy != "no",
        "trackers write `mask_rate`": bool(args.report_to),
        "checkpoints hold the losses that the strategy follows": collator.losses is not None,
    }
    reasons = [reason for reason, is_needed in needs.items() if is_needed]
    if reasons:
        raise RuntimeError(
            f"`MaskRateCallback` must know its Trainer so that {' and '.join(reasons)}, but the Trainer is unknown. "
            f"{_BIND}"
        )
