"""Warnings where masks are not what they seem, each given once, with the remedy."""

from __future__ import annotations

import warnings
from functools import cache


def warn_patterns_never_repeat(num_mask_patterns: int | None, epochs: int) -> None:
    """Masks that are to take turns, but never come again. In a single epoch nothing does."""
    if num_mask_patterns is not None and num_mask_patterns >= epochs > 1:
        _warn(
            f"`num_mask_patterns` should be below the number of epochs, {epochs}, but is {num_mask_patterns}: no mask "
            "comes twice, so that this is dynamic masking. Pass fewer patterns, or None to say so."
        )


def warn_two_schedules() -> None:
    """Two schedules, of which one can count."""
    _warn(
        "the collator has a mask rate schedule, and `MaskRateCallback` another, which counts. Pass one: "
        "`MaskRateCallback()` follows the collator's."
    )


def warn_easier_evaluation(training: float, evaluation: float) -> None:
    """Evaluation at a lower rate than training, which nobody has asked for."""
    if training > evaluation:
        _warn(
            f"evaluation masks {100 * evaluation:.3g} %, but training {100 * training:.3g} % in the end: its loss is "
            f"of an easier task, and lower. Pass `eval_mlm_probability={evaluation:g}` to `MaskRateCallback` if that "
            "is meant, or another rate."
        )


def warn_single_epoch(epochs: int) -> None:
    """Masks that are to follow the losses from epoch to epoch, of which there is one."""
    if epochs <= 1:
        _warn(
            '`strategy="adaptive"` follows the losses from one epoch to the next, but training has a single one, in '
            "which all tokens are alike. Train for more epochs, or take another strategy."
        )


def warn_attention_across_sequences(implementation: str | None) -> None:
    """Attention to which a row without padding is one sequence."""
    if implementation is not None and "flash" not in implementation:
        _warn(
            f"`padding_free=True` needs attention that keeps sequences apart, but the model's is {implementation!r}: "
            "tokens would attend to those of other sequences. Load the model with "
            '`attn_implementation="flash_attention_2"`, or pass `padding_free=False`.'
        )


@cache  # once in a process: `warnings` alone would be asked at every batch
def warn_unstable_evaluation() -> None:
    """Evaluation with masks that are new each time."""
    _warn(
        "Evaluation uses the training collator, which makes new masks at every evaluation, so evaluation losses are "
        "not comparable. Pass `callbacks=[MaskRateCallback()]` to `Trainer`; to evaluate alone, pass "
        "`collator.for_evaluation()` as its `data_collator`."
    )


@cache
def warn_another_pass() -> None:
    """An epoch that was told for one pass over the data, and another pass."""
    _warn(
        "`set_epoch` tells the epoch of one pass over the data, but another pass has begun since. Its masks are new at "
        "every batch instead of those of an epoch. Pass `callbacks=[MaskRateCallback()]` to `Trainer`; in a loop of "
        "your own, call `start_epoch` before each pass and evaluate with `collator.for_evaluation()`."
    )


@cache
def warn_seed_without_epoch() -> None:
    """A seed without an epoch."""
    _warn(
        "`seed` is set but the epoch is unknown, so masks depend on how batches are loaded: they follow from the seed "
        "and from how many batches this collator, or this worker's copy of it, has made. Pass "
        "`callbacks=[MaskRateCallback()]` to `Trainer`; in a loop of your own, call `start_epoch` before each pass."
    )


def warn_repeated_epochs(seed: int) -> None:
    """A model that is trained for a second time, with masks that it has seen."""
    _warn(
        f"this model was trained before in this process with seed {seed}, and training begins at epoch 0 again, so "
        "examples that it has seen get the masks that it has seen. Pass another `seed` to the collator for new masks."
    )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)
