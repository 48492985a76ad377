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
    with pytest.raises(RuntimeError, match=r"`packing` must be .* it was not called with this model"):
        trainer.train()


def test_boundaries_that_trainer_removes_are_missed(wordpiece, tmp_path) -> None:
    model = _model()
    packs = pack_dataset(_rows(), 40).remove_columns("position_ids")
    arguments = (wordpiece, tmp_path, model, packs, packed_attention(model))
    with pytest.raises(RuntimeError, match=r"removes `seq_lengths`, which .* Pass `remove_unused_columns=False`"):
        _trainer(*arguments).train()
    trainer = _trainer(*arguments, remove_unused_columns=False)
    trainer.eval_dataset = None
    assert len(_losses(trainer)) == 2 * -(-len(packs) // 4)


@pytest.mark.parametrize("place", ["train_dataset", "eval_dataset"])
def test_so_are_those_of_examples_in_a_list(wordpiece, tmp_path, place) -> None:
    model = _model()
    packs = list(pack_dataset(_rows(), 40).remove_columns("position_ids"))
    trainer = _trainer(wordpiece, tmp_path, model, _rows(), packed_attention(model))
    setattr(trainer, place, packs)
    with pytest.raises(RuntimeError, match="`Trainer` must keep the boundaries of packed sequences"):
        trainer.train()


@pytest.mark.parametrize("packing", [Packing(True), Packing(False, position_ids_start=2)], ids=str)
def test_the_packing_of_another_kind_of_model_is_refused(wordpiece, tmp_path, packing) -> None:
    model = _model()
    packed_attention(model)
    trainer = _trainer(wordpiece, tmp_path, model, _rows(), packing)
    with pytest.raises(RuntimeError, match=r"that of this model is Packing\(one_row=False, position_ids_start=0\)"):
        trainer.train()


class _Examples(torch.utils.data.IterableDataset):
    """A stream."""

    def __iter__(self) -> Any:
        return iter(_rows())


@pytest.mark.parametrize("options", [{}, {"return_mask_rate": True}, {"flash": True}], ids=str)
def test_streams_unless_accelerate_cuts_columns(wordpiece, tmp_path, monkeypatch, options) -> None:
    model = _model()
    trainer = _trainer(wordpiece, tmp_path, model, _Examples(), packed_attention(model), max_steps=4)
    if options == {}:
        rows = _trainer(wordpiece, tmp_path, _model(), _Examples(), None, max_steps=4)
        assert _losses(trainer) == pytest.approx(_losses(rows), rel=1e-4)
        return
    trainer.data_collator.return_mask_rate = "return_mask_rate" in options
    if "flash" in options:
        monkeypatch.setattr("hf_dynmask.trainer.packing_checks.packing_of", lambda model: Packing(True))
        trainer.data_collator.packing = Packing(True)
    with pytest.raises(RuntimeError, match=r'Pass `accelerator_config={"dispatch_batches": False}`'):
        trainer.train()


@pytest.mark.filterwarnings("ignore:`padding_free=True` needs attention")
@pytest.mark.parametrize("options", [{}, {"return_mask_rate": True}, {"return_flash_attn_kwargs": False}], ids=str)
@pytest.mark.parametrize("place", ["train_dataset", "eval_dataset"])
def test_streams_without_padding(wordpiece, tmp_path, options, place) -> None:
    trainer = _trainer(wordpiece, tmp_path, _model(), _Examples(), None, max_steps=2)
    settings = {"padding_free": True, "return_flash_attn_kwargs": True, **options}
    trainer.data_collator = DataCollatorForDynamicMasking(wordpiece, 0.3, seed=1, **settings)
    setattr(trainer, "train_dataset" if place == "eval_dataset" else "eval_dataset", _rows())
    setattr(trainer, place, _Examples())
    use = trainer.train if place == "train_dataset" else trainer.get_eval_dataloader
    if options == {"return_flash_attn_kwargs": False}:
        use()  # every column has a value for each token
        return
    with pytest.raises(RuntimeError, match=r'Pass `accelerator_config={"dispatch_batches": False}`'):
        use()
    trainer.accelerator.dataloader_config.dispatch_batches = False
    assert next(iter(trainer.get_eval_dataloader()))["cu_seq_lens_q"].shape == (9,)


def test_metrics_need_a_row_for_each_example(wordpiece, tmp_path) -> None:
    model = _model()
    trainer = _trainer(wordpiece, tmp_path, model, _rows(), packed_attention(model), max_steps=2)
    shapes = []
    trainer.compute_metrics = lambda predicted: shapes.append(predicted.predictions.shape) or {}
    with pytest.raises(RuntimeError, match=r"Pack `eval_dataset` with `hf_dynmask.pack_dataset`, so that a row is an"):
        trainer.train()
    trainer.eval_dataset = pack_dataset(_rows(), 40)
    trainer.train()
    trainer.evaluate()
    assert shapes == [(len(trainer.eval_dataset), 40, 500)]


def test_a_resumed_training_goes_on_with_the_same_losses(wordpiece, tmp_path) -> None:
    options = {"save_strategy": "steps", "save_steps": 5}
    model = _model()
    whole = _losses(_trainer(wordpiece, tmp_path, model, _rows(), packed_attention(model), **options))
    model = _model()
    resumed = _trainer(wordpiece, tmp_path, model, _rows(), packed_attention(model), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert [log["loss"] for log in resumed.state.log_history if "loss" in log] == pytest.approx(whole)


def test_the_callback_is_not_needed(wordpiece, tmp_path) -> None:
    model = _model()
    trainer = _trainer(wordpiece, tmp_path, model, _rows(), packed_attention(model))
    trainer.callback_handler.callbacks = [
        each for each in trainer.callback_handler.callbacks if not isinstance(each, MaskRateCallback)
    ]
    trainer.data_collator.seed = None
    torch.manual_seed(0)
    assert len(_losses(trainer)) == 12
