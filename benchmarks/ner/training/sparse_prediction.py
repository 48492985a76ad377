"""Computes the logits of a masked language model at the labeled tokens only, as the loss needs no others.

With 15 % of the tokens labeled, the other logits are most of a small encoder's work. fairseq's RoBERTa skips them, and
so does ModernBERT with `sparse_prediction`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from benchmarks.ner.data.encoding import IGNORED


@contextmanager
def sparse_prediction(model: PreTrainedModel) -> Iterator[None]:
    """Within this context, a forward pass with `labels` `[batch, length]` returns `logits` `[labeled, vocabulary]`.

    Loss and gradients stay the same, up to rounding. Models without output embeddings are not changed, nor are models
    with a `sparse_prediction` of their own, which their configuration controls.
    """
    decoder = model.get_output_embeddings()
    if decoder is None or hasattr(model.config, "sparse_prediction"):
        yield
        return
    labeled: torch.Tensor | None = None  # bool [batch, length], of the current forward pass

    def select_labels(model: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        nonlocal labeled
        labels = kwargs.get("labels")
        if labels is None:
            labeled = None
            return args, kwargs
        labeled = labels != IGNORED
        return args, {**kwargs, "labels": labels[labeled]}

    def select_hidden_states(decoder: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        return None if labeled is None else (args[0][labeled], *args[1:])

    hooks = [
        model.register_forward_pre_hook(select_labels, with_kwargs=True),
        decoder.register_forward_pre_hook(select_hidden_states),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
