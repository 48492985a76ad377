"""Entities, found by the tags of tokens: they have their own probability, and mentions can be units.

Datasets for named entity recognition tag the first token of each word, and give -100 to the other tokens. A token with
-100 has the tag of the token before it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from functools import partial

import numpy as np

from hf_dynmask.core.checks import checked_fraction
from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.registry import Unit, unit_strategy
from hf_dynmask.strategies.strategy import Strategy
from hf_dynmask.strategies.units import Partition, Units, partition_units


def entity(
    entity_probability: float = 0.5,
    column: str = "labels",
    tag_names: Sequence[str] | None = None,
    outside: Collection[int] = (0,),
    unit: Unit = "whole_word",
) -> Strategy:
    """Masks entity words with their own probability, and other words at the rate (Sun et al. 2019, ERNIE).

    The rate is the collator's `mlm_probability`.

    The tags are those of a dataset for named entity recognition, one for each token, in the usual alignment: a token
    with -100 belongs to the entity of the token before it. `Trainer` keeps the column `labels` even with
    `remove_unused_columns`, and the collator replaces it with the labels of the masked tokens.

    With `exact_count`, each unit keeps its own probability, and the number of masked units differs from its expectation
    by less than one.

    Args:
        entity_probability: the probability that an entity word, or a mention, is masked, in [0, 1].
        column: the column of the examples that holds the tags, integers `[tokens]`.
        tag_names: the name of each tag in IOB2, such as `dataset.features["ner_tags"].feature.names`. With names, all
            words of a mention are masked together, and tags with the name "O" are outside entities.
        outside: the tags outside entities, if `tag_names` is None.
        unit: see [`span`].

    Raises:
        ValueError: if the probability is not in [0, 1], `tag_names` are not in IOB2, or `unit` also sets probabilities.

    >>> from hf_dynmask import DataCollatorForDynamicMasking
    >>> collator = DataCollatorForDynamicMasking(tokenizer, 0.0, strategy=entity(1.0), num_mask_patterns=1)
    >>> batch = collator([{**tokenizer("the cat sat on a mat"), "labels": [-100, 0, 1, 0, 0, 0, 1, -100]}])
    >>> (batch["labels"][0] != -100).int().tolist()
    [0, 0, 1, 0, 0, 0, 1, 0]
    """
    probability = checked_fraction(
        entity_probability, "entity_probability", "It is the probability that an entity word is masked: pass 0.5."
    )
    for name, values in (("tag_names", tag_names), ("outside", outside)):
        if values is not None and (isinstance(values, str) or not isinstance(values, Collection)):
            raise ValueError(f"`{name}` must be a collection, but got {values!r}. Pass a list.")
    units = unit_strategy(unit)
    partition = units.partition
    if tag_names is not None:
        if "O" not in tag_names or any(name != "O" and name[:2] not in ("B-", "I-") for name in tag_names):
            raise ValueError(
                '`tag_names` must be "O" and names that begin with "B-" or "I-" (IOB2), but got '
                f'{list(tag_names)}. Rename other prefixes: in BIOES, "S-" becomes "B-" and "E-" becomes "I-".'
            )
        outside = tuple(tag for tag, name in enumerate(tag_names) if name == "O")
        inside = tuple(tag for tag, name in enumerate(tag_names) if name.startswith("I-"))
        partition = partial(mention_starts, partition=partition, column=column, inside=inside, outside=outside)
    probs = partial(entity_probs, probability=probability, column=column, outside=tuple(outside))
    columns = (*units.columns, column)
    return dataclasses.replace(units, name="entity", partition=partition, probs=probs, columns=columns)


def entity_probs(
    tokens: MaskingTokens, units: Units, rates: np.ndarray, probability: float, column: str, outside: Collection[int]
) -> np.ndarray:
    """The probability of each unit, float64 `[units]`: `probability` for a unit with an entity token, else the rate."""
    entity = ~_is_in(_tags(tokens, column), [*outside, IGNORE_INDEX])
    return np.where(units.segment_any(entity), probability, units.from_sequences(rates))


def mention_starts(
    tokens: MaskingTokens, partition: Partition, column: str, inside: Collection[int], outside: Collection[int]
) -> np.ndarray:
    """The partition in which each mention of an entity is a unit: bool `[tokens]`.

    A unit continues the mention before it if its first token has an I- tag or -100, the unit before it ends in an
    entity, and both units can be masked.
    """
    units = partition_units(tokens, partition)
    tags = _tags(tokens, column)
    continues = _is_in(tags, inside) | (tokens.columns[column] == IGNORE_INDEX)
    follows = np.zeros(len(units), dtype=bool)
    follows[1:] = (units.row[1:] == units.row[:-1]) & units.maskable[1:] & units.maskable[:-1]
    last = units.first + units.size - 1
    follows[1:] &= ~_is_in(tags[last[:-1]], [*outside, IGNORE_INDEX])
    return units.to_tokens(~(follows & units.at_first_token(continues)))


def _tags(tokens: MaskingTokens, column: str) -> np.ndarray:
    """int64 `[tokens]`: the tags, where -100 is replaced by the tag of the token before it in the sequence."""
    tags = tokens.columns[column]
    has_tag = tags != IGNORE_INDEX
    has_tag[tokens.row_starts] = True
    return tags[has_tag][has_tag.cumsum(dtype=np.int32) - 1]


def _is_in(tags: np.ndarray, values: Collection[int]) -> np.ndarray:
    """Whether each tag is one of the values, in the shape of `tags`. Faster than `np.isin` for a few values."""
    found = np.zeros(tags.shape, dtype=bool)
    for value in values:
        found |= tags == value
    return found
