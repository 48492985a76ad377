"""Fine-tunes the token classifier of an arm, and scores its predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from benchmarks.ner.data.encoding import check_complete, encode_for_ner, join_predictions
from benchmarks.ner.data.iob2 import document_lengths
from benchmarks.ner.training.arms import Arm
from benchmarks.ner.training.budget import Budget
from benchmarks.ner.training.metrics import EntityF1, sentence_counts
from benchmarks.ner.training.speed import StepTimer
from benchmarks.ner.training.stages import Stage, end_tracking, trained
from benchmarks.ner.training.token_counts import ner_counts
from benchmarks.ner.training.trainer import TimedTrainer
from benchmarks.ner.training.trainer_arguments import RuntimeConfig, keep_order, training_arguments

TRAINED = ("train_loss", "steps")
SCORED = {"dev": "validation", "test": "test"}


@dataclass(frozen=True)
class FineTuning:
    """A fine-tuned classifier: its seed, its measurements, and its IOB2 tags of the splits in `SCORED`."""

    seed: int
    stage: Stage
    tags: dict[str, list[list[str]]]


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
) -> FineTuning:
    """Trains the token classifier in place and predicts every word of the validation and test splits.

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
    keep_order(trainer.args)
    tags = {
        name: tagged(trainer, data[split], tokenizer, names, budget.ner_max_length) for name, split in SCORED.items()
    }
    end_tracking(runtime)
    return FineTuning(seed, stage, tags)


def pooled_quality(runs: Sequence[FineTuning], data: DatasetDict) -> dict[str, Any]:
    """Scores the predictions of all fine-tunings of one pre-training together, and each alone in `fine_tunings`.

    Without a fine-tuning, all scores are None.
    """
    if not runs:
        return dict.fromkeys(("dev_f1", "test_f1", "test_accuracy", *(f"ner_{name}" for name in TRAINED)))
    quality: dict[str, Any] = {}
    for name, split in SCORED.items():
        gold = list(data[split]["tags"])
        predicted = [tags for run in runs for tags in run.tags[name]]
        quality |= {f"{name}_{key}": value for key, value in score(predicted, gold * len(runs)).items()}
    quality |= {f"ner_{name}": fmean(run.stage.metrics[name] for run in runs) for name in TRAINED}
    quality["test_sentences"] = _sentence_counts(runs, data["test"])  # the comparison of arms uses these
    if len(runs) > 1:
        quality["fine_tunings"] = [_scores(run, data) for run in runs]
    return quality


def _scores(run: FineTuning, data: DatasetDict) -> dict[str, Any]:
    f1 = {f"{name}_f1": score(run.tags[name], list(data[split]["tags"]))["f1"] for name, split in SCORED.items()}
    return {"seed": run.seed, **f1}


def _sentence_counts(runs: Sequence[FineTuning], split: Dataset) -> dict[str, Any]:
    """Counts the entities of each sentence over all runs."""
    gold = list(split["tags"])
    counts = [sentence_counts(run.tags["test"], gold) for run in runs]
    pooled = {name: [sum(of) for of in zip(*(each[name] for each in counts), strict=True)] for name in counts[0]}
    return {**pooled, "documents": document_lengths(split)}


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
