"""What both stages of an arm share: a measured training, its result, and its progress."""

from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, TrainerCallback

from benchmarks.ner.training.memory import PeakMemory
from benchmarks.ner.training.observed_launch import ComputeDtype, training_strategy
from benchmarks.ner.training.speed import StepTimer, collate_time, speed_summary
from benchmarks.ner.training.trainer import TimedTrainer
from benchmarks.ner.training.trainer_arguments import RuntimeConfig


@dataclass(frozen=True)
class Stage:
    """The measurements of a stage: its metrics, and its `speed` and `memory` as plain data."""

    metrics: dict[str, Any]
    speed: dict[str, Any] | None
    memory: dict[str, Any] | None
    compute_dtype: torch.dtype | None
    strategy: str | None = None


def trained(model: PreTrainedModel, trainer: TimedTrainer, timer: StepTimer, collator: Any, train: Dataset) -> Stage:
    """Trains, and measures speed and memory."""
    with ComputeDtype(model) as observed, PeakMemory(trainer.args.device) as memory:
        output = trainer.train()
    return Stage(
        metrics={"train_loss": output.training_loss, "steps": output.global_step},
        speed=speed_summary(timer.steps, collate_time(collator, train, trainer.args.per_device_train_batch_size)),
        memory=memory.summary(),
        compute_dtype=observed.dtype,
        strategy=training_strategy(trainer.model_wrapped),
    )


def end_tracking(runtime: RuntimeConfig) -> None:
    """Closes the run of Weights & Biases: Trainer leaves it open, so the next stage or cell would log to it."""
    if "wandb" in runtime.report_to:
        import wandb

        wandb.finish()


class Progress(TrainerCallback):
    """Reports the progress of a stage to a function."""

    def __init__(self, report: Any) -> None:
        self._report = report

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._report(state.global_step / state.max_steps)
