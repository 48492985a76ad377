"""Tables over token ids, made once from the tokenizer and looked up ever after."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CONTINUATION = "##"  # WordPiece marks the pieces that continue a word
_BYTE_LEVEL_SPACE = "Ġ"  # byte-level BPE and SentencePiece mark those that begin one: both marks stand for a space
_METASPACE = "▁"
_MARKS = (_CONTINUATION, _BYTE_LEVEL_SPACE, _METASPACE)


@dataclass(frozen=True)
class Vocabulary:
    """What masking needs to know of a tokenizer.

    Attributes:
        special: bool `[ids]`, True for special and unknown tokens and for ids that no token has: never masked.
        ordinary_ids: int64 `[n]`, the ids a random replacement is drawn from: all that are not special.
        word_starts: bool `[ids]`, True for tokens that begin a word; None where the vocabulary does not mark words.
        mask_token_id: what a masked token becomes; None if the tokenizer has none.
        pad_token_id: what fills up a batch; None if the tokenizer has none.
        pad_token_type_id: what fills up `token_type_ids`.
        pads_unmistakably: the pad token has no other role, so that it is padding wherever it stands.
    """

    special: np.ndarray
    ordinary_ids: np.ndarray
    word_starts: np.ndarray | None
    mask_token_id: int | None
    pad_token_id: int | None
    pad_token_type_id: int
    pads_unmistakably: bool

    @property
    def size(self) -> int:
        """The number of ids: every id is in [0, size)."""
        return len(self.special)


def vocabulary_of(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """The tables for a tokenizer, fast or slow."""
    ids = tokenizer.get_vocab()
    size = max(len(tokenizer), max(ids.values(), default=-1) + 1)
    special = np.ones(size, dtype=bool)
    special[list(ids.values())] = False
    special[_special_ids(tokenizer)] = True
    pad = tokenizer.pad_token_id
    return Vocabulary(
        special=special,
        ordinary_ids=np.flatnonzero(~special),
        word_starts=_word_starts(ids, special),
        mask_token_id=tokenizer.mask_token_id,
        pad_token_id=pad,
        pad_token_type_id=getattr(tokenizer, "pad_token_type_id", 0),
        pads_unmistakably=pad is not None and _roles(tokenizer).count(pad) == 1,
    )


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    added = [id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special]
    return [*tokenizer.all_special_ids, *added]


def _roles(tokenizer: PreTrainedTokenizerBase) -> list[int | None]:
    names = ("pad", "bos", "eos", "unk", "sep", "cls", "mask")
    return [getattr(tokenizer, f"{name}_token_id") for name in names]


def _word_starts(ids: dict[str, int], special: np.ndarray) -> np.ndarray | None:
    mark = _mark(ids)
    if mark is None:
        return None
    starts = special.copy()  # a special token never continues a word
    starts[[id_ for token, id_ in ids.items() if _begins_word(token, mark)]] = True
    return starts


def _mark(ids: dict[str, int]) -> str | None:
    """The mark that the vocabulary uses most; None if it uses none."""
    uses = {mark: sum(token.startswith(mark) and token != mark for token in ids) for mark in _MARKS}
    mark = max(uses, key=uses.__getitem__)
    return mark if uses[mark] else None


def _begins_word(token: str, mark: str) -> bool:
    if mark == _CONTINUATION:
        return not token.startswith(mark) or token == mark
    return token.startswith(mark) or _is_punctuation(token, byte_level=mark == _BYTE_LEVEL_SPACE)


def _is_punctuation(token: str, byte_level: bool) -> bool:
    """Punctuation is a word of its own, as in the tokenizers' own pre-tokenization.

    Beyond ASCII, a byte-level token shows bytes, not characters: nothing can be said of it.
    """
    return (token.isascii() or not byte_level) and all(unicodedata.category(char)[0] in "PS" for char in token)
