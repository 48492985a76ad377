"""Which tokens are masked together.

A strategy is a function `strategy(tokens, vocabulary) -> bool [tokens]`, True where a unit begins; the unit goes on to
the next True. Units are masked whole or not at all. A sequence always begins a unit, whatever the strategy says.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

import numpy as np

from hf_dynmask.ragged import RaggedTokens
from hf_dynmask.vocabulary import Vocabulary

Strategy = Callable[[RaggedTokens, Vocabulary], np.ndarray]


def token(tokens: RaggedTokens, vocabulary: Vocabulary) -> np.ndarray:
    """Every token by itself (Devlin et al. 2019, BERT)."""
    return np.ones(len(tokens.input_ids), dtype=bool)


def whole_word(tokens: RaggedTokens, vocabulary: Vocabulary) -> np.ndarray:
    """All tokens of a word together (Devlin's whole word masking of 2019; Cui et al. 2021).

    Where words begin is looked up in the vocabulary: WordPiece's `##` continues a word, byte-level BPE's `Ġ` and
    SentencePiece's `▁` begin one, and so does punctuation. A special token is no part of a word.

    Raises:
        ValueError: if the vocabulary does not mark words in any of these ways.
    """
    if vocabulary.word_starts is None:
        raise ValueError(
            '`strategy="whole_word"` needs a vocabulary that marks words with "##", "Ġ" or "▁", but no token of this '
            'tokenizer\'s bears such a mark. Use `strategy="token"`, or a function of your own.'
        )
    starts = vocabulary.word_starts[tokens.input_ids]
    starts[1:] |= vocabulary.special[tokens.input_ids[:-1]]  # what follows a special token begins anew, marked or not
    return starts


STRATEGIES: dict[str, Strategy] = {"token": token, "whole_word": whole_word}


def strategy_of(strategy: str | Strategy, whole_word_mask: bool = False) -> Strategy:
    """The strategy of this name, or the callable itself; `whole_word_mask` is another way to ask for whole words.

    Raises:
        ValueError: if there is none of this name, and the message offers the nearest; or if both arguments ask for
            different ones.
    """
    if whole_word_mask and strategy not in ("token", "whole_word"):
        raise ValueError(
            f'`whole_word_mask=True` is `strategy="whole_word"`, but got `strategy={strategy!r}` as well. Pass one.'
        )
    if callable(strategy):
        return strategy
    if strategy not in STRATEGIES:
        near = difflib.get_close_matches(str(strategy), STRATEGIES, n=1, cutoff=0.0)
        raise ValueError(
            f"`strategy` must be one of {', '.join(map(repr, STRATEGIES))} or a function, but got {strategy!r}. "
            f"Did you mean {near[0]!r}?"
        )
    return whole_word if whole_word_mask else STRATEGIES[strategy]
