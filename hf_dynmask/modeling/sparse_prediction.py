"""Computes the logits of a masked language model at the labeled tokens only, as the loss needs no others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.modeling.heads import has_head

# The types of models whose heads treat each token by itself; the tests compare each with all of its logits.
KNOWN_TYPES = (
    "albert",
    "bert",
    "camembert",
    "convbert",
    "data2vec-text",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "ernie",
    "esm",
    "eurobert",
    "ibert",
    "layoutlm",
    "megatron-bert",
    "mobilebert",
    "modernbert",
    "mpnet",
    "nystromformer",
    "rembert",
    "roberta",
    "roberta-prelayernorm",
    "roformer",
    "squeezebert",
    "xlm-roberta",
    "xlm-roberta-xl",
)


@contextmanager
def sparse_prediction(model: PreTrainedModel, *, in_evaluation: bool = False) -> Iterator[None]:
    """Within this context, a model in training mode computes logits at labeled tokens only.

    With 15 % of the tokens labeled, the head takes about a seventh of its time and memory. In a small encoder with a
    large vocabulary, that is most of a training step. fairseq's RoBERTa (Liu et al. 2019) does so, and ModernBERT
    (Warner et al. 2024) with `sparse_prediction=True` in its configuration.

    A forward pass with `labels` `[batch, length]` then returns `logits` `[1, labeled, vocabulary]`. The loss and the
    gradients are those of all logits, up to rounding, under any precision, `torch.compile` and DDP. A forward pass
    without labels computes all logits. This is how `Trainer` calls the model with `compute_loss_func` or label
    smoothing, so these are correct, and not faster.

    Args:
        model: a model for masked language modeling, such as `AutoModelForMaskedLM` returns. If it is wrapped, by DDP
            for example, pass the model inside.
        in_evaluation: also compute sparse logits in evaluation mode. `Trainer` then passes logits to `compute_metrics`
            that do not match its labels. Without `compute_metrics`, evaluation losses are the same.

    Raises:
        ValueError: if the head of the model is not known to treat each token by itself, or the model is a ModernBERT
            with FlashAttention, which has its own `sparse_prediction`.

    >>> from transformers import BertConfig, BertForMaskedLM
    >>> sizes = {"vocab_size": 50, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    >>> model = BertForMaskedLM(BertConfig(num_attention_heads=1, **sizes)).train()
    >>> ids, labels = torch.tensor([[2, 4, 7, 3]]), torch.tensor([[-100, 6, -100, -100]])
    >>> with sparse_prediction(model):  # trainer.train()
    ...     tuple(model(input_ids=ids, labels=labels).logits.shape)
    (1, 1, 50)
    """
    _check_model(model)
    labeled = threading.local()  # bool [batch, length] of the current forward pass; DataParallel has a thread a device

    @torch.compiler.disable
    def select_labels(model: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        labels = kwargs.get("labels") if model.training or in_evaluation else None
        labeled.tokens = None if labels is None else labels != IGNORE_INDEX
        return args, kwargs if labels is None else {**kwargs, "labels": labels[labeled.tokens][None]}

    @torch.compiler.disable
    def select_hidden_states(encoder: torch.nn.Module, args: Any, output: Any) -> Any:
        tokens, labeled.tokens = getattr(labeled, "tokens", None), None
        if tokens is not None:
            selected = output[0][tokens][None]
            if isinstance(output, tuple):
                return selected, *output[1:]
            output["last_hidden_state"] = selected
        return output

    hooks = [
        model.register_forward_pre_hook(select_labels, with_kwargs=True),
        model.base_model.register_forward_hook(select_hidden_states),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def has_known_head(model: PreTrainedModel) -> bool:
    """Whether [`sparse_prediction`] knows the head of a model."""
    return has_head(model, KNOWN_TYPES, MODEL_FOR_MASKED_LM_MAPPING_NAMES)


def _check_model(model: Any) -> None:
    if not isinstance(model, PreTrainedModel):
        remedy = "the model inside, `model.module`" if hasattr(model, "module") else "`AutoModelForMaskedLM`'s result"
        raise ValueError(f"`model` must be a transformers model, but got a `{type(model).__name__}`. Pass {remedy}.")
    if not has_known_head(model):
        raise ValueError(
            "`model` must be a masked language model whose head treats each token by itself, but "
            f"`{type(model).__name__}` is not known to be one. Known are the `...ForMaskedLM` models of "
            f"{', '.join(KNOWN_TYPES)}. Train it without `sparse_prediction`."
        )
    attention = getattr(model.config, "_attn_implementation", None)
    if hasattr(model.config, "sparse_prediction") and attention == "flash_attention_2":
        raise ValueError(
            "`model` must not be a ModernBERT with FlashAttention, which removes padding in ways of its own, but got "
            '`attn_implementation="flash_attention_2"`. Set `sparse_prediction=True` in its configuration instead.'
        )
