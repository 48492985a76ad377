"""The outcome for each token of a text, and how to show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedTokens
from hf_dynmask.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_AROUND = ("cls", "sep", "bos", "eos", "pad")  # special tokens around a text


@dataclass(frozen=True)
class Piece:
    """A token.

    Attributes:
        text: the token without the marks of the vocabulary; for a replaced token, also its replacement.
        begins_word: whether it begins a word.
        outcome: `"masked"`, `"replaced"`, `"kept"` (unchanged but still predicted), or None if it was not selected.
    """

    text: str
    begins_word: bool
    outcome: str | None


def marked_pieces(
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: Vocabulary,
    ids: Sequence[int],
    masked: np.ndarray,
    labels: np.ndarray,
) -> Iterator[Piece]:
    """The tokens of a text, except for the special tokens around it.

    Args:
        ids: those of the text.
        masked: int64 `[tokens]`, the ids that the model receives.
        labels: int64 `[tokens]`, -100 where nothing is predicted.
    """
    tokens = RaggedTokens(np.asarray(ids, dtype=np.int64), np.array([len(ids)]))
    starts = np.ones(len(ids), dtype=bool) if vocabulary.words is None else vocabulary.words.starts(tokens)
    around = {getattr(tokenizer, f"{role}_token_id") for role in _AROUND}
    for id_, became, label, begins in zip(ids, masked.tolist(), labels.tolist(), starts.tolist(), strict=True):
        if id_ in around:
            continue
        outcome = None if label == IGNORE_INDEX else _outcome(id_, became, vocabulary.mask_token_id)
        text = surface(tokenizer, id_)
        yield Piece(f"{text}>{surface(tokenizer, became)}" if outcome == "replaced" else text, begins, outcome)


def surface(tokenizer: PreTrainedTokenizerBase, id_: int) -> str:
    """A token without the marks of its vocabulary; the token itself if nothing is left, or half a character."""
    token = str(tokenizer.convert_ids_to_tokens(id_))
    text = tokenizer.convert_tokens_to_string([token]).strip().removeprefix("##")
    text = text.replace("Ġ", " ").replace("▁", " ").strip()  # where the tokenizer has no decoder
    return "".join(map(_printable, token if not text or "\N{REPLACEMENT CHARACTER}" in text else text))


def _outcome(before: int, after: int, mask_token_id: int | None) -> str:
    if after == mask_token_id:
        return "masked"
    return "kept" if after == before else "replaced"


def _printable(character: str) -> str:
    """Escapes characters that would control the terminal."""
    return character if character.isprintable() else f"\\u{ord(character):04x}"
