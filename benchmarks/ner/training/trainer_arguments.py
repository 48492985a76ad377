"""The `TrainingArguments` of both stages, which all arms share."""

import math
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from benchmarks.ner.training.budget import Budget

# The argument for batches of similar lengths, its value, and that for any order: in transformers 5, or 4.
BY_LENGTH, GROUPED, UNGROUPED = (
    ("train_sampling_strategy", "group_by_length", "random")
    if "train_sampling_strategy" in signature(TrainingArguments).parameters
    else ("group_by_length", True, False)
)


@dataclass(frozen=True)
class RuntimeConfig:
    """How a stage runs: its launch, and what Trainer writes where. None of it may change what the model learns."""

    num_processes: int
    mixed_precision: str
    use_cpu: bool
    report_to: list[str]
    work_dir: Path


def training_arguments(
    budget: Budget, runtime: RuntimeConfig, stage: str, examples: int, seed: int
) -> TrainingArguments:
    """Returns the arguments of stage "mlm" or "ner", which all arms share."""
    epochs, learning_rate, batch_size = (
        getattr(budget, f"{stage}_{name}") for name in ("epochs", "learning_rate", "batch_size")
    )
    grouping: dict[str, Any] = {BY_LENGTH: GROUPED} if stage == "ner" else {}  # blocks have one length
    return TrainingArguments(
        output_dir=str(runtime.work_dir / stage),
        num_train_epochs=epochs,
        learning_rate=learning_rate,
        per_device_train_batch_size=batch_size // runtime.num_processes,
        per_device_eval_batch_size=32,
        warmup_steps=int(budget.warmup_ratio * math.ceil(examples / batch_size) * epochs),
        weight_decay=budget.weight_decay,
        seed=seed,
        data_seed=seed,
        eval_strategy="steps" if stage == "mlm" else "no",
        eval_steps=0.1,  # ten evaluations per training
        logging_steps=0.1,
        save_strategy="no",
        use_cpu=runtime.use_cpu,
        bf16=runtime.mixed_precision == "bf16",
        fp16=runtime.mixed_precision == "fp16",
        dataloader_num_workers=budget.dataloader_num_workers,
        dataloader_persistent_workers=budget.dataloader_persistent_workers,
        dataloader_pin_memory=not runtime.use_cpu,
        ddp_find_unused_parameters=False,  # there are none, and the search for them costs a pass over the graph
        # If True, Trainer multiplies the loss by the number of processes, for models that divide it by the number of
        # labels in all processes. BERT's masked language model accepts that number but ignores it.
        average_tokens_across_devices=False,
        report_to=runtime.report_to,
        run_name=f"{runtime.work_dir.name}-{stage}",
        **grouping,
        disable_tqdm=True,
        log_level="warning",
    )


def keep_order(arguments: TrainingArguments) -> None:
    """Stops the grouping by length after training: Trainer would also group, and so reorder, what it predicts."""
    setattr(arguments, BY_LENGTH, UNGROUPED)
