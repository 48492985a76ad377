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
        max_word_length: the largest number of tokens in a word. A longer word, such as a URL, is split into equal parts
            of at most this length. Tokens that do not begin a character are not counted, and stay with their character.
            None: words of any length.
        segmenter: a function from a text to its words, such as `jieba.lcut`, for text without spaces. It must be
            hashable, and always return the same words. It receives each stretch of such text of a sequence separately.
            A token with characters of two words belongs to the first. None: each token is a word. Spawned workers
            receive the segmenter by pickle: pass a function of a module, as `jieba.lcut` cannot be pickled.

    Returns:
        bool `[tokens]`, True where a word begins. Every sequence and every special token begins one.

    Raises:
        ValueError: if the words of the segmenter do not join to the text.
    """
    starts = table.starts(tokens)
    if segmenter is not None:
        segment(starts, tokens, table, segmenter)
    if max_word_length is not None:
        _split_long_words(starts, tokens, table, max_word_length)
    return starts


def _split_long_words(starts: np.ndarray, tokens: RaggedTokens, table: WordTable, longest: int) -> None:
    """Splits every word in which more than `longest` tokens begin a character, in place."""
    if longest >= len(starts) or bytes(longest) not in starts.tobytes():
        return  # the usual case, which this detects fast: no word is that long
    first = np.flatnonzero(starts)
    begins = starts | ~table.joins[tokens.input_ids]
    word = np.cumsum(starts) - 1
    length = np.add.reduceat(begins, first, dtype=np.int64)[word]
    index = np.cumsum(begins)
    index -= index[first][word]
    pieces = -(-length // longest)
    starts |= begins & (index * pieces // length != (index - 1) * pieces // length)
