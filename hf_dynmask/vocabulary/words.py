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

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from hf_dynmask.core.ragged import RaggedTokens

Segmenter = Callable[[str], Sequence[str]]


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


def whole_words(
    tokens: RaggedTokens,
    table: WordTable,
    max_word_length: int | None = 16,
    segmenter: Segmenter | None = None,
) -> np.ndarray:
    """Where words begin.

    Args:
        tokens: the sequences.
        table: where words begin in this vocabulary.
        max_word_length: a longer word (a URL, or text without spaces that the vocabulary does not know as such) is cut
            into equal pieces of at most this many tokens; tokens that do not begin a character are not counted, nor cut
            from it. None: words of any length.
        segmenter: splits text that is written without spaces into its words, such as `jieba.lcut`; must be hashable,
            and give the same words each time. It gets each stretch of Chinese, Japanese, Thai, ... of a sequence by
            itself. A token of two words is one of the word that it begins in. None: each token is a word. Workers that
            are spawned get it by pickle, which a function of a module allows and `jieba.lcut` itself does not.

    Returns:
        bool `[tokens]`, True where a word begins, as every sequence and every special token does.

    Raises:
        ValueError: if the segmenter's words do not make up the text.
    """
    starts = table.starts(tokens)
    if segmenter is not None:
        _segment(starts, tokens, table, segmenter)
    if max_word_length is not None:
        _cut(starts, tokens, table, max_word_length)
    return starts


def _cut(starts: np.ndarray, tokens: RaggedTokens, table: WordTable, longest: int) -> None:
    """Cuts every word of more than `longest` characters' beginnings, in place."""
    if longest >= len(starts) or bytes(longest) not in starts.tobytes():
        return  # no word is that long: the usual case, which this finds at once
    first = np.flatnonzero(starts)
    begins = starts | ~table.joins[tokens.input_ids]
    word = np.cumsum(starts) - 1
    length = np.add.reduceat(begins, first, dtype=np.int64)[word]
    place = np.cumsum(begins)
    place -= place[first][word]
    pieces = -(-length // longest)
    starts |= begins & (place * pieces // length != (place - 1) * pieces // length)


def _segment(starts: np.ndarray, tokens: RaggedTokens, table: WordTable, segmenter: Segmenter) -> None:
    """Puts the segmenter's words in the place of the table's, inside of stretches."""
    joins = table.joins[tokens.input_ids]
    for begin, end in _stretches(tokens, table):
        parts = [table.surfaces[id_] for id_ in tokens.input_ids[begin:end].tolist()]
        offsets = np.cumsum([0, *map(len, parts[:-1])])
        word = np.searchsorted(_KNOWN_ENDS[segmenter, b"".join(parts)], offsets, side="right")
        starts[begin + 1 : end] = (np.diff(word) != 0) & ~joins[begin + 1 : end]


def _stretches(tokens: RaggedTokens, table: WordTable) -> list[tuple[int, int]]:
    """Where text without spaces begins and ends, if it is more than a token."""
    continues = tokens.positions > 0
    continues[1:] &= table.last_classes(tokens)[:-1] == Class.IDEOGRAPH
    continues &= np.isin(table.first[tokens.input_ids], (Class.IDEOGRAPH, Class.JOINER))
    changes = np.diff(continues.astype(np.int8), append=0)
    return list(zip(np.flatnonzero(changes == 1).tolist(), (np.flatnonzero(changes == -1) + 1).tolist(), strict=True))


class _KnownEnds(dict[tuple[Segmenter, bytes], np.ndarray]):
    """A cache of [`_word_ends`], which a segmenter needs a thousand times as long to find.

    Each worker has one. It is emptied when it takes more than 8 MiB, which is many short stretches or a few documents.
    """

    held = 0

    def __missing__(self, stretch: tuple[Segmenter, bytes]) -> np.ndarray:
        ends = _word_ends(*stretch)
        size = sum(map(sys.getsizeof, (stretch, stretch[1], ends))) + 100  # for its place in the dictionary
        if self.held + size > 8 << 20:
            self.clear()
            self.held = 0
        self.held += size
        self[stretch] = ends
        return ends


_KNOWN_ENDS = _KnownEnds()


def _word_ends(segmenter: Segmenter, encoded: bytes) -> np.ndarray:
    """int64 `[words]`: where words end in UTF-8, which may begin and end within a character."""
    text = encoded.decode("utf-8", "surrogateescape")
    shown = re.sub("[\udc80-\udcff]", "\ufffd", text)
    words = list(segmenter(shown))
    if "".join(words) != shown:
        raise ValueError(
            f"`segmenter` must return words that join to the text {shown!r}, but returned {words!r}. "
            "Keep every character, in order."
        )
    ends = np.cumsum([0, *(len(character.encode("utf-8", "surrogateescape")) for character in text)])
    return ends[np.cumsum([*map(len, words)])]
