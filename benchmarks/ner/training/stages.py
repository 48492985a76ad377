"""The two stages of a cell, each a `Trainer`: MLM pre-training with the masks of an arm, then NER fine-tuning."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from benchmarks.ner.data.encoding import check_complete, encode_for_mlm, encode_for_ner, join_predictions
from benchmarks.ner.data.iob2 import document_lengths
from benchmarks.ner.training.arms import Arm
from benchmarks.ner.training.budget import Budget, RuntimeConfig, training_arguments
from benchmarks.ner.training.curve import curve
from benchmarks.ner.training.memory import PeakMemory
from benchmarks.ner.training.metrics import EntityF1, sentence_counts
from benchmarks.ner.training.observed_launch import ComputeDtype, training_strategy
from benchmarks.ner.training.speed import StepTimer, collate_time, speed_summary
from benchmarks.ner.training.token_counts import mlm_counts, ner_counts
from benchmarks.ner.training.trainer import TimedTrainer


@dataclass(frozen=True)
class Stage:
    """The measurements of a stage: its metrics, and its `speed` and `memory` as plain data."""

    metrics: dict[str, Any]
    speed: dict[str, Any] | None
    memory: dict[str, Any] | None
    compute_dtype: torch.dtype | None
    strategy: str | None = None


def pretrain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: DatasetDict,
    arm: Arm,
    budget: Budget,
    runtime: RuntimeConfig,
    seed: int,
    callbacks: Sequence[TrainerCallback],
) -> Stage:
    """Trains `model` in place on the text of the training split and evaluates it on the validation split.

    Evaluation masks the same 15 % of the tokens in every arm and for every seed.
    """
    train, validation = (encode_for_mlm(data[s], tokenizer, budget.mlm_block_size) for s in ("train", "validation"))
    collator, count = arm.collator(tokenizer), mlm_counts(tokenizer)
    if not arm.pretrain:
        untracked = replace(runtime, report_to=[])  # no training begins, so trackers would open a run elsewhere
        arguments = training_arguments(budget, untracked, "mlm", len(train), seed)
        fixed = collator.for_evaluation()
        trainer = TimedTrainer(model, arguments, data_collator=fixed, eval_dataset=validation, count=count)
        return Stage({"eval_loss": trainer.evaluate()["eval_loss"], "train_loss": None}, None, None, None)

    arguments = training_arguments(budget, runtime, "mlm", len(train), seed)

    timer = StepTimer()
    trainer = TimedTrainer(
        model,
        arguments,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=collator,
        callbacks=[arm.callback(), timer, *callbacks],
        count=count,
    )
    stage = _trained(model, trainer, timer, collator, train)
    stage.metrics["eval_loss"] = trainer.evaluate()["eval_loss"]
    stage.metrics["curve"] = curve(trainer.state.log_history)
    _end_tracking(runtime)
    return stage


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: DatasetDict,
    names: Sequence[str],
    arm: Arm,
    budget: Budget,
    runtime: RuntimeConfig,
    seed: int,
    callbacks: Sequence[TrainerCallback],
) -> Stage:
    """Trains the token classifier in place and scores every word and entity of the validation and test splits.

    Only training masks, and only in arms that request it.
    """
    train, _ = encode_for_ner(data["train"], tokenizer, names, budget.ner_max_length)
    timer = StepTimer()
    collator = arm.fine_tuning_collator(tokenizer)
    trainer = TimedTrainer(
        model,
        training_arguments(budget, runtime, "ner", len(train), seed),
        train_dataset=train,
        data_collator=collator,
        callbacks=[*arm.fine_tuning_callbacks(), timer, *callbacks],
        count=ner_counts(tokenizer),
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1),
    )
    stage = _trained(model, trainer, timer, collator, train)
    for prefix, split in (("dev", data["validation"]), ("test", data["test"])):
        predicted, gold = tagged(trainer, split, tokenizer, names, budget.ner_max_length), list(split["tags"])
        stage.metrics.update({f"{prefix}_{name}": value for name, value in score(predicted, gold).items()})
        if prefix == "test":  # the comparison of arms uses these
            counts = {**sentence_counts(predicted, gold), "documents": document_lengths(split)}
            stage.metrics["test_sentences"] = counts
    _end_tracking(runtime)
    return stage


def tagged(
    trainer: TimedTrainer, split: Dataset, tokenizer: PreTrainedTokenizerBase, names: Sequence[str], max_length: int
) -> list[list[str]]:
    """Returns the predicted tags of all words of a split, joined from the predictions of its windows."""
    rows, index = encode_for_ner(split, tokenizer, names, max_length)
    output = trainer.predict(rows)
    _check_order(np.asarray(output.label_ids), rows["labels"])
    predicted = join_predictions(np.asarray(output.predictions), index, split, names)
    check_complete(split, list(split["tags"]), predicted)
    return predicted


def score(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> dict[str, Any]:
    scores = EntityF1().compute(predictions=predicted, references=gold)
    assert scores is not None  # only further processes get None, and this metric has one process
    return scores


def _trained(model: PreTrainedModel, trainer: TimedTrainer, timer: StepTimer, collator: Any, train: Dataset) -> Stage:
    with ComputeDtype(model) as observed, PeakMemory(trainer.args.device) as memory:
        output = trainer.train()
    return Stage(
        metrics={"train_loss": output.training_loss, "steps": output.global_step},
        speed=speed_summary(timer.steps, collate_time(collator, train, trainer.args.per_device_train_batch_size)),
        memory=memory.summary(),
        compute_dtype=observed.dtype,
        strategy=training_strategy(trainer.model_wrapped),
    )


def _end_tracking(runtime: RuntimeConfig) -> None:
    """Closes the run of Weights & Biases: Trainer leaves it open, so the next stage or cell would log to it."""
    if "wandb" in runtime.report_to:
        import wandb

        wandb.finish()


def _check_order(found: np.ndarray, expected: Sequence[Sequence[int]]) -> None:
    """Checks by their labels that predictions gathered from all processes are in order."""
    if len(found) != len(expected) or any(
        row[: len(labels)].tolist() != list(labels) for row, labels in zip(found, expected, strict=True)
    ):
        raise RuntimeError("the predictions gathered from all processes are not in the order of the split")


class Progress(TrainerCallback):
    """Reports the progress of a stage to a function."""

    def __init__(self, report: Any) -> None:
        self._report = report

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._report(state.global_step / state.max_steps)
