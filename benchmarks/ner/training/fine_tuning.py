"""Fine-tunes the token classifier of an arm, and scores its predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from benchmarks.ner.data.encoding import check_complete, encode_for_ner, join_predictions
from benchmarks.ner.data.iob2 import document_lengths
from benchmarks.ner.training.arms import Arm
from benchmarks.ner.training.budget import Budget, RuntimeConfig, training_arguments
from benchmarks.ner.training.metrics import EntityF1, sentence_counts
from benchmarks.ner.training.speed import StepTimer
from benchmarks.ner.training.stages import Stage, end_tracking, trained
from benchmarks.ner.training.token_counts import ner_counts
from benchmarks.ner.training.trainer import TimedTrainer


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
    stage = trained(model, trainer, timer, collator, train)
    for prefix, split in (("dev", data["validation"]), ("test", data["test"])):
        predicted, gold = tagged(trainer, split, tokenizer, names, budget.ner_max_length), list(split["tags"])
        stage.metrics.update({f"{prefix}_{name}": value for name, value in score(predicted, gold).items()})
        if prefix == "test":  # the comparison of arms uses these
            counts = {**sentence_counts(predicted, gold), "documents": document_lengths(split)}
            stage.metrics["test_sentences"] = counts
    end_tracking(runtime)
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


def _check_order(found: np.ndarray, expected: Sequence[Sequence[int]]) -> None:
    """Checks by their labels that predictions gathered from all processes are in order."""
    if len(found) != len(expected) or any(
        row[: len(labels)].tolist() != list(labels) for row, labels in zip(found, expected, strict=True)
    ):
        raise RuntimeError("the predictions gathered from all processes are not in the order of the split")
