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
    """Replaces the words of the table by those of the segmenter, in place, within stretches of text without spaces."""
    joins = table.joins[tokens.input_ids]
    for begin, end in _stretches(tokens, table):
        parts = [table.surfaces[id_] for id_ in tokens.input_ids[begin:end].tolist()]
        offsets = np.cumsum([0, *map(len, parts[:-1])])
        word = np.searchsorted(_KNOWN_ENDS[segmenter, b"".join(parts)], offsets, side="right")
        starts[begin + 1 : end] = (np.diff(word) != 0) & ~joins[begin + 1 : end]


def _stretches(tokens: RaggedTokens, table: WordTable) -> list[tuple[int, int]]:
    """The start and the end of each stretch of text without spaces that has more than one token."""
    continues = tokens.positions > 0
    continues[1:] &= table.last_classes(tokens)[:-1] == Class.IDEOGRAPH
    continues &= np.isin(table.first[tokens.input_ids], (Class.IDEOGRAPH, Class.JOINER))
    changes = np.diff(continues.astype(np.int8), append=0)
    return list(zip(np.flatnonzero(changes == 1).tolist(), (np.flatnonzero(changes == -1) + 1).tolist(), strict=True))


class _KnownEnds(dict[tuple[Segmenter, bytes], np.ndarray]):
    """A cache of [`_word_ends`]. A segmenter takes a thousand times as long as a lookup.

    Each worker has a cache. It is cleared when it exceeds 8 MiB, the size of many short stretches or a few documents.
    """

    memory = 0  # bytes

    def __missing__(self, stretch: tuple[Segmenter, bytes]) -> np.ndarray:
        ends = _word_ends(*stretch)
        size = sum(map(sys.getsizeof, (stretch, stretch[1], ends))) + 100  # for the entry in the dictionary
        if self.memory + size > 8 << 20:
            self.clear()
            self.memory = 0
        self.memory += size
        self[stretch] = ends
        return ends


_KNOWN_ENDS = _KnownEnds()


def _word_ends(segmenter: Segmenter, encoded: bytes) -> np.ndarray:
    """Where words end in a stretch of UTF-8, which may begin and end within a character: int64 `[words]`."""
    text = encoded.decode("utf-8", "surrogateescape")
    visible = re.sub("[\udc80-\udcff]", "\ufffd", text)
    words = list(segmenter(visible))
    if "".join(words) != visible:
        raise ValueError(
            f"`segmenter` must return words that join to the text {visible!r}, but returned {words!r}. "
            "Keep every character, in order."
        )
    ends = np.cumsum([0, *(len(character.encode("utf-8", "surrogateescape")) for character in text)])
    return ends[np.cumsum([*map(len, words)])]
