"""Where words begin, by the vocabulary alone: without offsets or extra columns, for any tokenizer.

The marks of the tokenizer separate words: `##`, `Ġ`, `▁`, `</w>` or `@@`; spaces in a vocabulary of bytes or
characters; in a vocabulary of whole words, each token is a word. In every family:

- each punctuation mark or symbol is a word;
- in scripts without spaces between words (Han, Kana, Thai, ...), each token is a word;
- combining marks, joiners and the remaining bytes of a character belong to the word before them;
- each special token is a word, and so is each token that was added to the vocabulary, except in scripts without spaces.

These words differ from `word_ids()` of a fast tokenizer where `word_ids()`:

- attaches symbols to words, such as `Hello,` with `▁`, or `20°`, `€5` and emoji with `##` of BERT, which only separates
  the symbols of ASCII and Unicode punctuation;
- treats text without spaces as one word (all tokenizers except for BERT's with Han);
- splits at combining marks and joiners, as the regular expressions of GPT-2 and CLIP do in Hindi or within emoji. With
  `</w>`, such a split looks like a space: the mark stays with its letter, and the next letter begins a word;
- keeps contractions together, as GPT-2 and CLIP do; here, `'re` is two words if it is two tokens;
- joins all spaces between two words except for the last, as GPT-2 does; here, each space begins a word.

If the bytes of a character are in several tokens, its class is that of most characters with the bytes of the first
token. For example, an Arabic comma (`D8 8C`) counts as a letter in a vocabulary of single bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from hf_dynmask.core.ragged import RaggedTokens


class Class(IntEnum):
    """The class of the character, or of the mark, that a token begins or ends with."""

    LETTER = 0
    NUMBER = 1
    SYMBOL = 2  # and punctuation
    FLAG = 3  # a regional indicator, which is half of a flag
    IDEOGRAPH = 4  # a letter of a script without spaces between words
    JOINER = 5  # belongs to the character before it
    SPACE = 6  # or a mark of a beginning: begins a word, to which the next character belongs
    END = 7  # the next character begins a word, unless it is a joiner
    SPECIAL = 8  # the next character begins a word


@dataclass(frozen=True, eq=False)
class WordTable:
    """Where words begin.

    Attributes:
        first: uint8 `[ids]`, the `Class` of the first character of each token, or of its mark.
        last: uint8 `[ids]`, the `Class` of its last character that is not a joiner; JOINER if there is none.
        boundary: bool `[classes, classes]`, True if a word begins between a last class and a first class.
        surfaces: the UTF-8, without marks and spaces, of tokens that may occur in text without spaces: those that begin
            or end with an ideograph, and those that begin with a joiner, which may be a later byte of an ideograph.
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
        """uint8 `[ids]`: both classes, `16 * last + first`, so that one lookup returns both."""
        return (self.last << 4) | self.first

    @cached_property
    def boundary_of_pairs(self) -> np.ndarray:
        """bool `[256]`: [`boundary`] by `16 * last + first`."""
        square = np.zeros((16, 16), dtype=bool)
        square[: len(Class), : len(Class)] = self.boundary
        return square.ravel()

    def starts(self, tokens: RaggedTokens) -> np.ndarray:
        """bool `[tokens]`: True where a word begins."""
        codes = self.codes.take(tokens.input_ids)
        pairs = (self._last_classes(tokens, codes)[:-1] << 4) | (codes[1:] & 15)
        starts = np.empty(len(codes), dtype=bool)
        starts[1:] = self.boundary_of_pairs.take(pairs)
        starts[tokens.row_starts] = True
        return starts

    def last_classes(self, tokens: RaggedTokens) -> np.ndarray:
        """uint8 `[tokens]`: the class of the last character up to this token that is not a joiner."""
        return self._last_classes(tokens, self.codes.take(tokens.input_ids))

    def _last_classes(self, tokens: RaggedTokens, codes: np.ndarray) -> np.ndarray:
        last = codes >> 4
        joiners = last == Class.JOINER
        if not joiners.any():
            return last
        bare = tokens.positions == 0  # a mark without its letter, or the end of a character whose start was cut off
        bare[1:] |= last[:-1] == Class.SPECIAL
        last[joiners & bare] = Class.LETTER
        return last[np.maximum.accumulate(np.where(last == Class.JOINER, 0, np.arange(len(last))))]
