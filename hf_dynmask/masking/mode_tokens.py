"""Mode tokens: the first token of an input tells the model by which denoiser it is corrupted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.masking.denoisers import Denoiser

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_TOKEN = -1


def find_mode_tokens(
    denoisers: Sequence[Denoiser], tokenizer: PreTrainedTokenizerBase, sentinels: np.ndarray
) -> np.ndarray:
    """The id of the mode token of each denoiser: int64 `[denoisers]`, -1 for none.

    Raises:
        ValueError: if the tokenizer has no such token, or it has another role.
    """
    vocabulary = tokenizer.get_vocab()
    names = [denoiser.mode_token for denoiser in denoisers]
    missing = list(dict.fromkeys(name for name in names if name is not None and name not in vocabulary))
    if missing:
        raise ValueError(
            f"`mode_token` must be a token of the tokenizer, but {type(tokenizer).__name__} has no "
            f"{', '.join(map(repr, missing))}. Add it with `tokenizer.add_tokens({missing!r}, special_tokens=True)`, "
            "and resize the embeddings of the model with `model.resize_token_embeddings(len(tokenizer))`; or pass None "
            "for no mode token."
        )
    ids = np.array([NO_TOKEN if name is None else vocabulary[name] for name in names], dtype=np.int64)
    taken = [name for name, id_ in zip(names, ids, strict=True) if id_ in sentinels or id_ == tokenizer.pad_token_id]
    if taken:
        raise ValueError(
            f"`mode_token` must be neither a sentinel nor the pad token, but got {taken[0]!r}. Pass a token of its own."
        )
    return ids


def with_mode_tokens(inputs: RaggedTokens, ids: np.ndarray) -> RaggedTokens:
    """The inputs, each after its mode token (int64 `[sequences]`, -1 for none)."""
    has_token = ids != NO_TOKEN
    lengths = inputs.lengths + has_token
    is_mode_token = np.zeros(lengths.sum(), dtype=bool)
    is_mode_token[(lengths.cumsum() - lengths)[has_token]] = True
    input_ids = np.empty(len(is_mode_token), dtype=np.int64)
    input_ids[is_mode_token], input_ids[~is_mode_token] = ids[has_token], inputs.input_ids
    return RaggedTokens(input_ids, lengths)


def without_first(inputs: RaggedTokens, rows: np.ndarray) -> RaggedTokens:
    """The inputs, without the first token of some of them (bool `[sequences]`), which must have one."""
    kept = np.ones(len(inputs.input_ids), dtype=bool)
    kept[(inputs.ends - inputs.lengths)[rows]] = False
    return RaggedTokens(inputs.input_ids[kept], inputs.lengths - rows)
