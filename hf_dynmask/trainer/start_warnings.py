"""Warnings at the start of training about settings that are probably mistakes."""

from __future__ import annotations

import math
import warnings
from typing import Any

from transformers.trainer_callback import TrainerState

from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.rates.schedules import rate_at
from hf_dynmask.trainer.training import Training


def warn_at_start(training: Training, state: TrainerState, model: Any) -> None:
    """Issues each warning that applies to a training run.

    Args:
        training: the training.
        state: of the `Trainer`.
        model: the model that is trained.
    """
    collator, epochs = training.collator, math.ceil(state.num_train_epochs)
    if training.has_two_schedules:
        _warn_two_schedules()
    _warn_patterns_never_repeat(collator.num_mask_patterns, training.first_epoch + epochs)
    if collator.losses is not None:
        _warn_single_epoch(epochs)
    if getattr(collator, "padding_free", False):
        warn_attention_across_sequences(getattr(getattr(model, "config", None), "_attn_implementation", None))


def warn_about_evaluation(collator: EpochAwareCollator, rate: float, total_steps: int) -> None:
    """Warns if evaluation masks, at the default `rate`, less than training does in the end."""
    evaluation = collator.for_evaluation(rate)
    if not isinstance(evaluation, EpochAwareCollator):  # in fine-tuning, evaluation has no masks
        return
    try:
        end = rate_at(collator.rate, total_steps, total_steps)
    except Exception:  # a schedule that fails at its end raises there, if training gets that far
        return
    _warn_easier_evaluation(end, rate_at(evaluation.rate, total_steps, total_steps))


def _warn_patterns_never_repeat(num_mask_patterns: int | None, epochs: int) -> None:
    if num_mask_patterns is not None and num_mask_patterns >= epochs > 1:
        _warn(
            f"`num_mask_patterns` should be below the number of epochs, {epochs}, but is {num_mask_patterns}: no mask "
            "repeats, so this is dynamic masking. Pass fewer patterns, or None for dynamic masking."
        )


def _warn_two_schedules() -> None:
    _warn(
        "The collator and `MaskRateCallback` both have a mask rate schedule, and only the one of the callback is used. "
        "Pass one schedule: `MaskRateCallback()` follows the one of the collator."
    )


def _warn_easier_evaluation(training: float, evaluation: float) -> None:
    if training > evaluation:
        _warn(
            f"Evaluation masks {100 * evaluation:.3g} % of the tokens but training ends at {100 * training:.3g} %, so "
            "the evaluation loss is lower because its task is easier. Pass "
            f"`eval_mlm_probability={evaluation:g}` to `MaskRateCallback` to confirm this, or pass another rate."
        )


def warn_metrics_of_views(views: int | str) -> None:
    """Warns about metrics of an evaluation with several views."""
    if views != 1:
        _warn(
            f"`compute_metrics` does not receive all rows of an evaluation with `views={views!r}`, as `Trainer` counts "
            "one row for each example of the last batch. Use `eval_loss`, or a batch size that divides the number of "
            "examples."
        )


def _warn_single_epoch(epochs: int) -> None:
    if epochs <= 1:
        _warn(
            '`strategy="adaptive"` follows the losses of earlier epochs, but training has a single epoch, so all '
            "tokens are masked with the same probability. Train for more epochs, or use another strategy."
        )


def warn_attention_across_sequences(implementation: str | None) -> None:
    """Warns about attention that sees a row without padding as one sequence."""
    if implementation is not None and "flash" not in implementation:
        _warn(
            "`padding_free=True` needs attention that keeps sequences apart, but the model uses "
            f"{implementation!r}, in which tokens attend to other sequences. Pass `packing=packed_attention(model)` "
            'instead, or load the model with `attn_implementation="flash_attention_2"`.'
        )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)
