"""Tables over token ids, made once from the tokenizer and looked up ever after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from hf_dynmask.words import WordTable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What masking needs to know of a tokenizer.

    Attributes:
        special: bool `[ids]`, True for special and unknown tokens and for ids that no token has: never masked.
        ordinary_ids: int64 `[n]`, the ids a random replacement is drawn from: all that are not special.
        read_words: makes [`words`].
        mask_token_id: what a masked token becomes; None if the tokenizer has none.
        pad_token_id: what fills up a batch; None if the tokenizer has none.
        pad_token_type_id: what fills up `token_type_ids`.
        pads_unmistakably: the pad token has no other role, so that it is padding wherever it stands.
    """

    special: np.ndarray
    ordinary_ids: np.ndarray
    read_words: Callable[[], WordTable | None]
    mask_token_id: int | None
    pad_token_id: int | None
    pad_token_type_id: int
    pads_unmistakably: bool

    @cached_property
    def words(self) -> WordTable | None:
        """Where words begin; None if the vocabulary does not tell. Made when first asked for: not all strategies do."""
        return self.read_words()

    @cached_property
    def maskable(self) -> np.ndarray:
        """bool `[ids]`: the opposite of `special`."""
        return ~self.special

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
        read_words=partial(_words_of, tokenizer, special),
        mask_token_id=tokenizer.mask_token_id,
        pad_token_id=pad,
        pad_token_type_id=getattr(tokenizer, "pad_token_type_id", 0),
        pads_unmistakably=pad is not None and _roles(tokenizer).count(pad) == 1,
    )


def _words_of(tokenizer: PreTrainedTokenizerBase, special: np.ndarray) -> WordTable | None:
    from hf_dynmask.undivided import never_divides_words
    from hf_dynmask.word_marks import word_table  # not at import: it costs more than all else here

    known = (tokenizer.get_vocab(), special, tokenizer.added_tokens_decoder.keys())
    table = word_table(*known)
    if table is None and never_divides_words(tokenizer):
        table = word_table(*known, undivided=True)
    return table


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    added = [id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special]
    return [*tokenizer.all_special_ids, *added]


def _roles(tokenizer: PreTrainedTokenizerBase) -> list[int | None]:
    names = ("pad", "bos", "eos", "unk", "sep", "cls", "mask")
    return [getattr(tokenizer, f"{name}_token_id") for name in names]
