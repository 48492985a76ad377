"""Checkpoints hold the losses that adaptive masks follow, so that a resumed training masks as an uninterrupted one."""

from __future__ import annotations

from typing import Any

from transformers.trainer_callback import ExportableState, TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from hf_dynmask.strategies.token_losses import TokenLosses


class SavesTokenLosses(TrainerCallback, ExportableState):
    """Saves the losses with each checkpoint. [`MaskRateCallback`] adds it to a `Trainer` whose collator follows losses.

    Each step adds up the losses of all ranks, so the rank that saves knows them all.
    """

    def __init__(self, losses: TokenLosses | None = None) -> None:
        self._losses = losses

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._losses is not None:
            self._losses.synchronize()
            self._losses.check_recorded()

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {}, "losses": None if self._losses is None else self._losses.state_dict()}


def resume_losses(losses: TokenLosses | None, state: TrainerState, callbacks: list[TrainerCallback]) -> None:
    """Loads the losses of the checkpoint that training resumes from, and has later checkpoints save them.

    Args:
        losses: of the training's collator; None if its strategy does not follow losses.
        state: of the `Trainer`, as training begins.
        callbacks: of the `Trainer`; changed in place.
    """
    callbacks[:] = [callback for callback in callbacks if not isinstance(callback, SavesTokenLosses)]
    if losses is None:
        return
    losses.reset()
    states: Any = state.stateful_callbacks  # a dict by now
    saved = states.setdefault(SavesTokenLosses.__name__, {})  # Trainer expects an entry at each save
    if saved and state.global_step:
        losses.load_state_dict(saved["losses"])
    callbacks.append(SavesTokenLosses(losses))
