"""The outcome for each token of a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedTokens
from hf_dynmask.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MASKED = {
    "mask_token": "mask token",
    "random_token": "random token",
    "unchanged": "unchanged",
}  # what the model receives


@dataclass(frozen=True)
class Piece:
    """A token.

    Attributes:
        text: the token without the marks of the vocabulary.
        begins_word: whether it begins a word.
        outcome: for a masked token, which the model predicts, `"mask_token"`, `"random_token"` or `"unchanged"`;
            otherwise `"unmaskable"` if it can never be masked, or None.
        replacement: the random token that the model receives, or None.
    """

    text: str
    begins_word: bool
    outcome: str | None
    replacement: str | None = None


def pieces_of(
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: Vocabulary,
    ids: Sequence[int],
    received: np.ndarray,
    labels: np.ndarray,
) -> Iterator[Piece]:
    """The tokens of a text.

    Args:
        tokenizer: reads the ids.
        vocabulary: that of the tokenizer.
        ids: those of the text.
        received: int64 `[tokens]`, the ids that the model receives.
        labels: int64 `[tokens]`, -100 where nothing is predicted.
    """
    tokens = RaggedTokens(np.asarray(ids, dtype=np.int64), np.array([len(ids)]))
    starts = np.ones(len(ids), dtype=bool) if vocabulary.words is None else vocabulary.words.starts(tokens)
    for id_, after, label, begins in zip(ids, received.tolist(), labels.tolist(), starts.tolist(), strict=True):
        if label == IGNORE_INDEX:
            outcome = None if vocabulary.maskable[id_] else "unmaskable"
        else:
            outcome = _masked_outcome(id_, after, vocabulary.mask_token_id)
        replacement = surface(tokenizer, after) if outcome == "random_token" else None
        yield Piece(surface(tokenizer, id_), begins, outcome, replacement)


def surface(tokenizer: PreTrainedTokenizerBase, id_: int) -> str:
    """A token without the marks of its vocabulary; the token itself if nothing is left, or half a character."""
    token = str(tokenizer.convert_ids_to_tokens(id_))
    text = tokenizer.convert_tokens_to_string([token]).strip().removeprefix("##")
    text = text.replace("Ġ", " ").replace("▁", " ").strip()  # where the tokenizer has no decoder
    return token if not text or "\N{REPLACEMENT CHARACTER}" in text else text


def _masked_outcome(before: int, after: int, mask_token_id: int | None) -> str:
    if after == mask_token_id:
        return "mask_token"
    return "unchanged" if after == before else "random_token"
