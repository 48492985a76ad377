"""Warnings where masks are not what they seem, each given once, with the remedy."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import Trainer


def of_patterns(num_mask_patterns: int | None, epochs: int) -> None:
    """Masks that are to take turns, but never come again. In a single epoch nothing does."""
    if num_mask_patterns is not None and num_mask_patterns >= epochs > 1:
        _warn(
            f"`num_mask_patterns` should be below the number of epochs, {epochs}, but is {num_mask_patterns}: no mask "
            "comes twice, so that this is dynamic masking. Pass fewer patterns, or None to say so."
        )


def of_rates(training: float, evaluation: float) -> None:
    """Evaluation at a lower rate than training, which nobody has asked for."""
    if training > evaluation:
        _warn(
            f"evaluation masks {100 * evaluation:.3g} %, but training {100 * training:.3g} % in the end: its loss is "
            f"of an easier task, and lower. Pass `eval_mlm_probability={evaluation:g}` to `MaskRateCallback` if that "
            "is meant, or another rate."
        )


@cache  # once in a process: `warnings` alone would be asked at every batch
def of_evaluation() -> None:
    """Evaluation with masks that are new each time."""
    _warn(
        "`Trainer` evaluates with the collator of training, whose masks are others at every evaluation, so that losses "
        "cannot be compared. Pass `callbacks=[MaskRateCallback()]` to `Trainer`; to evaluate alone, pass "
        "`collator.for_evaluation()` as its `data_collator`."
    )


def evaluating() -> bool:
    """Whether a `Trainer`'s evaluation is among the callers; a forked worker is called by it as well."""
    return calling_trainer("evaluation_loop") is not None


def calling_trainer(method: str | None = None) -> Trainer | None:
    """The `Trainer` that is calling right now, by its method of this name if one is given.

    A collator and a callback are told in no other way whom they serve.
    """
    if "transformers.trainer" not in sys.modules:
        return None
    trainer = sys.modules["transformers.trainer"].Trainer
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if method in (None, frame.f_code.co_name) and isinstance(frame.f_locals.get("self"), trainer):
            return frame.f_locals["self"]
        frame = frame.f_back
    return None


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)
