"""What a masked token becomes."""

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
    """The ids that stand in for masked tokens: the mask token, a random ordinary token, or the token itself.

    BERT's mix is 0.8, 0.1 and the remaining 0.1 (Devlin et al. 2019, appendix A.1).

    Args:
        input_ids: int64 `[n]`, the masked tokens, by sequence.
        keys: uint64 `[sequences]`.
        counts: int64 `[sequences]`, how many of them each sequence has.
        positions: int64 `[n]`, their places there.

    Returns:
        int64 `[n]`.
    """
    kind = draw_in_rows(keys, counts, positions, Purpose.REPLACEMENT)
    becomes_mask = below(kind, mask_replace_prob)
    replaced = input_ids.copy()
    if vocabulary.mask_token_id is not None:  # otherwise none is asked for
        np.putmask(replaced, becomes_mask, vocabulary.mask_token_id)
    random = (below(kind, min(mask_replace_prob + random_replace_prob, 1.0)) & ~becomes_mask).nonzero()[0]
    number = draw_in_rows(keys, count_per_row(random, counts.cumsum()), positions[random], Purpose.RANDOM_ID)
    replaced[random] = vocabulary.ordinary_ids[as_index(number, len(vocabulary.ordinary_ids))]
    return replaced
