"""Sentinels: they replace runs of noise in the input, and separate these runs in the target."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.core.rows import count_flags, positions_in_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SENTINEL = re.compile("▁?<extra_id_([0-9]+)>")  # those of mT5 are pieces of SentencePiece, with its word mark
_MIN_SENTINELS = 3  # two for a span that the rotation splits, and one after the last run


def find_sentinels(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """The ids of the sentinels in the order of their numbers, which is the order of their use: int64 `[sentinels]`.

    Raises:
        ValueError: if there are fewer than 3.
    """
    vocabulary = tokenizer.get_vocab()
    named = sorted(filter(None, map(_SENTINEL.fullmatch, vocabulary)), key=lambda match: match[0], reverse=True)
    # of two tokens with one number, the one without a word mark is last, and remains
    numbered = {int(match[1]): vocabulary[match[0]] for match in named}
    if len(numbered) < _MIN_SENTINELS:
        raise ValueError(
            f"`tokenizer` must have at least {_MIN_SENTINELS} sentinels, tokens named `<extra_id_0>`, `<extra_id_1>`, "
            f"..., but {type(tokenizer).__name__} has {len(numbered)}. Add the 100 of T5 with "
            '`tokenizer.add_special_tokens({"additional_special_tokens": [f"<extra_id_{i}>" for i in range(100)]})`, '
            "and resize the embeddings of the model with `model.resize_token_embeddings(len(tokenizer))`."
        )
    return np.array([numbered[number] for number in sorted(numbered)], dtype=np.int64)


def run_starts(tokens: RaggedTokens, noise: np.ndarray) -> np.ndarray:
    """Where each maximal run of consecutive noise tokens begins: bool `[tokens]`."""
    starts = noise.copy()
    starts[1:] &= ~noise[:-1] | (tokens.positions[1:] == 0)
    return starts


def corrupt(tokens: RaggedTokens, noise: np.ndarray, sentinels: np.ndarray) -> RaggedTokens:
    """The sequences, with each run of noise (bool `[tokens]`) replaced by the next sentinel."""
    starts = run_starts(tokens, noise)
    kept = ~noise | starts
    input_ids = tokens.input_ids.copy()
    input_ids[starts] = sentinels[positions_in_rows(count_flags(starts, tokens.lengths))]
    return RaggedTokens(input_ids[kept], count_flags(kept, tokens.lengths))


def span_targets(
    tokens: RaggedTokens, noise: np.ndarray, sentinels: np.ndarray, eos_token_id: int | None
) -> RaggedTokens:
    """The target of each sequence: a sentinel before each run of noise and one after the last, then the end token."""
    tail = 1 if eos_token_id is None else 2
    starts = run_starts(tokens, noise)
    runs = count_flags(starts, tokens.lengths)
    lengths = count_flags(noise, tokens.lengths) + runs + tail
    # A noise token follows all earlier noise, the sentinels of runs up to its own, and the tails of earlier rows.
    indices = np.arange(noise.sum()) + np.cumsum(starts)[noise] + tail * tokens.rows[noise]
    ends = np.cumsum(lengths)

    input_ids = np.empty(lengths.sum(), dtype=np.int64)
    input_ids[indices] = tokens.input_ids[noise]
    input_ids[indices[starts[noise]] - 1] = sentinels[positions_in_rows(runs)]
    input_ids[ends - tail] = sentinels[runs]
    if eos_token_id is not None:
        input_ids[ends - 1] = eos_token_id
    return RaggedTokens(input_ids, lengths)
