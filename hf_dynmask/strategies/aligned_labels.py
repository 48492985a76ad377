"""Labels that are aligned to words: the first token of a word has one, and the tokens that go on with it have -100.

Data sets for named entity recognition are aligned like that. A -100 there does not say that a token must stay: it goes
with its word or, where a long word is cut, with the first part of it.
"""

from __future__ import annotations

import numpy as np

from hf_dynmask.strategies.partitions import MaskingTokens, Partition, Pieces, words


def word_continuations(tokens: MaskingTokens, unlabelled: np.ndarray, partition: Partition | None) -> Pieces | None:
    """The tokens without a label whose word begins with one that may be masked.

    Args:
        tokens: the sequences.
        unlabelled: bool `[tokens]`, True where nothing but a label of -100 says that a token must stay.
        partition: where words begin; None for what the vocabulary says.

    Returns:
        None if neither tells where words begin.
    """
    if partition is None and tokens.vocabulary.words is None:
        return None
    starts = words(tokens, max_word_length=None) if partition is None else partition(tokens)
    first = starts.nonzero()[0][starts.cumsum(dtype=np.int32) - 1]
    further = (unlabelled & tokens.maskable[first]).nonzero()[0]
    return Pieces(further, first[further])
