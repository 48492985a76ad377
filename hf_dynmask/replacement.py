"""What a masked token becomes."""

from __future__ import annotations

import numpy as np

from hf_dynmask.uniforms import Purpose, as_index, below, draws_for
from hf_dynmask.vocabulary import Vocabulary


def replace(
    input_ids: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    positions: np.ndarray,
    vocabulary: Vocabulary,
    mask_replace_prob: float,
    random_replace_prob: float,
) -> np.ndarray:
    """The ids that stand in for masked tokens: the mask token, a random ordinary token, or the token itself.

    BERT's mix is 0.8, 0.1 and the remaining 0.1 (Devlin et al. 2019, appendix A.1).

    Args:
        input_ids: int64 `[n]`, the masked tokens, by sequence.
        keys: uint64 `[sequences]`.
        counts: int64 `[sequences]`, how many of them each sequence has.
        positions: uint32 `[n]`, their places there.

    Returns:
        int64 `[n]`.
    """
    kind, number = draws_for(keys, counts, positions, (Purpose.REPLACEMENT, Purpose.RANDOM_ID))
    random = vocabulary.ordinary_ids[as_index(number, len(vocabulary.ordinary_ids))]
    replaced = np.where(below(kind, min(mask_replace_prob + random_replace_prob, 1.0)), random, input_ids)
    if mask_replace_prob > 0:  # otherwise there need not be a mask token
        replaced[below(kind, mask_replace_prob)] = vocabulary.mask_token_id
    return replaced
