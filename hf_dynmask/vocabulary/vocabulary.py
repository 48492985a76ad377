"""Tables over token ids, made once from the tokenizer and looked up ever after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_dynmask.vocabulary.words import WordTable

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
        state: what the tokenizer was like when it was read, as [`_tokenizer_state`] tells.
        count: how many tokens it had.
        marked: the ids that were marked as special in the tokenizer, whether or not they had a role.
    """

    special: np.ndarray
    ordinary_ids: np.ndarray
    read_words: Callable[[], WordTable | None]
    mask_token_id: int | None
    pad_token_id: int | None
    pad_token_type_id: int
    pad_is_unambiguous: bool
    state: tuple[Any, ...] = ()
    count: int = 0
    marked: frozenset[int] = frozenset()

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

    def is_current(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        """Whether the tokenizer has no more tokens, and the same ones have roles: takes a microsecond."""
        return self.state == _tokenizer_state(tokenizer, self.size)

    def is_current_in_full(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        """Whether it also marks the same tokens as special: takes time in proportion to the tokens."""
        return self.is_current(tokenizer) and (self.count, self.marked) == (
            len(tokenizer),
            _added_special_ids(tokenizer),
        )


def check_mask_token(vocabulary: Vocabulary, alternatives: str) -> None:
    """Checks that a mask token exists; `alternatives` are arguments that do without it, with their effect.

    Raises:
        ValueError: if there is none.
    """
    if vocabulary.mask_token_id is None:
        raise ValueError(
            "`tokenizer` must have a mask token, but has none. Add one with "
            f'`tokenizer.add_special_tokens({{"mask_token": "[MASK]"}})`, or pass {alternatives}.'
        )


def read_vocabulary(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """The tables for a tokenizer, fast or slow."""
    ids = tokenizer.get_vocab()
    size = max(len(tokenizer), max(ids.values(), default=-1) + 1)
    special = np.ones(size, dtype=bool)
    special[list(ids.values())] = False
    marked = _added_special_ids(tokenizer)
    special[[*tokenizer.all_special_ids, *marked]] = True
    pad = tokenizer.pad_token_id
    return Vocabulary(
        special=special,
        ordinary_ids=np.flatnonzero(~special),
        read_words=partial(_read_words, tokenizer, special),
        mask_token_id=tokenizer.mask_token_id,
        pad_token_id=pad,
        pad_token_type_id=getattr(tokenizer, "pad_token_type_id", 0),
        pad_is_unambiguous=pad is not None and _roles(tokenizer).count(pad) == 1,
        state=_tokenizer_state(tokenizer, size),
        count=len(tokenizer),
        marked=marked,
    )


def _read_words(tokenizer: PreTrainedTokenizerBase, special: np.ndarray) -> WordTable | None:
    from hf_dynmask.vocabulary.whole_word_vocabulary import has_only_whole_words
    from hf_dynmask.vocabulary.word_table import word_table  # not at import: it costs more than all else here

    known = (tokenizer.get_vocab(), special, tokenizer.added_tokens_decoder.keys())
    table = word_table(*known)
    if table is None and has_only_whole_words(tokenizer):
        table = word_table(*known, tokens_are_words=True)
    return table


def _tokenizer_state(tokenizer: PreTrainedTokenizerBase, size: int) -> tuple[Any, ...]:
    """What is quick to tell of a tokenizer: whether it has outgrown a size, and which tokens have a role.

    The public names of the roles take up to 40 times as long. They serve where transformers has no private ones.
    """
    attributes = vars(tokenizer)
    named = attributes.get("_special_tokens_map") or tokenizer.special_tokens_map
    unnamed = attributes.get("_extra_special_tokens") or named.get("additional_special_tokens") or ()  # since 5; in 4
    # `len` of a fast tokenizer looks at every token in tokenizers 0.22; the next token that is added has the next id
    outgrown = tokenizer.backend_tokenizer.id_to_token(size) if tokenizer.is_fast else len(tokenizer)
    return outgrown, tuple(named.values()), tuple(unnamed)


def _added_special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    return frozenset(id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special)


def _roles(tokenizer: PreTrainedTokenizerBase) -> list[int | None]:
    names = ("pad", "bos", "eos", "unk", "sep", "cls", "mask")
    return [getattr(tokenizer, f"{name}_token_id") for name in names]
