"""`Trainer` with packed sequences: the losses of padded ones, and errors where boundaries would be lost."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from datasets import Dataset
from support.corpora import example
from support.mlm_models import mlm_model
from transformers import Trainer, TrainingArguments, masking_utils

from hf_dynmask import (
    ArrowRows,
    DataCollatorForDynamicMasking,
    MaskRateCallback,
    linear_schedule,
    pack_dataset,
    packed_attention,
)
from hf_dynmask.batching.packing import Packing

pytestmark = pytest.mark.skipif(
    not hasattr(masking_utils, "create_bidirectional_mask"), reason="packed attention needs transformers 5"
)
EXAMPLES = 24


def _rows() -> Dataset:
    return Dataset.from_list([{"input_ids": example(index)["input_ids"]} for index in range(EXAMPLES)])


def _model() -> Any:
    sizes = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "vocab_size": 500}
    return mlm_model("bert", "sdpa", **sizes)


def _trainer(tokenizer: Any, folder: Any, model: Any, rows: Any, packing: Packing | None, **options: Any) -> Trainer:
    collator = DataCollatorForDynamicMasking(tokenizer, 0.3, seed=1, packing=packing)
    arguments = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1}
    settings = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-3, **arguments, **options}
    return Trainer(
        model,
        TrainingArguments(str(folder), **settings),
        train_dataset=rows,
        eval_dataset=_rows(),
        data_collator=collator,
        callbacks=[MaskRateCallback(linear_schedule(0.5, 0.3), eval_mlm_probability=0.15, audit="every_step")],
    )


def _losses(trainer: Trainer) -> list[float]:
    trainer.train()
    return [log["loss"] for log in trainer.state.log_history if "loss" in log]


@functools.cache
def _fresh_rows() -> Dataset:
    return _rows()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_training_and_evaluation_have_the_losses_of_padded_batches(wordpiece, tmp_path, workers, accumulation) -> None:
    losses, evaluations = [], []
    for packed in (False, True):
        model = _model()
        packing = packed_attention(model) if packed else None
        options = {"gradient_accumulation_steps": accumulation, "dataloader_num_workers": workers}
        trainer = _trainer(wordpiece, tmp_path, model, _fresh_rows(), packing, **options)
        losses.append(_losses(trainer))
        evaluations.append(trainer.evaluate()["eval_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert evaluations[0] == pytest.approx(evaluations[1], rel=1e-4)
    assert len(losses[0]) == 2 * EXAMPLES // (4 * accumulation)


@pytest.mark.parametrize("read", [lambda rows: rows, ArrowRows], ids=["dataset", "ArrowRows"])
def test_packs_with_the_default_arguments_of_trainer(wordpiece, tmp_path, read) -> None:
    """It removes `seq_lengths`; every step is audited."""
    model = _model()
    packs = pack_dataset(_rows(), 40)
    trainer = _trainer(wordpiece, tmp_path, model, read(packs), packed_attention(model))
    batch = next(iter(trainer.get_train_dataloader()))
    assert len(batch["input_ids"]) == 4
    assert int(batch["seq_idx"].max()) + 1 > 4
    assert len(_losses(trainer)) == 2 * -(-len(packs) // 4)


def test_a_model_that_was_not_told_is_refused(wordpiece, tmp_path) -> None:
    trainer = _trainer(wordpiece, tmp_path, _model(), _rows(), packed_attention(_model()))
    with pytest.raises(RuntimeError, match=r"Call `packed_attention\(model\)` with the model that"):
        trainer.train()


def test_boundaries_that_trainer_removes_are_missed(wordpiece, tmp_path) -> None:
    model = _model()
    packs = pack_dataset(_rows(), 40).remove_columns("position_ids")
    arguments = (wordpiece, tmp_path, model, packs, packed_attention(model))
    with pytest.raises(RuntimeError, match=r"removes `seq_lengths`, a column .* Pass `remove_unused_columns=False`"):
        _trainer(*arguments).train()
    trainer = _trainer(*arguments, remove_unused_columns=False)
    trainer.eval_dataset = None
    assert len(_losses(trainer)) == 2 * -(-len(packs) // 4)


def test_the_callback_is_not_needed(wordpiece, tmp_path) -> None:
    model = _model()
    trainer = _trainer(wordpiece, tmp_path, model, _rows(), packed_attention(model))
    trainer.callback_handler.callbacks = [
        each for each in trainer.callback_handler.callbacks if not isinstance(each, MaskRateCallback)
    ]
    trainer.data_collator.seed = None
    torch.manual_seed(0)
    assert len(_losses(trainer)) == 12
