"""Who is calling: a collator and a callback are told in no other way whom they serve."""

from __future__ import annotations

import sys
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import Trainer


def evaluating() -> bool:
    """Whether a `Trainer`'s evaluation is among the callers; a forked worker is called by it as well."""
    return calling_trainer("evaluation_loop") is not None


def training() -> bool:
    """Whether a `Trainer`'s training is among the callers, also of an evaluation in it."""
    return calling_trainer("_inner_training_loop") is not None


def calling_trainer(method: str | None = None) -> Trainer | None:
    """The `Trainer` that is calling right now, by its method of this name if one is given."""
    if "transformers.trainer" not in sys.modules:
        return None
    trainer = sys.modules["transformers.trainer"].Trainer
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if method in (None, frame.f_code.co_name) and isinstance(frame.f_locals.get("self"), trainer):
            return frame.f_locals["self"]
        frame = frame.f_back
    return None
