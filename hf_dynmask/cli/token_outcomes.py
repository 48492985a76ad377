"""The outcome for each token of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

    @property
    def is_masked(self) -> bool:
        """Whether the model predicts the token."""
        return self.outcome in MASKED

    @property
    def is_maskable(self) -> bool:
        """Whether the token can be masked."""
        return self.outcome != "unmaskable"


def pieces_of(
    tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary, ids: Sequence[int], batch: Mapping[str, Any]
) -> list[Piece]:
    """The tokens of an example in a batch of this example alone.

    Args:
        tokenizer: reads the ids.
        vocabulary: that of the tokenizer.
        ids: those of the example.
        batch: the numpy arrays of the collator: `input_ids`, which the model receives, and `labels`, -100 where nothing
            is predicted; int64 `[1, tokens]` each.
    """
    tokens = RaggedTokens(np.asarray(ids, dtype=np.int64), np.array([len(ids)]))
    starts = np.ones(len(ids), dtype=bool) if vocabulary.words is None else vocabulary.words.starts(tokens)
    rows = ids, batch["input_ids"][0].tolist(), batch["labels"][0].tolist(), starts.tolist()
    return [_piece(tokenizer, vocabulary, *token) for token in zip(*rows, strict=True)]


def masked_fraction(pieces: Sequence[Piece]) -> float:
    """The fraction of masked tokens among the maskable ones; 0 if there are none."""
    return sum(piece.is_masked for piece in pieces) / max(sum(piece.is_maskable for piece in pieces), 1)


def surface(tokenizer: PreTrainedTokenizerBase, id_: int) -> str:
    """A token without the marks of its vocabulary; the token itself if nothing is left, or half a character."""
    token = str(tokenizer.convert_ids_to_tokens(id_))
    text = tokenizer.convert_tokens_to_string([token]).strip().removeprefix("##")
    text = text.replace("Ġ", " ").replace("▁", " ").strip()  # where the tokenizer has no decoder
    return token if not text or "\N{REPLACEMENT CHARACTER}" in text else text


def _piece(
    tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary, id_: int, received: int, label: int, begins_word: bool
) -> Piece:
    if label == IGNORE_INDEX:
        outcome = None if vocabulary.maskable[id_] else "unmaskable"
    else:
        outcome = _masked_outcome(id_, received, vocabulary.mask_token_id)
    replacement = surface(tokenizer, received) if outcome == "random_token" else None
    return Piece(surface(tokenizer, id_), begins_word, outcome, replacement)


def _masked_outcome(before: int, after: int, mask_token_id: int | None) -> str:
    if after == mask_token_id:
        return "mask_token"
    return "unchanged" if after == before else "random_token"
