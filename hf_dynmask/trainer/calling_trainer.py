"""Finds the `Trainer` that fires an event, on the interpreter's stack: transformers does not pass it to callbacks.

This is a convenience. It calls nothing but [`MaskRateCallback.bind`], which users may call instead, and nothing else in
the package reads the stack.
"""

from __future__ import annotations

import sys

from transformers import Trainer


def calling_trainer() -> Trainer | None:
    """The nearest `Trainer` on the call stack; None if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, Trainer):
            return caller
        frame = frame.f_back  # type: ignore[assignment]
    return None
