"""Where a `Trainer`'s training begins or goes on, as the `Trainer` counts it."""

from __future__ import annotations

import math
from typing import Any

from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import has_length
from transformers.training_args import TrainingArguments


def first_epoch(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """The epoch that a training begins or goes on in; of a stream, the passes over it."""
    if has_length(loader):
        return state.global_step // _steps_per_epoch(args, state, loader)
    return int(state.epoch or 0)


def skipped_batches(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """How many batches of the first epoch a resumed training skips."""
    if args.ignore_data_skip:
        return 0
    return state.global_step % _steps_per_epoch(args, state, loader) * args.gradient_accumulation_steps


def _steps_per_epoch(args: TrainingArguments, state: TrainerState, loader: Any) -> int:
    """As Trainer counts them: without a length, the whole training is one epoch."""
    return max(math.ceil(len(loader) / args.gradient_accumulation_steps), 1) if has_length(loader) else state.max_steps
