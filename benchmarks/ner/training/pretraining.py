"""Pre-trains the masked language model of an arm, and evaluates it with several fixed masks."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from benchmarks.ner.data.encoding import encode_for_mlm
from benchmarks.ner.training.arms import Arm
from benchmarks.ner.training.budget import Budget
from benchmarks.ner.training.curve import curve
from benchmarks.ner.training.speed import StepTimer
from benchmarks.ner.training.stages import Stage, end_tracking, trained
from benchmarks.ner.training.token_counts import mlm_counts
from benchmarks.ner.training.trainer import TimedTrainer
from benchmarks.ner.training.trainer_arguments import RuntimeConfig, training_arguments


def pretrain(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    text: Dataset,
    validation_text: Dataset,
    arm: Arm,
    budget: Budget,
    runtime: RuntimeConfig,
    seed: int,
    callbacks: Sequence[TrainerCallback],
) -> Stage:
    """Trains `model` in place on a text, and evaluates it on the validation text.

    Evaluation masks the same 15 % of the tokens in every arm and for every seed: one mask per example while the model
    trains, and the mean of `budget.mlm_evaluation_masks` at the end.
    """
    train, validation = (encode_for_mlm(words, tokenizer, budget.mlm_block_size) for words in (text, validation_text))
    count, fixed = mlm_counts(tokenizer), arm.evaluation_collator(tokenizer, seed=0)
    if not arm.pretrain:
        untracked = replace(runtime, report_to=[])  # no training begins, so trackers would open a run elsewhere
        arguments = training_arguments(budget, untracked, "mlm", len(train), seed)
        trainer = TimedTrainer(model, arguments, data_collator=fixed, eval_dataset=validation, count=count)
        return Stage({"train_loss": None, **_evaluated(trainer, arm, tokenizer, budget)}, None, None, None)

    collator, timer = arm.collator(tokenizer, seed), StepTimer()
    trainer = TimedTrainer(
        model,
        training_arguments(budget, runtime, "mlm", len(train), seed),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=collator,
        evaluation_collator=fixed,
        callbacks=[arm.callback(), timer, *callbacks],
        count=count,
    )
    timed = replace(arm, mask_seed=None).collator(tokenizer, seed)  # a collator with a seed warns outside of a training
    stage = trained(model, trainer, timer, timed, train)
    stage.metrics["curve"] = curve(trainer.state.log_history)
    stage.metrics.update(_evaluated(trainer, arm, tokenizer, budget))
    end_tracking(runtime)
    return stage


def _evaluated(trainer: TimedTrainer, arm: Arm, tokenizer: PreTrainedTokenizerBase, budget: Budget) -> dict[str, Any]:
    """Returns the loss of each fixed evaluation mask, and their mean."""
    losses = []
    trainer.args.dataloader_persistent_workers = False  # with them, Trainer keeps the loader and so its masks
    for seed in range(budget.mlm_evaluation_masks):
        trainer.evaluation_collator = arm.evaluation_collator(tokenizer, seed)
        losses.append(trainer.evaluate()["eval_loss"])
    return {"eval_loss": fmean(losses), "eval_losses": losses}
