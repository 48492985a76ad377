"""Attention masks for rows of sequences: no token attends to another sequence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel


def attention_mask(encoder: PreTrainedModel, seq_idx: torch.Tensor) -> Any:
    """The attention mask of the encoder for rows of sequences, int `[rows, length]`."""
    implementation = encoder.config._attn_implementation
    make: Callable[..., Any] = partial(MASKS[implementation], seq_idx)
    if implementation == "eager":  # only then, as a replica of `DataParallel` has no parameters
        make = partial(make, dtype=encoder.get_input_embeddings().weight.dtype)
    if encoder.config.model_type != "modernbert":
        return make(None)
    return {"full_attention": make(None), "sliding_attention": make(encoder.config.sliding_window)}


def _same_sequence(seq_idx: torch.Tensor, window: int | None, row: Any, query: Any, key: Any) -> torch.Tensor:
    """Whether a query attends to a key: they are in the same sequence, and at most `window` tokens apart."""
    same = seq_idx[row, query] == seq_idx[row, key]
    return same if window is None else same & ((query - key).abs() <= window)


def _boolean_mask(seq_idx: torch.Tensor, window: int | None) -> torch.Tensor:
    """bool `[rows, 1, length, length]`."""
    rows, length = seq_idx.shape
    row = torch.arange(rows, device=seq_idx.device)[:, None, None, None]
    position = torch.arange(length, device=seq_idx.device)
    return _same_sequence(seq_idx, window, row, position[:, None], position)


def _additive_mask(seq_idx: torch.Tensor, window: int | None, dtype: torch.dtype) -> torch.Tensor:
    """Floats `[rows, 1, length, length]`: 0 for keys to attend to, and the lowest number for the others."""
    same = _boolean_mask(seq_idx, window)
    return torch.zeros(same.shape, dtype=dtype, device=same.device).masked_fill(~same, torch.finfo(dtype).min)


@torch.compiler.disable
def _block_mask(seq_idx: torch.Tensor, window: int | None) -> Any:
    """A `BlockMask`."""
    from torch.nn.attention.flex_attention import create_block_mask  # not at import, as few need it

    def attends(row: Any, head: Any, query: Any, key: Any) -> torch.Tensor:
        return _same_sequence(seq_idx, window, row, query, key)

    rows, length = seq_idx.shape
    return create_block_mask(attends, rows, None, length, length, device=seq_idx.device)


MASKS = {"sdpa": _boolean_mask, "eager": _additive_mask, "flex_attention": _block_mask}
