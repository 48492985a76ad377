"""Warnings about batches whose epoch is unknown. Each is issued once per process, which costs little per batch."""

from __future__ import annotations

import warnings
from functools import cache


@cache
def warn_unstable_evaluation() -> None:
    """Warns about evaluation with new masks each time."""
    _warn(
        "Evaluation uses the training collator, which makes new masks at every evaluation, so evaluation losses are "
        "not comparable. Pass `callbacks=[MaskRateCallback()]` to `Trainer`; to evaluate alone, pass "
        "`collator.for_evaluation()` as its `data_collator`."
    )


@cache
def warn_another_pass() -> None:
    """Warns about a pass over the data after the one that an epoch was set for."""
    _warn(
        "`set_epoch` sets the epoch of one pass over the data, but another pass has begun. Its masks are new at every "
        "batch and belong to no epoch. Pass `callbacks=[MaskRateCallback()]` to `Trainer`; in a custom loop, call "
        "`start_epoch` before each pass and evaluate with `collator.for_evaluation()`."
    )


@cache
def warn_seed_without_epoch() -> None:
    """Warns about a seed without an epoch."""
    _warn(
        "`seed` is set but the epoch is unknown, so masks depend on how batches are loaded: they follow from the seed "
        "and the number of batches that this collator has made and, in a worker, from torch's seed of the worker. Pass "
        "`callbacks=[MaskRateCallback()]` to `Trainer`; in a custom loop, call `start_epoch` before each pass."
    )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)
