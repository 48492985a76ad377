"""Tables over token ids, which are read from the tokenizer once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_dynmask.core.checks import checked_integer
from hf_dynmask.vocabulary.words import WordTable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The properties of a tokenizer that masking needs.

    Attributes:
        special: bool `[ids]`, True for ids that are never masked: special and unknown tokens, and ids without a token.
        ordinary_ids: int64 `[n]`, the ids from which random replacements are drawn: all that are not special.
        read_words: a function that makes [`words`].
        mask_token_id: the id of the mask token; None if the tokenizer has none.
        pad_token_id: the id of the pad token; None if the tokenizer has none.
        pad_token_type_id: the padding of `token_type_ids`.
        pad_is_unambiguous: whether the pad token has no other role, so that it is always padding.
        state: the state of the tokenizer when it was read, from [`_tokenizer_state`].
        count: the number of tokens at that time.
        marked: the ids that were marked as special at that time, with or without a role.
        unmaskable: ordinary ids that are never masked.
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
    unmaskable: frozenset[int] = frozenset()

    @cached_property
    def words(self) -> WordTable | None:
        """Where words begin; None if the vocabulary does not show it. Made at the first use."""
        return self.read_words()

    @cached_property
    def maskable(self) -> np.ndarray:
        """bool `[ids]`: False for `special` and `unmaskable` ids."""
        maskable = ~self.special
        maskable[list(self.unmaskable)] = False
        return maskable

    @cached_property
    def size(self) -> int:
        """The number of ids: every id is in [0, size)."""
        return len(self.special)

    def with_unmaskable(self, ids: Collection[int]) -> Vocabulary:
        """This vocabulary, where these ids are not maskable either. They remain ordinary otherwise.

        Raises:
            ValueError: if they are not a collection of ids of the vocabulary.
        """
        remedy = "Pass a list of ids of the tokenizer, as `tokenizer.convert_tokens_to_ids([token])` returns."
        if isinstance(ids, str) or not isinstance(ids, Collection):
            raise ValueError(f"`unmaskable_ids` must be a list of ids, but got {ids!r}. {remedy}")
        if not len(ids):
            return self
        for id_ in ids:
            checked_integer(id_, "id` in `unmaskable_ids", 0, remedy, self.size - 1)
        words = partial(getattr, self, "words")  # which are read once for both
        return dataclasses.replace(self, unmaskable=frozenset(map(int, ids)), read_words=words)

    def is_current(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        """Whether the tokenizer has no new tokens, and the same tokens have roles. Takes a microsecond."""
        return self.state == _tokenizer_state(tokenizer, self.size)

    def is_current_in_full(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        """Whether it also marks the same tokens as special. Takes time in proportion to the number of tokens."""
        return self.is_current(tokenizer) and (self.count, self.marked) == (
            len(tokenizer),
            _added_special_ids(tokenizer),
        )


def check_mask_token(vocabulary: Vocabulary, alternatives: str) -> None:
    """Checks that a mask token exists. `alternatives` lists arguments that work without one, and their effect.

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
    from hf_dynmask.vocabulary.word_table import word_table  # not at import, which would take longer

    known = (tokenizer.get_vocab(), special, tokenizer.added_tokens_decoder.keys())
    table = word_table(*known)
    if table is None and has_only_whole_words(tokenizer):
        table = word_table(*known, tokens_are_words=True)
    return table


def _tokenizer_state(tokenizer: PreTrainedTokenizerBase, size: int) -> tuple[Any, ...]:
    """The properties of a tokenizer that are fast to read: whether it exceeds a size, and which tokens have a role.

    The public attributes of the roles are up to 40 times slower. They are used if the private attributes do not exist.
    """
    attributes = vars(tokenizer)
    named = attributes.get("_special_tokens_map") or tokenizer.special_tokens_map
    # transformers 5, and transformers 4
    unnamed = attributes.get("_extra_special_tokens") or named.get("additional_special_tokens") or ()
    # `len` of a fast tokenizer reads every token in tokenizers 0.22, and the next token to be added gets the next id
    next_token = tokenizer.backend_tokenizer.id_to_token(size) if tokenizer.is_fast else len(tokenizer)
    return next_token, tuple(named.values()), tuple(unnamed)


def _added_special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    return frozenset(id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special)


def _roles(tokenizer: PreTrainedTokenizerBase) -> list[int | None]:
    names = ("pad", "bos", "eos", "unk", "sep", "cls", "mask")
    return [getattr(tokenizer, f"{name}_token_id") for name in names]
