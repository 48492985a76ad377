"""Tells where a strategy of words masks single tokens, because each word is one token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hf_dynmask.cli.token_outcomes import Piece
from hf_dynmask.strategies import Strategy, words
from hf_dynmask.strategies.units import Partition

_HINT = (
    "Every word here is a single token, so words are masked like tokens. For text without spaces, such as Chinese, "
    "pass a segmenter in Python: `strategies.whole_word(segmenter=jieba.lcut)`."
)


def word_hint(strategy: Strategy, texts: Sequence[Sequence[Piece]]) -> str | None:
    """The hint; None if the units of the strategy are not words, or if a word of these texts has several tokens."""
    single = all(piece.begins_word for pieces in texts for piece in pieces)
    return _HINT if single and _is_of_words(strategy.partition) and max(map(len, texts)) > 1 else None


def _is_of_words(partition: Partition | None) -> bool:
    """Whether units are words, or runs of words as in spans."""
    return isinstance(partition, partial) and (
        partition.func is words or _is_of_words(partition.keywords.get("partition"))
    )
