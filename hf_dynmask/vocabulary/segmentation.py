"""Words of text without spaces, by a segmenter such as `jieba.lcut`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence

import numpy as np

from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.vocabulary.words import Class, WordTable

Segmenter = Callable[[str], Sequence[str]]


def segment(starts: np.ndarray, tokens: RaggedTokens, table: WordTable, segmenter: Segmenter) -> None:
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
