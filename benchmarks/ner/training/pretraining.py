"""Pre-trains the masked language model of an arm."""

from collections.abc import Sequence
from dataclasses import replace

from datasets import DatasetDict
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from benchmarks.ner.data.encoding import encode_for_mlm
from benchmarks.ner.training.arms import Arm
from benchmarks.ner.training.budget import Budget, RuntimeConfig, training_arguments
from benchmarks.ner.training.curve import curve
from benchmarks.ner.training.speed import StepTimer
from benchmarks.ner.training.stages import Stage, end_tracking, trained
from benchmarks.ner.training.token_counts import mlm_counts
from benchmarks.ner.training.trainer import TimedTrainer


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
    stage = trained(model, trainer, timer, collator, train)
    stage.metrics["eval_loss"] = trainer.evaluate()["eval_loss"]
    stage.metrics["curve"] = curve(trainer.state.log_history)
    end_tracking(runtime)
    return stage
