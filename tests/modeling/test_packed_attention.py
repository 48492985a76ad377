"""Packed rows have the logits, losses and gradients of separate sequences."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import transformers
from support.extended import every, pairs
from support.mlm_models import SIZES, mlm_model
from torch.nn import DataParallel
from torch.nn.parallel import DistributedDataParallel
from transformers import (
    BertConfig,
    BertForPreTraining,
    BertForTokenClassification,
    BertLMHeadModel,
    masking_utils,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from hf_dynmask import DataCollatorForDynamicMasking, packed_attention, sparse_prediction
from hf_dynmask.batching.packing import Packing
from hf_dynmask.modeling.packed_attention import PACKABLE_TYPES, packing_of

SUPPORTED = hasattr(masking_utils, "create_bidirectional_mask")
PACKED = pytest.mark.skipif(not SUPPORTED, reason="encoders take attention masks of packed sequences since 5.0")
INSTALLED = [type_ for type_ in PACKABLE_TYPES if type_ in CONFIG_MAPPING_NAMES]
LENGTHS = (5, 19, 1, 8, 2, 30, 11)  # longer and shorter than the window of the ModernBERT
GIVES_WARNINGS = pytest.mark.filterwarnings("ignore:.*special_tokens_mask|.*bos_token_id")


def _model(type_: str = "bert", attention: str = "sdpa") -> Any:
    """A model whose logits depend strongly on what a token attends to."""
    window = {"local_attention": 8, "global_attn_every_n_layers": 2} if type_ == "modernbert" else {}
    model = mlm_model(type_, attention, vocab_size=500, max_position_embeddings=40, **window).eval()
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return model


def _examples(lengths: Any = LENGTHS) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(1)
    return [{"input_ids": torch.randint(5, 40, (length,), generator=generator)} for length in lengths]


def _batches(tokenizer: Any, packing: Packing, **options: Any) -> tuple[Any, Any]:
    """The same masked examples, padded and packed."""
    settings = {"mlm_probability": 0.3, "seed": 2, **options}
    padded = DataCollatorForDynamicMasking(tokenizer, **settings)
    packed = DataCollatorForDynamicMasking(tokenizer, **settings, packing=packing)
    return padded(_examples(), epoch=0), packed(_examples(), epoch=0)


def _pickled(model: Any) -> Any:
    return pickle.loads(pickle.dumps(model))


def _loss_and_gradients(model: Any, batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = model(**batch).loss
    loss.sum().backward()
    return loss, {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def _check_logits(found: torch.Tensor, expected: torch.Tensor, padded: Any, packed: Any) -> None:
    for number in range(len(LENGTHS)):
        alone = expected[number][padded["attention_mask"][number] == 1]
        torch.testing.assert_close(found[packed["seq_idx"] == number], alone, atol=2e-5, rtol=1e-4)


@PACKED
@pytest.mark.parametrize(("type_", "attention"), pairs(INSTALLED, ["sdpa", "eager"]))
def test_logits_loss_and_gradients_are_those_of_separate_sequences(wordpiece, type_, attention) -> None:
    model = _model(type_, attention)
    padded, packed = _batches(wordpiece, packed_attention(model))
    assert packed["input_ids"].shape == (3, 30)
    _check_logits(model(**packed).logits, model(**padded).logits, padded, packed)
    loss, gradients = _loss_and_gradients(model, padded)
    packed_loss, packed_gradients = _loss_and_gradients(model, packed)
    torch.testing.assert_close(packed_loss, loss)
    for name in gradients:
        torch.testing.assert_close(packed_gradients[name], gradients[name], atol=2e-5, rtol=1e-3, msg=name)


@PACKED
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("type_", ["bert", "roberta", "xlm-roberta", "electra", "modernbert"])
def test_flex_attention(wordpiece, type_) -> None:
    model = _model(type_, "flex_attention")
    padded, packed = _batches(wordpiece, packed_attention(model))
    reference = _model(type_, "eager")
    with torch.compiler.set_stance("force_eager"), torch.no_grad():  # its CPU kernels take minutes to compile
        logits, loss = model(**packed).logits, model(**packed).loss
    _check_logits(logits, reference(**padded).logits, padded, packed)
    torch.testing.assert_close(loss, reference(**padded).loss.detach())


@PACKED
@pytest.mark.parametrize("type_", ["bert", "modernbert"])
def test_a_leak_between_sequences_would_be_seen(wordpiece, type_) -> None:
    model = _model(type_)
    padded, packed = _batches(wordpiece, packed_attention(model))
    numbers = packed.pop("seq_idx")
    leaky = model(**packed).logits
    difference = leaky[numbers == 0] - model(**padded).logits[0, : LENGTHS[0]]
    assert difference.abs().max() > 0.1


def _attend_within(module: Any, query: Any, key: Any, value: Any, *args: Any, cu_seq_lens_q: Any, **kwargs: Any) -> Any:
    """Attention as that of FlashAttention: each sequence of a row for itself."""
    ends = cu_seq_lens_q[1:-1].tolist()
    parts = zip(*(values.tensor_split(ends, dim=2) for values in (query, key, value)), strict=True)
    window = kwargs.get("sliding_window")
    outputs = []
    for q, k, v in parts:
        distance = (torch.arange(q.shape[2])[:, None] - torch.arange(k.shape[2])).abs()
        mask = None if window is None else distance < window  # the boundary is exclusive, as in FlashAttention's
        outputs.append(torch.nn.functional.scaled_dot_product_attention(q, k, v, mask, scale=kwargs.get("scaling")))
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


@PACKED
@pytest.mark.parametrize("type_", every(3, INSTALLED))
def test_one_row_with_attention_that_reads_the_ends_of_sequences(wordpiece, type_) -> None:
    """Models hand `cu_seq_lens_q` down to their attention, and positions start where theirs do."""
    transformers.AttentionInterface.register("flash_like", _attend_within)
    transformers.AttentionMaskInterface.register("flash_like", lambda *args, **kwargs: None)
    model = _model(type_)
    reference = copy.deepcopy(model)
    model.config._attn_implementation = "flash_like"
    packing = packed_attention(model)
    assert packing.one_row
    padded, packed = _batches(wordpiece, packing)
    assert packed["input_ids"].shape == (1, sum(LENGTHS))
    attended = padded["attention_mask"] == 1
    logits = reference(**padded).logits[attended]
    torch.testing.assert_close(model(**packed).logits[0], logits, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(model(**packed).loss, reference(**padded).loss)


@PACKED
@pytest.mark.skipif(not torch.cuda.is_available(), reason="FlashAttention needs a GPU")
@pytest.mark.parametrize("type_", ["bert", "roberta", "xlm-roberta", "electra", "modernbert"])
def test_flash_attention(wordpiece, type_) -> None:
    pytest.importorskip("flash_attn")
    sizes = {"hidden_size": 64, "intermediate_size": 64, "dtype": torch.bfloat16}
    model, reference = (mlm_model(type_, each, **sizes).eval().cuda() for each in ("flash_attention_2", "sdpa"))
    padded, packed = _batches(wordpiece, packed_attention(model))
    loss, expected = model(**packed.to("cuda")).loss, reference(**padded.to("cuda")).loss
    torch.testing.assert_close(loss, expected, atol=2e-2, rtol=2e-2)


@PACKED
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("type_", ["bert", "modernbert"])
def test_bfloat16(wordpiece, type_, attention) -> None:
    """Under autocast, and as the dtype of the weights."""
    model = _model(type_, attention)
    padded, packed = _batches(wordpiece, packed_attention(model))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(**packed).loss, model(**padded).loss, atol=5e-2, rtol=5e-2)
    model.to(torch.bfloat16)
    torch.testing.assert_close(model(**packed).loss, model(**padded).loss, atol=0.1, rtol=5e-2)


@PACKED
def test_with_sparse_logits(wordpiece) -> None:
    model = _model()
    padded, packed = _batches(wordpiece, packed_attention(model))
    with sparse_prediction(model, in_evaluation=True):
        output = model(**packed)
    torch.testing.assert_close(output.loss, model(**padded).loss)
    assert output.logits.shape[1] == int((packed["labels"] != -100).sum())


@PACKED
def test_torch_compile(wordpiece) -> None:
    model = _model("modernbert")
    padded, packed = _batches(wordpiece, packed_attention(model))
    compiled = torch.compile(model, backend="eager")
    torch.testing.assert_close(compiled(**packed).loss, model(**padded).loss)


@PACKED
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_replica_of_data_parallel(wordpiece, attention) -> None:
    """It has no parameters."""
    model = _model(attention=attention)
    padded, packed = _batches(wordpiece, packed_attention(model))
    replica = _replica(model)
    torch.testing.assert_close(replica(**packed).loss, model(**padded).loss)


def _replica(module: torch.nn.Module) -> torch.nn.Module:
    """As `torch.nn.parallel.replicate` makes it: its weights are tensors, which are not registered."""
    replica = module._replicate_for_data_parallel()
    for name, child in module._modules.items():
        replica._modules[name] = None if child is None else _replica(child)
    for name, weight in module._parameters.items():
        setattr(replica, name, None if weight is None else weight.clone())
    return replica


@PACKED
def test_heads_that_predict_tokens_and_encoders_alone_are_known() -> None:
    for model in (BertForTokenClassification(BertConfig(**SIZES)), mlm_model().base_model):
        assert packed_attention(model) == Packing(one_row=False)


@PACKED
def test_ddp(wordpiece, tmp_path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/ddp", rank=0, world_size=1)
    try:
        model = _model()
        padded, packed = _batches(wordpiece, packed_attention(model))
        torch.testing.assert_close(DistributedDataParallel(model)(**packed).loss, model(**padded).loss)
    finally:
        torch.distributed.destroy_process_group()


@PACKED
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
def test_copies_of_the_model_keep_sequences_apart(wordpiece, copied) -> None:
    model = _model()
    padded, packed = _batches(wordpiece, packed_attention(model))
    clone = copied(model)
    assert packing_of(clone) == Packing(False)
    torch.testing.assert_close(clone(**packed).loss, model(**padded).loss)


@PACKED
def test_a_wrapper_that_calls_forward_directly(wordpiece) -> None:
    """As PEFT's do, which skips the hooks of the model."""
    model = _model()
    padded, packed = _batches(wordpiece, packed_attention(model))
    torch.testing.assert_close(model.forward(**packed).loss, model(**padded).loss)


