"""Where words begin, known from the vocabulary alone: no offsets, no extra columns, any tokenizer.

A word is what the tokenizer's marks say (`##`, `Ġ`, `▁`, `</w>`, `@@`; in a vocabulary of bytes or characters, spaces;
in one of words that nothing can go on with, each token), and in every family:

- punctuation and symbols are words of their own;
- a token of a script written without spaces between words (Han, Kana, Thai, ...) is a word of its own;
- combining marks, joiners and the further bytes of a character stay with what they follow;
- a special token is a word of its own, and what follows it begins another; so is a token that was added to the
  vocabulary, except in scripts written without spaces.

So words differ from a fast tokenizer's `word_ids()`, on purpose, where those

- glue symbols to words: `Hello,` with `▁`; `20°`, `€5` and emoji with BERT's `##`, where only ASCII's symbols and what
  Unicode calls punctuation are apart;
- take a text without spaces, or a stretch of it, for one word (all but BERT's for Han);
- cut at combining marks and joiners, as the regular expressions of GPT-2 and CLIP do in Hindi or within emoji. `</w>`
  does not tell such a cut from a space: there, the mark stays with its letter, but the next letter begins a word;
- keep contractions together, as GPT-2 and CLIP do: `'re` is two words where it is two tokens;
- make a word of all the spaces between two words but the last, as GPT-2 does: each space begins one here.

A character that is cut into bytes is classed by those in its first token, by what most characters with these bytes
are: an Arabic comma (`D8 8C`), say, is taken for a letter in a vocabulary of single bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from hf_dynmask.core.ragged import RaggedTokens


class Class(IntEnum):
    """What a token begins or ends with."""

    LETTER = 0
    NUMBER = 1
    SYMBOL = 2  # and punctuation
    FLAG = 3  # half a flag: a regional indicator
    IDEOGRAPH = 4  # a letter of a script without spaces between words
    JOINER = 5  # goes with what is before it
    SPACE = 6  # or the mark of a beginning: begins a word, which goes on with what follows
    END = 7  # what follows begins a word, unless it is a joiner
    SPECIAL = 8  # what follows begins a word


@dataclass(frozen=True, eq=False)
class WordTable:
    """Where words begin.

    Attributes:
        first: uint8 `[ids]`, the `Class` of a token's first character or of its mark.
        last: uint8 `[ids]`, the `Class` of its last character that is no joiner; JOINER if there is none.
        boundary: bool `[classes, classes]`, True where a word begins between a last and a first one.
        surfaces: the UTF-8, without marks and spaces, of tokens that may be met in text without spaces: those with an
            ideograph first or last, and those with a joiner first, which may be a further byte of an ideograph.
    """

    first: np.ndarray
    last: np.ndarray
    boundary: np.ndarray
    surfaces: Mapping[int, bytes]

    @cached_property
    def joins(self) -> np.ndarray:
        """bool `[ids]`: True for tokens that do not begin a character."""
        return self.first == Class.JOINER

    @cached_property
    def codes(self) -> np.ndarray:
        """uint8 `[ids]`: both classes, `16 * last + first`, so that one look at the table tells both."""
        return (self.last << 4) | self.first

    @cached_property
    def _boundary_of_pairs(self) -> np.ndarray:
        """bool `[256]`: [`boundary`] by `16 * last + first`."""
        square = np.zeros((16, 16), dtype=bool)
        square[: len(Class), : len(Class)] = self.boundary
        return square.ravel()

    def starts(self, tokens: RaggedTokens) -> np.ndarray:
        """bool `[tokens]`: True where a word begins."""
        codes = self.codes.take(tokens.input_ids)
        pairs = (self._last_classes(tokens, codes)[:-1] << 4) | (codes[1:] & 15)
        starts = np.empty(len(codes), dtype=bool)
        starts[1:] = self._boundary_of_pairs.take(pairs)
        starts[tokens.row_starts] = True
        return starts

    def last_classes(self, tokens: RaggedTokens) -> np.ndarray:
        """uint8 `[tokens]`: the class of the last character up to here that is no joiner."""
        return self._last_classes(tokens, self.codes.take(tokens.input_ids))

    def _last_classes(self, tokens: RaggedTokens, codes: np.ndarray) -> np.ndarray:
        last = codes >> 4
        joiners = last == Class.JOINER
        if not joiners.any():
            return last
        bare = tokens.positions == 0  # a mark without its letter, or the end of a character that was cut
        bare[1:] |= last[:-1] == Class.SPECIAL
        last[joiners & bare] = Class.LETTER
        return last[np.maximum.accumulate(np.where(last == Class.JOINER, 0, np.arange(len(last))))]
