"""Entities, as the tags of tokens mark them: their probability of being masked, and mentions that are masked whole.

Data sets for named entity recognition tag the first token of each word, and the others -100. A token without a tag has
that of the one before it.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.strategies.partitions import MaskingTokens, Partition, Units, partition_units


def entity_probs(
    tokens: MaskingTokens, units: Units, rates: np.ndarray, probability: float, column: str, outside: Collection[int]
) -> np.ndarray:
    """The probability of each unit, float64 `[units]`: `probability` for parts of entities, the rate for all others."""
    entity = ~_is_in(_tags(tokens, column), [*outside, IGNORE_INDEX])
    return np.where(units.any(entity), probability, units.from_sequences(rates))


def mention_starts(
    tokens: MaskingTokens, partition: Partition, column: str, inside: Collection[int], outside: Collection[int]
) -> np.ndarray:
    """Each mention of an entity is a unit, bool `[tokens]`: what is tagged I-, or not tagged, goes on with one."""
    units = partition_units(tokens, partition)
    tags = _tags(tokens, column)
    continues = _is_in(tags, inside) | (tokens.columns[column] == IGNORE_INDEX)
    follows = np.zeros(len(units), dtype=bool)
    follows[1:] = (units.row[1:] == units.row[:-1]) & units.maskable[1:] & units.maskable[:-1]
    last = units.first + units.size - 1
    follows[1:] &= ~_is_in(tags[last[:-1]], [*outside, IGNORE_INDEX])
    return units.to_tokens(~(follows & units.at_first_token(continues)))


def _tags(tokens: MaskingTokens, column: str) -> np.ndarray:
    """int64 `[tokens]`: the tags, also of tokens that have none of their own."""
    tags = tokens.columns[column]
    own = tags != IGNORE_INDEX
    own[tokens.row_starts] = True
    return tags[own][own.cumsum(dtype=np.int32) - 1]


def _is_in(tags: np.ndarray, values: Collection[int]) -> np.ndarray:
    """bool, of the shape of `tags`. There are a handful of values, and comparing each is faster than sorting all."""
    found = np.zeros(tags.shape, dtype=bool)
    for value in values:
        found |= tags == value
    return found
