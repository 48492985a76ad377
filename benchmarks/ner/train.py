"""The two stages of a cell, each a `Trainer`: MLM pre-training with an arm's masks, then fine-tuning for NER."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from transformers import (
    DataCollatorForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks.ner.arms import Arm
from benchmarks.ner.encoding import check_nothing_lost, encode_for_mlm, encode_for_ner, join_predictions
from benchmarks.ner.launch import ComputeDtype
from benchmarks.ner.metrics import EntityF1
from benchmarks.ner.speed import PeakMemory, StepTimer, TimedTrainer, collate_time, speed_summary


@dataclass(frozen=True)
class Budget:
    """What every arm may spend; batch sizes are of all processes together, lengths in tokens."""

    mlm_epochs: float
    mlm_learning_rate: float
    mlm_batch_size: int
    mlm_block_size: int
    ner_epochs: float
    ner_learning_rate: float
    ner_batch_size: int
    ner_max_length: int
    warmup_ratio: float
    weight_decay: float
    dataloader_num_workers: int
    dataloader_persistent_workers: bool


@dataclass(frozen=True)
class Stage:
    """What a stage measured: its metrics, and its `speed` and `memory` as plain data."""

    metrics: dict[str, Any]
    speed: dict[str, Any] | None
    memory: dict[str, Any] | None
    compute_dtype: torch.dtype | None


def on_cpu() -> bool:
    """Whether to train on the CPU: the launcher asks for it, or there is nothing else."""
    return os.environ.get("ACCELERATE_USE_CPU", "").lower() in {"1", "true", "yes"} or not torch.cuda.is_available()


def pretrain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: DatasetDict,
    arm: Arm,
    budget: Budget,
    seed: int,
    settings: dict[str, Any],
) -> Stage:
    """Trains `model` in place on the training split's text and evaluates it on the validation split's.

    Evaluation masks a fixed 15 % of the tokens, the same ones in every arm and for every seed.
    """
    train, validation = (encode_for_mlm(data[s], tokenizer, budget.mlm_block_size) for s in ("train", "validation"))
    arguments = _arguments(budget, len(train), "mlm", seed, settings)
    collator = arm.collator(tokenizer)
    if not arm.pretrain:
        trainer = TimedTrainer(model, arguments, data_collator=collator.for_evaluation(), eval_dataset=validation)
        return Stage({"eval_loss": trainer.evaluate()["eval_loss"], "train_loss": None}, None, None, None)

    timer = StepTimer()
    trainer = TimedTrainer(
        model,
        arguments,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=collator,
        callbacks=[arm.callback(), timer, *settings["callbacks"]],
    )
    stage = _trained(trainer, timer, collator, train)
    stage.metrics["eval_loss"] = trainer.evaluate()["eval_loss"]
    stage.metrics["curve"] = _curve(trainer)
    return stage


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: DatasetDict,
    names: Sequence[str],
    budget: Budget,
    seed: int,
    settings: dict[str, Any],
) -> Stage:
    """Trains the token classifier in place and scores every word and entity of the validation and test splits."""
    train, _ = encode_for_ner(data["train"], tokenizer, names, budget.ner_max_length)
    timer = StepTimer()
    collator = DataCollatorForTokenClassification(tokenizer, pad_to_multiple_of=8)
    trainer = TimedTrainer(
        model,
        _arguments(budget, len(train), "ner", seed, settings),
        train_dataset=train,
        data_collator=collator,
        callbacks=[timer, *settings["callbacks"]],
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1),
    )
    stage = _trained(trainer, timer, collator, train)
    for prefix, split in (("dev", data["validation"]), ("test", data["test"])):
        scores = score(trainer, split, tokenizer, names, budget.ner_max_length)
        stage.metrics.update({f"{prefix}_{name}": value for name, value in scores.items()})
    return stage


def score(
    trainer: TimedTrainer, split: Dataset, tokenizer: PreTrainedTokenizerBase, names: Sequence[str], max_length: int
) -> dict[str, Any]:
    """The metrics of a split as it was read: all of its words, windows put together again."""
    rows, index = encode_for_ner(split, tokenizer, names, max_length)
    output = trainer.predict(rows)
    _check_order(output.label_ids, rows["labels"])
    predicted, gold = join_predictions(output.predictions, index, split, names), list(split["tags"])
    check_nothing_lost(split, gold, predicted)
    scores = EntityF1().compute(predictions=predicted, references=gold)
    assert scores is not None  # only a process that is not the first gets none, and this metric has one process
    return scores


def _trained(trainer: TimedTrainer, timer: StepTimer, collator: Any, train: Dataset) -> Stage:
    with ComputeDtype(trainer.model) as observed, PeakMemory(trainer.args.device) as memory:
        output = trainer.train()
    return Stage(
        metrics={"train_loss": output.training_loss, "steps": output.global_step},
        speed=speed_summary(timer.steps, collate_time(collator, train, trainer.args.per_device_train_batch_size)),
        memory=memory.summary(),
        compute_dtype=observed.dtype,
    )


def _arguments(budget: Budget, examples: int, stage: str, seed: int, settings: dict[str, Any]) -> TrainingArguments:
    epochs, learning_rate, batch_size = (
        getattr(budget, f"{stage}_{name}") for name in ("epochs", "learning_rate", "batch_size")
    )
    processes = settings["num_processes"]
    if batch_size % processes:
        raise ValueError(
            f"`{stage}_batch_size` must be a multiple of the {processes} processes, but got {batch_size}: "
            "it is the size of the batch that they share."
        )
    return TrainingArguments(
        output_dir=str(Path(settings["work_dir"]) / stage),
        num_train_epochs=epochs,
        learning_rate=learning_rate,
        per_device_train_batch_size=batch_size // processes,
        per_device_eval_batch_size=32,
        warmup_steps=int(budget.warmup_ratio * math.ceil(examples / batch_size) * epochs),
        weight_decay=budget.weight_decay,
        seed=seed,
        data_seed=seed,
        eval_strategy="steps" if stage == "mlm" else "no",
        eval_steps=0.1,  # ten times in a training
        logging_steps=0.1,
        save_strategy="no",
        use_cpu=on_cpu(),
        bf16=settings["mixed_precision"] == "bf16",
        fp16=settings["mixed_precision"] == "fp16",
        dataloader_num_workers=budget.dataloader_num_workers,
        dataloader_persistent_workers=budget.dataloader_persistent_workers,
        dataloader_pin_memory=not on_cpu(),
        ddp_find_unused_parameters=False,  # there are none, and looking for them costs a pass over the graph
        # Trainer would multiply the loss by the number of processes, for models that divide it by the labels of all of
        # them; BERT's masked language model takes that number and does not use it.
        average_tokens_across_devices=False,
        report_to=settings["report_to"],
        disable_tqdm=True,
        log_level="warning",
    )


def _curve(trainer: TimedTrainer) -> list[dict[str, float]]:
    """Evaluation loss and mask rate by step, as Trainer logged them."""
    wanted = ("eval_loss", "mask_rate", "loss")
    return [
        {name: entry[name] for name in ("step", *wanted) if name in entry}
        for entry in trainer.state.log_history
        if any(name in entry for name in wanted)
    ]


def _check_order(found: np.ndarray, expected: Sequence[Sequence[int]]) -> None:
    """Predictions are gathered from all processes: their labels tell whether they came back in order."""
    if len(found) != len(expected) or any(
        row[: len(labels)].tolist() != list(labels) for row, labels in zip(found, expected, strict=True)
    ):
        raise RuntimeError("the predictions gathered from all processes are not the split's rows in order")


class Progress(TrainerCallback):
    """Tells a function how far a stage is."""

    def __init__(self, report: Any) -> None:
        self._report = report

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._report(state.global_step / state.max_steps)
