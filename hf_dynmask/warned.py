"""Warnings where masks are not what they seem, each given once, with the remedy."""

from __future__ import annotations

import warnings
from functools import cache


def of_patterns(num_mask_patterns: int | None, epochs: int) -> None:
    """Masks that are to take turns, but never come again. In a single epoch nothing does."""
    if num_mask_patterns is not None and num_mask_patterns >= epochs > 1:
        _warn(
            f"`num_mask_patterns` should be below the number of epochs, {epochs}, but is {num_mask_patterns}: no mask "
            "comes twice, so that this is dynamic masking. Pass fewer patterns, or None to say so."
        )


def of_schedules(collators: object, callbacks: object) -> None:
    """Two schedules, of which one can count."""
    if callable(collators) and callbacks is not None and callbacks is not collators:
        _warn(
            "the collator has a mask rate schedule, and `MaskRateCallback` another, which counts. Pass one: "
            "`MaskRateCallback()` follows the collator's."
        )


def of_rates(training: float, evaluation: float) -> None:
    """Evaluation at a lower rate than training, which nobody has asked for."""
    if training > evaluation:
        _warn(
            f"evaluation masks {100 * evaluation:.3g} %, but training {100 * training:.3g} % in the end: its loss is "
            f"of an easier task, and lower. Pass `eval_mlm_probability={evaluation:g}` to `MaskRateCallback` if that "
            "is meant, or another rate."
        )


def of_a_single_epoch(epochs: int) -> None:
    """Masks that are to follow the losses from epoch to epoch, of which there is one."""
    if epochs <= 1:
        _warn(
            '`strategy="adaptive"` follows the losses from one epoch to the next, but training has a single one, in '
            "which all tokens are alike. Train for more epochs, or take another strategy."
        )


def of_attention(implementation: str | None) -> None:
    """Attention to which a row without padding is one sequence."""
    if implementation is not None and "flash" not in implementation:
        _warn(
            f"`padding_free=True` needs attention that keeps sequences apart, but the model's is {implementation!r}: "
            "tokens would attend to those of other sequences. Load the model with "
            '`attn_implementation="flash_attention_2"`, or pass `padding_free=False`.'
        )


@cache  # once in a process: `warnings` alone would be asked at every batch
def of_evaluation() -> None:
    """Evaluation with masks that are new each time."""
    _warn(
        "`Trainer` evaluates with the collator of training, whose masks are others at every evaluation, so that losses "
        "cannot be compared. Pass `callbacks=[MaskRateCallback()]` to `Trainer`; to evaluate alone, pass "
        "`collator.for_evaluation()` as its `data_collator`."
    )


@cache
def of_old_epoch() -> None:
    """An epoch that was announced before a `Trainer` began, and would give all its epochs the same masks."""
    _warn(
        "`set_epoch` was called before `Trainer` began to train, and nobody tells the epochs of the training: what was "
        "said is not counted there, so that masks are new at every batch, but not reproducible. Pass "
        "`callbacks=[MaskRateCallback()]` to `Trainer`."
    )


@cache
def of_seed() -> None:
    """A seed that gives no reproducible masks, because the epoch is not known."""
    _warn(
        "`seed` needs an epoch to make masks reproducible, but nobody told: masks are drawn from torch's global "
        "generator. Pass `callbacks=[MaskRateCallback()]` to `Trainer`, or, in a loop of your own, call `set_epoch`."
    )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)
