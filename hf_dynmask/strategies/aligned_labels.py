"""Labels that are aligned to words: the first token of a word has a label, and its other tokens have -100.

Datasets for named entity recognition use this alignment. There, -100 does not exclude a token from masking. The token
is masked with its word or, if the word is split, with the first part of the word.
"""

from __future__ import annotations

import numpy as np

from hf_dynmask.strategies.masking_tokens import MaskingTokens, Pieces
from hf_dynmask.strategies.partitions import words
from hf_dynmask.strategies.units import Partition


def word_continuations(tokens: MaskingTokens, unlabeled: np.ndarray, partition: Partition | None) -> Pieces | None:
    """The tokens without a label whose word begins with a maskable token.

    Args:
        tokens: the sequences.
        unlabeled: bool `[tokens]`, True for tokens that only a label of -100 excludes from masking.
        partition: the partition into words; None for the words of the vocabulary.

    Returns:
        None if neither the partition nor the vocabulary tells where words begin.
    """
    if partition is None and tokens.vocabulary.words is None:
        return None
    starts = words(tokens, max_word_length=None) if partition is None else partition(tokens)
    first = starts.nonzero()[0][starts.cumsum(dtype=np.int32) - 1]
    later = (unlabeled & tokens.maskable[first]).nonzero()[0]
    return Pieces(later, first[later])
