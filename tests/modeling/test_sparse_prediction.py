"""Sparse logits give the loss and the gradients of all logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.corpora import Numbered
from support.extended import every
from support.mlm_models import SIZES, VOCABULARY, mlm_model
from torch.nn import DataParallel
from torch.nn.parallel import DistributedDataParallel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertConfig,
    BertForPreTraining,
    BertForTokenClassification,
    BertModel,
    Trainer,
    TrainingArguments,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, sparse_prediction
from hf_dynmask.modeling.sparse_prediction import KNOWN_TYPES

CHECKPOINTING = "gradient_checkpointing"
if "activation_checkpointing" in TrainingArguments.__dataclass_fields__:  # its name since transformers 5
    CHECKPOINTING = "activation_checkpointing"
INSTALLED = [type_ for type_ in KNOWN_TYPES if type_ in CONFIG_MAPPING_NAMES]
GIVES_WARNINGS = pytest.mark.filterwarnings(
    "ignore:Initializing zero-element tensors",  # of mobilebert's small sizes
    "ignore:`torch.jit.script` is deprecated",  # by DeBERTa in transformers 4
)


def _output(model: Any, **batch: Any) -> Any:
    """The output, with the same dropout each time."""
    torch.manual_seed(3)
    return model(**batch)


def _batch(labeled: float = 0.3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, VOCABULARY, (3, 7), generator=generator)
    attended = torch.ones_like(ids)
    attended[1, 4:] = 0
    chosen = (torch.rand(3, 7, generator=generator) < labeled) & attended.bool()
    return {"input_ids": ids, "attention_mask": attended, "labels": torch.where(chosen, ids, -100)}


def _loss_and_gradients(model: Any, batch: dict[str, Any], **kwargs: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    model.zero_grad()
    output = _output(model, **batch, **kwargs)
    output.loss.sum().backward()
    return output, {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def _check_equal(model: Any, wrapped: Any = None, **kwargs: Any) -> Any:
    batch, wrapped = _batch(), model if wrapped is None else wrapped
    expected, gradients = _loss_and_gradients(wrapped, batch, **kwargs)
    with sparse_prediction(model):
        output, found = _loss_and_gradients(wrapped, batch, **kwargs)
    torch.testing.assert_close(output.loss, expected.loss)
    assert found.keys() == gradients.keys()
    for name in gradients:
        torch.testing.assert_close(found[name], gradients[name], atol=3e-6, rtol=1e-4, msg=name)
    assert output.logits.numel() == VOCABULARY * int((batch["labels"] != -100).sum())
    return output


@GIVES_WARNINGS
@pytest.mark.parametrize("type_", every(3, INSTALLED))
def test_loss_and_gradients_are_those_of_all_logits(type_) -> None:
    batch = _batch()
    model = mlm_model(type_)
    every_logit = _output(model, **batch).logits
    output = _check_equal(model)
    labeled = batch["labels"] != -100
    torch.testing.assert_close(output.logits[0], every_logit[labeled], atol=1e-5, rtol=1e-4)


def test_tuples() -> None:
    model = mlm_model()
    with sparse_prediction(model):
        loss, logits = _output(model, **_batch(), return_dict=False)[:2]
    torch.testing.assert_close(loss, _output(model, **_batch()).loss)
    assert logits.shape == (1, int((_batch()["labels"] != -100).sum()), VOCABULARY)


def test_the_sum_of_losses_over_several_batches() -> None:
    _check_equal(mlm_model("modernbert"), num_items_in_batch=torch.tensor(17))


@pytest.mark.parametrize("type_", ["bert", "modernbert"])
def test_a_batch_without_labels_gives_what_all_logits_give(type_) -> None:
    model, batch = mlm_model(type_), _batch(labeled=0.0)
    if type_ == "modernbert":
        batch["num_items_in_batch"] = torch.tensor(4)
    expected = model(**batch).loss
    with sparse_prediction(model):
        torch.testing.assert_close(model(**batch).loss, expected, equal_nan=True)


def test_bfloat16() -> None:
    model = mlm_model()
    with torch.autocast("cpu", torch.bfloat16):
        expected = _output(model, **_batch())
        with sparse_prediction(model):
            output = _output(model, **_batch())
    assert output.logits.dtype == expected.logits.dtype == torch.bfloat16
    torch.testing.assert_close(output.loss, expected.loss, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("type_", ["bert", "modernbert"])
def test_weights_of_half_precision(type_, dtype) -> None:
    model, batch = mlm_model(type_).to(dtype), _batch()
    expected, gradients = _loss_and_gradients(model, batch)
    with sparse_prediction(model):
        output, found = _loss_and_gradients(model, batch)
    assert output.logits.dtype == dtype
    torch.testing.assert_close(output.loss, expected.loss, atol=1e-2, rtol=1e-2)
    for name in gradients:
        torch.testing.assert_close(found[name], gradients[name], atol=1e-2, rtol=5e-2, msg=name)


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor",  # torch looks at it where a graph breaks
    "ignore:Guards may run slower on Python 3.13.0",
)
def test_compiled() -> None:
    model = mlm_model()
    _check_equal(model, torch.compile(model, backend="eager"))


def test_data_parallel_replicas(tmp_path) -> None:
    model = mlm_model()
    _check_equal(model, DataParallel(model))  # on a CPU, it calls the model itself
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = mlm_model()
        wrapped = DistributedDataParallel(model)
        expected = _loss_and_gradients(wrapped, _batch())[1]
        with sparse_prediction(model):
            found = _loss_and_gradients(wrapped, _batch())[1]
        assert all(torch.allclose(found[name], expected[name], atol=3e-6) for name in expected)
    finally:
        torch.distributed.destroy_process_group()


def test_evaluation_and_passes_without_labels_have_all_logits() -> None:
    model, batch = mlm_model(), _batch()
    unlabeled = {name: value for name, value in batch.items() if name != "labels"}
    with sparse_prediction(model):
        model(**batch)
        assert model(**unlabeled).logits.shape == (3, 7, VOCABULARY)
        model.eval()
        assert model(**batch).logits.shape == (3, 7, VOCABULARY)
    with sparse_prediction(model, in_evaluation=True):
        assert model(**batch).logits.shape[:1] == (1,)
    assert model.train()(**batch).logits.shape == (3, 7, VOCABULARY)


def test_the_encoder_alone_has_all_hidden_states() -> None:
    model, batch = mlm_model(), _batch()
    ids = batch["input_ids"]
    with sparse_prediction(model):
        assert model.bert(ids)[0].shape == (3, 7, 16)
        model(**batch)
        assert model.bert(ids)[0].shape == (3, 7, 16)


def test_modernbert_with_flash_attention_is_refused() -> None:
    model = mlm_model("modernbert")
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ValueError, match="Set `sparse_prediction=True` in its configuration"), sparse_prediction(model):
        pass


def test_the_batch_of_the_caller_does_not_change() -> None:
    model, batch = mlm_model(), _batch()
    before = {name: value.clone() for name, value in batch.items()}
    with sparse_prediction(model):
        model(**batch)
    assert all(torch.equal(batch[name], before[name]) for name in before)


def _trained(wordpiece: Any, folder: str, sparse: bool, **options: Any) -> list[float]:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    collator = DataCollatorForDynamicMasking(wordpiece, 0.4, strategy=options.pop("strategy", "token"), seed=7)
    compute_loss = collator.losses.compute_loss if collator.losses is not None else None
    trainer = Trainer(
        AutoModelForMaskedLM.from_config(BertConfig(vocab_size=len(wordpiece), **sizes)),
        TrainingArguments(
            folder,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=1,
            eval_strategy="epoch",
            num_train_epochs=2,
            per_device_train_batch_size=4,
            dataloader_pin_memory=False,
            **options,
        ),
        collator,
        Numbered(16),
        Numbered(16),
        compute_metrics=lambda prediction: {"shape": float(prediction.predictions.shape[1])},
        compute_loss_func=compute_loss,
        callbacks=[MaskRateCallback(eval_mlm_probability=0.15, audit="every_step")],
    )
    if sparse:
        with sparse_prediction(trainer.model):
            trainer.train()
    else:
        trainer.train()
    names = ("loss", "eval_loss", "eval_shape")
    return [entry[name] for entry in trainer.state.log_history for name in names if name in entry]


@pytest.mark.parametrize(
    "options",
    every(
        2,
        [
            {"gradient_accumulation_steps": 2},
            {},
            {"strategy": "adaptive"},
            {"label_smoothing_factor": 0.1},
            {CHECKPOINTING: True},
            {"bf16": True},
        ],
    ),
    ids=str,
)
def test_a_training_has_the_same_losses(wordpiece, tmp_path, options) -> None:
    """With a full audit, metrics over all logits, and other losses than the model's."""
    losses = [_trained(wordpiece, str(tmp_path), sparse, **options) for sparse in (False, True)]
    assert losses[1] == pytest.approx(losses[0], abs=2e-2 if "bf16" in options else 2e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BertModel(BertConfig(**SIZES)), "`BertModel` is not known to be one. Known are .*modernbert"),
        (lambda: BertForPreTraining(BertConfig(**SIZES)), "`BertForPreTraining` is not known to be one"),
        (lambda: BertForTokenClassification(BertConfig(**SIZES)), "`BertForTokenClassification` is not known"),
        (lambda: AutoModelForCausalLM.from_config(BertConfig(**SIZES, is_decoder=True)), "is not known to be one"),
        (lambda: DataParallel(mlm_model()), r"got a `DataParallel`\. Pass the model inside, `model.module`"),
        (lambda: "bert", r"must be a transformers model, but got a `str`"),
    ],
    ids=["encoder", "two heads", "classifier", "causal", "wrapped", "name"],
)
def test_other_models_are_refused(make, message) -> None:
    with pytest.raises(ValueError, match=message), sparse_prediction(make()):
        pass
