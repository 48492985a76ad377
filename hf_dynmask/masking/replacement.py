"""The ids that replace masked tokens in the input."""

from __future__ import annotations

import numpy as np

from hf_dynmask.core.draws import Purpose, as_index, below, draw_in_rows
from hf_dynmask.core.rows import count_per_row
from hf_dynmask.vocabulary.vocabulary import Vocabulary


def replace(
    input_ids: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    positions: np.ndarray,
    vocabulary: Vocabulary,
    mask_replace_prob: float,
    random_replace_prob: float,
) -> np.ndarray:
    """The ids that replace masked tokens: the mask token, a random ordinary token, or the token itself.

    The probabilities of BERT are 0.8, 0.1 and the remaining 0.1 (Devlin et al. 2019, appendix A.1).

    Args:
        input_ids: int64 `[n]`, the masked tokens, sequence by sequence.
        keys: uint64 `[sequences]`, the key of each sequence.
        counts: int64 `[sequences]`, the number of masked tokens of each sequence.
        positions: int64 `[n]`, the position of each masked token in its sequence.
        vocabulary: the tables over token ids.
        mask_replace_prob: the probability of the mask token.
        random_replace_prob: the probability of a random token.

    Returns:
        int64 `[n]`.
    """
    kind = draw_in_rows(keys, counts, positions, Purpose.REPLACEMENT)
    becomes_mask = below(kind, mask_replace_prob)
    replaced = input_ids.copy()
    if vocabulary.mask_token_id is not None:  # without a mask token, `mask_replace_prob` is 0
        np.putmask(replaced, becomes_mask, vocabulary.mask_token_id)
    random = (below(kind, min(mask_replace_prob + random_replace_prob, 1.0)) & ~becomes_mask).nonzero()[0]
    draws = draw_in_rows(keys, count_per_row(random, counts.cumsum()), positions[random], Purpose.RANDOM_ID)
    replaced[random] = vocabulary.ordinary_ids[as_index(draws, len(vocabulary.ordinary_ids))]
    return replaced
