"""Tells where a strategy of words masks single tokens, because each word is one token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hf_dynmask.cli.token_outcomes import Piece
from hf_dynmask.strategies import Strategy, words
from hf_dynmask.strategies.units import Partition
from hf_dynmask.vocabulary.characters import character_classes
from hf_dynmask.vocabulary.words import Class

_RUNS = {"span": "spans", "ngram": "n-grams"}


def word_hint(strategy: Strategy, texts: Sequence[Sequence[Piece]]) -> str | None:
    """The hint; None if the units of the strategy are not words, or if a word of these texts has several tokens."""
    pieces = [piece for text in texts for piece in text]
    if not _is_of_words(strategy.partition) or max(map(len, texts)) < 2 or not all(each.begins_word for each in pieces):
        return None
    runs = _RUNS.get(strategy.name)
    same = f"{runs} of words are {runs} of tokens" if runs else "words are masked like tokens"
    return f"Every word here is a single token, so {same}.{_segmenter(strategy) if _is_unspaced(pieces) else ''}"


def _is_of_words(partition: Partition | None) -> bool:
    """Whether units are words, or runs of words as in spans."""
    return isinstance(partition, partial) and (
        partition.func is words or _is_of_words(partition.keywords.get("partition"))
    )


def _is_unspaced(pieces: Sequence[Piece]) -> bool:
    """Whether there are letters of a script without spaces, where a segmenter tells words."""
    classes, _ = character_classes("".join(piece.text for piece in pieces))
    return bool((classes == Class.IDEOGRAPH).any())


def _segmenter(strategy: Strategy) -> str:
    unit = "" if strategy.name == "whole_word" else "unit="
    passed = f"`{unit}strategies.whole_word(segmenter=jieba.lcut)`"
    return f" For text without spaces, pass a segmenter in Python, such as {passed} for Chinese."
