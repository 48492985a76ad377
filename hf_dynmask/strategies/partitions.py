"""Tokens and words as units, and the strategies that mask them."""

from __future__ import annotations

from functools import partial

import numpy as np

from hf_dynmask.core.checks import checked_integer
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.strategy import Strategy
from hf_dynmask.strategies.units import every_token
from hf_dynmask.vocabulary.segmentation import Segmenter
from hf_dynmask.vocabulary.vocabulary import Vocabulary
from hf_dynmask.vocabulary.whole_words import whole_words
from hf_dynmask.vocabulary.words import WordTable


def token() -> Strategy:
    """Masks each token independently (Devlin et al. 2019, BERT).

    >>> token()
    <Strategy token>
    """
    return Strategy("token", every_token)


def whole_word(max_word_length: int | None = 16, segmenter: Segmenter | None = None) -> Strategy:
    """Masks all tokens of a word together (whole word masking, Devlin 2019; Cui et al. 2021 for Chinese).

    A table over the vocabulary shows where words begin: see `hf_dynmask.vocabulary.words`. Special tokens belong to no
    word.

    Args:
        max_word_length: the largest number of tokens in a word. Longer words are split, so that a long URL, for
            example, is not masked as a whole. None: words are never split.
        segmenter: a function from a text to its words, such as `jieba.lcut`, for scripts without spaces. By default,
            each token in such a script is a word.

    Raises:
        ValueError: if `max_word_length` is not an integer of at least 1.

    >>> from hf_dynmask import DataCollatorForDynamicMasking
    >>> collator = DataCollatorForDynamicMasking(tokenizer, 0.4, strategy=whole_word(), num_mask_patterns=1, seed=5)
    >>> labels = collator([tokenizer("the dog ran, unbelieving")])["labels"][0]
    >>> tokenizer.convert_ids_to_tokens(labels[labels != -100].tolist())
    ['un', '##believ', '##ing']
    """
    if max_word_length is not None:
        checked_integer(max_word_length, "max_word_length", 1, "Pass None to split no word.")
    unsplit = None if segmenter is None else partial(words, max_word_length=None, segmenter=segmenter)
    return Strategy("whole_word", partial(words, max_word_length=max_word_length, segmenter=segmenter), words=unsplit)


def words(tokens: MaskingTokens, max_word_length: int | None = 16, segmenter: Segmenter | None = None) -> np.ndarray:
    """The partition of `tokens` in which each word is a unit: bool `[tokens]`.

    See [`whole_word`] for `max_word_length` and `segmenter`.

    Raises:
        ValueError: if the vocabulary does not tell where words begin.

    >>> Strategy("long words", partition=words, weights=lambda tokens, units: units.size.astype(float))
    <Strategy long words>
    """
    return whole_words(tokens, word_table(tokens.vocabulary), max_word_length, segmenter)


def word_table(vocabulary: Vocabulary) -> WordTable:
    """Where words begin in a vocabulary.

    Raises:
        ValueError: if the vocabulary does not tell where words begin.
    """
    if vocabulary.words is None:
        raise ValueError(
            '`strategy` needs a vocabulary that marks words with "##", "Ġ", "▁" or "</w>", has a token for white '
            "space, or contains only whole words, but this tokenizer's vocabulary does not tell where words begin. "
            'Pass `"token"` as the strategy or its unit, or a function of your own.'
        )
    return vocabulary.words