@PACKED
def test_the_attention_implementation_may_change_between_those_with_masks(wordpiece) -> None:
    model = _model(attention="sdpa")
    padded, packed = _batches(wordpiece, packed_attention(model))
    model.set_attn_implementation("eager")
    torch.testing.assert_close(model(**packed).loss, model(**padded).loss)
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ValueError, match=r"`model` must take an attention mask to keep .* has 'flash_attention_2'"):
        model(**packed)


@PACKED
def test_it_is_idempotent_and_changes_no_other_batch(wordpiece) -> None:
    model = _model()
    padded, _ = _batches(wordpiece, Packing(False))
    before = model(**padded).logits
    assert packing_of(model) is None
    assert packed_attention(model) == packed_attention(model) == Packing(one_row=False, position_ids_start=0)
    assert len(model.base_model._forward_pre_hooks) == 1
    assert torch.equal(model(**padded).logits, before)


@PACKED
@pytest.mark.parametrize(("type_", "pad", "start"), [("bert", 1, 0), ("roberta", 1, 2), ("xlm-roberta", 0, 1)])
def test_positions_start_where_the_model_starts_them(type_, pad, start) -> None:
    assert packed_attention(mlm_model(type_, pad_token_id=pad)).position_ids_start == start


@PACKED
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mlm_model("deberta-v2"), r"of a type that is known .* but got a `DebertaV2ForMaskedLM` of type 'deb"),
        (lambda: DataParallel(mlm_model()), r"got a `DataParallel`\. Pass the one inside, such as `model.module`"),
        (lambda: BertLMHeadModel(BertConfig(**SIZES, is_decoder=True)), "`model` must be an encoder, .* is True"),
        (lambda: BertForPreTraining(BertConfig(**SIZES)), "must predict each token by itself, .* `BertForPreTraining`"),
        (lambda: mlm_model("roberta", pad_token_id=None), "`model` must have a pad token, .* `config.pad_token_id` is"),
        (lambda: "bert", "`model` must be a transformers model, but got a `str`"),
    ],
    ids=["DeBERTa", "wrapped", "decoder", "pooled", "no pad", "text"],
)
def test_what_cannot_be_packed_is_refused(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        packed_attention(make())


@PACKED
def test_an_attention_without_masks_is_refused() -> None:
    model = mlm_model()
    model.config._attn_implementation = "paged|eager"
    with pytest.raises(ValueError, match="eager, flex_attention do, but has 'paged"):
        packed_attention(model)


def test_older_versions_of_transformers_are_refused(monkeypatch) -> None:
    monkeypatch.delattr(masking_utils, "create_bidirectional_mask", raising=False)
    with pytest.raises(ValueError, match=r"`model` must be from transformers 5 or later, .* but got one of [45]"):
        packed_attention(mlm_model())
