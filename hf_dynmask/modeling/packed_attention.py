"""Keeps the sequences of packed rows apart in the attention of a model."""

from __future__ import annotations

import inspect
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel, masking_utils
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
)

from hf_dynmask.batching.packing import Packing
from hf_dynmask.modeling.heads import has_head
from hf_dynmask.modeling.sequence_masks import MASKS, attention_mask

# The types of models that take such masks and treat each token by itself elsewhere; the tests compare each with the
# logits of separate sequences.
PACKABLE_TYPES = (
    "albert",
    "bert",
    "camembert",
    "data2vec-text",
    "distilbert",
    "electra",
    "ernie",
    "eurobert",
    "modernbert",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
)


def packed_attention(model: PreTrainedModel) -> Packing:
    """Makes a model keep the sequences of a row apart, for `DataCollatorForDynamicMasking(tokenizer, packing=...)`.

    In batches of texts of different lengths, most tokens can be padding, which costs as much compute as text. With
    several sequences in a row, the same masks, logits and losses take a fraction of the compute. From then on, the
    encoder turns the column `seq_idx` of packed batches into an attention mask for its own attention implementation: a
    boolean one for `"sdpa"`, an additive one for `"eager"`, a `BlockMask` for `"flex_attention"`; for ModernBERT, one
    for its global and one for its local layers. Other batches are not affected. With FlashAttention, a batch is one
    row, and `cu_seq_lens_q` separates its sequences (Dao 2023).

    Packed logits have the layout of `input_ids`, so a row is not an example. Attention with a mask costs the square of
    the length of a row.

    Packing without an increase in cost or a change in meaning is described by Krell et al. 2021, "Efficient sequence
    packing without cross-contamination".

    Args:
        model: the model to train, from transformers 5 or later: for masked language modeling or token classification,
            or an encoder. If it is wrapped, by DDP for example, pass the model inside. If it is replaced, call this
            function with the new one; [`MaskRateCallback`] checks that it was called with the model of the `Trainer`.

    Returns:
        The layout of its batches, which can be pickled.

    Raises:
        ValueError: if the type of the model, its head or its attention implementation is not known to keep sequences
            apart.

    >>> from transformers import BertConfig, BertForMaskedLM
    >>> sizes = {"vocab_size": 50, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    >>> model = BertForMaskedLM(BertConfig(num_attention_heads=1, **sizes))
    >>> packed_attention(model)
    Packing(one_row=False, position_ids_start=0)
    """
    _check_model(model)
    encoder: Any = model.base_model
    packing = _packing_of_encoder(encoder)
    if packing_of(model) is None:
        encoder.register_forward_pre_hook(_mask_other_sequences, with_kwargs=True)
    return packing


def packing_of(model: Any) -> Packing | None:
    """The packing of a model, or of the one inside of it, that [`packed_attention`] was called with; None if not."""
    for module in model.modules() if isinstance(model, torch.nn.Module) else ():
        if _mask_other_sequences in module._forward_pre_hooks.values():
            return _packing_of_encoder(module)
    return None


def _packing_of_encoder(encoder: Any) -> Packing:
    one_row = "flash" in encoder.config._attn_implementation
    if not one_row:
        _check_implementation(encoder)
    return Packing(one_row, _position_ids_start(encoder))


def _position_ids_start(encoder: Any) -> int:
    """The position of the first token: after the pad token's for RoBERTa and its descendants, 0 for others."""
    pad = getattr(getattr(encoder, "embeddings", None), "padding_idx", -1)
    if pad is None:
        raise ValueError(
            "`model` must have a pad token, from which its positions count, but its `config.pad_token_id` is None. "
            "Set it, such as to 1, before the model is made."
        )
    return pad + 1


def _mask_other_sequences(
    encoder: PreTrainedModel, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A forward pre-hook: replaces `seq_idx`, if the batch has it, with the attention mask of the encoder."""
    if kwargs.get("seq_idx") is None:
        return args, kwargs
    _check_implementation(encoder)  # it may have changed
    kwargs = dict(kwargs)
    kwargs["attention_mask"] = attention_mask(encoder, kwargs.pop("seq_idx"))
    return args, kwargs


def _check_implementation(encoder: PreTrainedModel) -> None:
    implementation = encoder.config._attn_implementation
    if implementation not in MASKS:
        raise ValueError(
            "`model` must take an attention mask to keep the sequences of several rows apart, as the attention "
            f"implementations {', '.join(MASKS)} do, but has {implementation!r}. Load it with "
            '`attn_implementation="sdpa"`; for FlashAttention, make the collator after it, as the layout differs.'
        )


def _check_model(model: Any) -> None:
    if not isinstance(model, PreTrainedModel):
        remedy = "the one inside, such as `model.module` of DDP or `model.get_base_model()` of PEFT"
        raise ValueError(f"`model` must be a transformers model, but got a `{type(model).__name__}`. Pass {remedy}.")
    if not hasattr(masking_utils, "create_bidirectional_mask"):
        raise ValueError(
            "`model` must be from transformers 5 or later, whose encoders take attention masks of packed sequences, but"
            f" got one of {transformers.__version__}. Update transformers, or train it on padded batches."
        )
    type_ = model.config.model_type
    if type_ not in PACKABLE_TYPES:
        raise ValueError(
            "`model` must be of a type that is known to keep packed sequences apart, which are "
            f"{', '.join(PACKABLE_TYPES)}, but got a `{type(model).__name__}` of type {type_!r}. Train it on padded "
            "batches, without `packing`."
        )
    if getattr(model.config, "is_decoder", False):
        raise ValueError(
            "`model` must be an encoder, as packed tokens attend to later ones, but its `config.is_decoder` is True. "
            "Set it to False, or train it on padded batches."
        )
    if model is not model.base_model and not _has_head_for_tokens(model):
        raise ValueError(
            "`model` must predict each token by itself, as `...ForMaskedLM` and `...ForTokenClassification` do, but "
            f"got a `{type(model).__name__}`. If its head does so, pass the encoder inside, `model.base_model`."
        )
    if "sliding_window_mask" in inspect.signature(model.base_model.forward).parameters:
        raise ValueError(
            "`model` must be a ModernBERT that takes an attention mask for each type of layer, but that of "
            f"transformers {transformers.__version__} does not. Update transformers, or train it on padded batches."
        )


def _has_head_for_tokens(model: PreTrainedModel) -> bool:
    mappings = (MODEL_FOR_MASKED_LM_MAPPING_NAMES, MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES)
    return any(has_head(model, PACKABLE_TYPES, mapping) for mapping in mappings)
