"""Logits of a masked language model at one position of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_dynmask.modeling.sparse_prediction import has_known_head

PositionLogits = Callable[[Mapping[str, np.ndarray], np.ndarray], torch.Tensor]


@contextmanager
def position_logits(model: PreTrainedModel) -> Iterator[PositionLogits]:
    """A function that computes logits, within this context, in which the model is in evaluation mode.

    The function takes the arguments of `forward` as arrays, `[rows, length]` for `input_ids`, and the position in each
    row, int64 `[rows]`. It returns the logits there, `[rows, vocabulary]`, on the device of the model. Heads that are
    known to treat each token by itself compute no others. At the end, each module returns to its mode.

    Args:
        model: a model for masked language modeling.
    """
    index: Any = None  # of the current forward pass: rows and positions, int64 [rows] each

    @torch.compiler.disable
    def select_hidden_states(encoder: torch.nn.Module, args: Any, output: Any) -> Any:
        if index is None or output[0].ndim != 3:  # not of this function, or without the dimension of rows
            return output
        selected = output[0][index][:, None]
        if isinstance(output, tuple):
            return selected, *output[1:]
        output["last_hidden_state"] = selected
        return output

    def logits(columns: Mapping[str, np.ndarray], positions: np.ndarray) -> torch.Tensor:
        nonlocal index
        arguments = {name: torch.from_numpy(values).to(model.device) for name, values in columns.items()}
        index = torch.arange(len(positions), device=model.device), torch.from_numpy(positions).to(model.device)
        output = model(**arguments)
        rows = output["logits"] if isinstance(output, Mapping) else output[0]
        return rows[:, 0] if rows.shape[1] == 1 else rows[index]

    hooks = [model.base_model.register_forward_hook(select_hidden_states)] if has_known_head(model) else []
    try:
        # not `inference_mode`: models that keep tables of positions between calls could not be trained with them later
        with _evaluation_mode(model), torch.no_grad():
            yield logits
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode within this context. Parts of a model in training mode may have been in it before."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
