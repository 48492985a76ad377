"""The words of a batch: those of the table, with long words split, and text without spaces segmented."""

from __future__ import annotations

import numpy as np

from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.vocabulary.segmentation import Segmenter, segment
from hf_dynmask.vocabulary.words import WordTable


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
        segment(starts, tokens, table, segmenter)
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
