"""How often each token occurs, and weights that prefer rare ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Any

import numpy as np

from hf_dynmask.arguments import as_numbers, checked_number

_CHUNK = 1000  # examples that are counted at once


def token_counts(dataset: Iterable[Mapping[str, Any]], vocab_size: int, column: str = "input_ids") -> np.ndarray:
    """How often each id occurs in a dataset.

    Args:
        dataset: tokenized examples: a `datasets.Dataset`, also a streamed one, or any iterable of mappings.
        vocab_size: the number of ids, `len(tokenizer)`.
        column: where the ids are.

    Returns:
        int64 `[vocab_size]`.

    Raises:
        ValueError: if an id is not below `vocab_size`.

    >>> token_counts([{"input_ids": [2, 0, 2]}, {"input_ids": [2]}], vocab_size=4).tolist()
    [1, 0, 3, 0]
    """
    if hasattr(dataset, "select_columns"):
        dataset = dataset.select_columns(column)
    counts = np.zeros(vocab_size, dtype=np.int64)
    examples = iter(dataset)
    while chunk := list(islice(examples, _CHUNK)):
        ids = np.fromiter(chain.from_iterable(example[column] for example in chunk), dtype=np.int64)
        if ids.max(initial=0) >= vocab_size:
            raise ValueError(
                f"`vocab_size` must exceed every token id, but got {vocab_size} and the id {ids.max()}. "
                "Pass `len(tokenizer)` of the tokenizer that the dataset was made with, or the largest id + 1."
            )
        counts += np.bincount(ids, minlength=vocab_size)
    return counts


def rarity_weights(counts: Any, power: float = 0.5) -> np.ndarray:
    """`weight(id) = (1 / max(count(id), 1)) ** power`, the inverse frequency to a power.

    0 weighs all ids alike, and 1 masks each id about as often as any other. Mikolov et al. 2013 (word2vec) drop
    frequent words by the square root of their inverse frequency.

    >>> rarity_weights([100, 4, 0]).round(4).tolist()
    [0.1, 0.5, 1.0]

    Args:
        counts: how often each id occurs, `[vocab_size]`, such as [`token_counts`] gives.
        power: finite.

    Returns:
        float64 `[vocab_size]`, for [`strategies.weighted`].

    Raises:
        ValueError: if a count is negative or not finite, or `power` is not finite.
    """
    counts = as_numbers(counts)
    if counts is None or counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError(
            "`counts` must be a number for each id, finite and not negative, such as `token_counts` gives."
        )
    return np.maximum(counts, 1.0) ** -checked_number(power, "power", "Pass 0.5, for example.")
