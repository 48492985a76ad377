"""Entities, told by the tags of the tokens: their odds, and mentions that are masked whole."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from hf_dynmask.ragged import IGNORE_INDEX
from hf_dynmask.units import MaskingTokens, Partition, Units, units_of


def by_entity(
    tokens: MaskingTokens, units: Units, rates: np.ndarray, probability: float, column: str, outside: Collection[int]
) -> np.ndarray:
    """Units that are part of an entity have their own odds; all others those of the rate."""
    tags = tokens.columns[column]
    entity = ~np.isin(tags, [*outside, IGNORE_INDEX])
    entities = np.logical_or.reduceat(entity, units.first) if len(units) else entity
    return np.where(entities, probability, rates[units.row])


def mentions(
    tokens: MaskingTokens, partition: Partition, column: str, inside: Collection[int], outside: Collection[int]
) -> np.ndarray:
    """Each mention of an entity is a unit: a word that is tagged I- goes with the entity word before it."""
    units = units_of(tokens, partition)
    tag = tokens.columns[column][units.first]
    follows = np.zeros(len(units), dtype=bool)
    follows[1:] = (units.row[1:] == units.row[:-1]) & ~np.isin(tag[:-1], [*outside, IGNORE_INDEX])
    follows[1:] &= units.maskable[1:] & units.maskable[:-1]  # a special token is part of no mention
    starts = np.zeros(len(tokens.input_ids), dtype=bool)
    starts[units.first[~(follows & np.isin(tag, list(inside)))]] = True
    return starts
