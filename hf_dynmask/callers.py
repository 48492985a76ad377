"""Who is calling: a collator and a callback are told in no other way whom they serve."""

from __future__ import annotations

import sys
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import Trainer


def evaluating() -> bool:
    """Whether a `Trainer`'s evaluation is among the callers; a forked worker is called by it as well."""
    return _called_by("evaluation_loop")


def training() -> bool:
    """Whether a `Trainer`'s training is among the callers, also of an evaluation in it."""
    return _called_by("_inner_training_loop")


def _called_by(method: str) -> bool:
    """By name: to look at a frame's locals would keep them, such as the iterator of an epoch that is over."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == method and frame.f_globals.get("__name__") == "transformers.trainer":
            return True
        frame = frame.f_back
    return False


def calling_trainer() -> Trainer | None:
    """The `Trainer` that is calling right now."""
    if "transformers.trainer" not in sys.modules:
        return None
    trainer = sys.modules["transformers.trainer"].Trainer
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), trainer):
            return frame.f_locals["self"]
        frame = frame.f_back
    return None
