"""The head of a masked language model at the labelled tokens alone, where its loss looks: the same loss for less.

At 15 % labels, the scores of the other tokens are most of a small encoder's work. fairseq's RoBERTa leaves them out,
and so does ModernBERT with `sparse_prediction`.
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
    """While this is open, a forward pass with `labels` `[batch, length]` returns the `logits` `[labelled, vocabulary]`.

    Loss and gradients stay what they were, up to rounding. A model that has `sparse_prediction` of its own, which is on
    or off as its configuration says, and one without output embeddings are left as they are.
    """
    decoder = model.get_output_embeddings()
    if decoder is None or hasattr(model.config, "sparse_prediction"):
        yield
        return
    labeled: torch.Tensor | None = None  # bool [batch, length], of the forward pass that runs

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
