"""The ids that replace masked tokens in the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_dynmask.core.draws import RANGE, Purpose, as_index, below, draw_in_rows
from hf_dynmask.core.rows import count_per_row
from hf_dynmask.strategies.weights import checked_weights
from hf_dynmask.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class RandomIds:
    """The ids that random tokens are drawn from.

    Attributes:
        ids: int64 `[n]`.
        limits: uint64 `[n]`, rising to 2**32: an id is drawn if the draw is below its limit and not below the one
            before it. None if all ids are equally likely.
    """

    ids: np.ndarray
    limits: np.ndarray | None = None

    def at(self, draws: np.ndarray) -> np.ndarray:
        """The ids, int64 `[m]`, of draws, uint32 `[m]`."""
        if self.limits is None:
            return self.ids[as_index(draws, len(self.ids))]
        return self.ids[self.limits.searchsorted(draws.astype(np.uint64), side="right")]


def random_ids(vocabulary: Vocabulary, weights: Any = None) -> RandomIds:
    """The ordinary ids of a vocabulary, with probabilities in proportion to weights, to within 2**-32.

    Args:
        vocabulary: the tables over token ids.
        weights: float `[ids]`; those of special ids are ignored. None for equal weights.

    Raises:
        ValueError: if the weights are not finite, non-negative numbers, one for each id, or all are 0.
    """
    if weights is None:
        return RandomIds(vocabulary.ordinary_ids)
    values = checked_weights(weights, "replacement_weights")
    if len(values) != vocabulary.size:
        raise ValueError(
            f"`replacement_weights` must hold a number for each of the {vocabulary.size} ids of the vocabulary, but "
            f"holds {len(values)}. Compute them with `strategies.token_counts(dataset, {vocabulary.size})`."
        )
    ids = vocabulary.ordinary_ids[values[vocabulary.ordinary_ids] > 0]
    if not len(ids):
        raise ValueError(
            "`replacement_weights` must be above 0 for a token that is not special, but got 0 for all of them. Pass "
            "None to draw all tokens equally."
        )
    shares = (values[ids] / values[ids].max()).cumsum()
    limits = np.rint(shares / shares[-1] * RANGE)
    limits[-1] = RANGE  # whatever the rounding of the sums
    return RandomIds(ids, limits.astype(np.uint64))


def replace(
    input_ids: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    positions: np.ndarray,
    mask_token_id: int | None,
    random: RandomIds,
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
        mask_token_id: the id of the mask token; None if there is none and `mask_replace_prob` is 0.
        random: the ids of random tokens.
        mask_replace_prob: the probability of the mask token.
        random_replace_prob: the probability of a random token.

    Returns:
        int64 `[n]`.
    """
    kind = draw_in_rows(keys, counts, positions, Purpose.REPLACEMENT)
    becomes_mask = below(kind, mask_replace_prob)
    replaced = input_ids.copy()
    if mask_token_id is not None:
        np.putmask(replaced, becomes_mask, mask_token_id)
    is_random = (below(kind, min(mask_replace_prob + random_replace_prob, 1.0)) & ~becomes_mask).nonzero()[0]
    draws = draw_in_rows(keys, count_per_row(is_random, counts.cumsum()), positions[is_random], Purpose.RANDOM_ID)
    replaced[is_random] = random.at(draws)
    return replaced
