"""Who is calling: a collator and a callback are told in no other way whom they serve."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import Trainer


def evaluating() -> bool:
    """Whether a `Trainer`'s evaluation is among the callers; a forked worker is called by it as well."""
    return any(_is_trainers(frame, "evaluation_loop") for frame in _callers())


def calling_trainer() -> Trainer | None:
    """The `Trainer` that is calling right now."""
    if "transformers.trainer" not in sys.modules:
        return None
    trainer = sys.modules["transformers.trainer"].Trainer
    selves = (frame.f_locals.get("self") for frame in _callers())
    return next((caller for caller in selves if isinstance(caller, trainer)), None)


def _callers() -> Iterator[FrameType]:
    frame = sys._getframe(1).f_back
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_trainers(frame: FrameType, method: str) -> bool:
    """By name: to look at a frame's locals would keep them, such as the iterator of an epoch that is over."""
    return frame.f_code.co_name == method and frame.f_globals.get("__name__") == "transformers.trainer"
