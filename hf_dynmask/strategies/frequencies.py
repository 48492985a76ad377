"""Token counts, and weights that prefer rare tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import numpy as np

from hf_dynmask.core.checks import as_numbers, checked_integer, checked_number

_CHUNK = 1000  # the number of examples that are counted at once


def token_counts(dataset: Iterable[Mapping[str, Any]], vocab_size: int, column: str = "input_ids") -> np.ndarray:
    """Counts each token id of a dataset.

    Args:
        dataset: tokenized examples: a `datasets.Dataset` or `IterableDataset`, or any iterable of mappings.
        vocab_size: the number of ids, `len(tokenizer)`.
        column: the column with the ids, integers `[tokens]`.

    Returns:
        int64 `[vocab_size]`.

    Raises:
        ValueError: if `dataset` does not hold tokenized examples, an example lacks the column or has values other than
            ids in it, or an id is not below `vocab_size`.

    >>> token_counts([{"input_ids": [2, 0, 2]}, {"input_ids": [2]}], vocab_size=4).tolist()
    [1, 0, 3, 0]
    """
    size = checked_integer(vocab_size, "vocab_size", 1, "Pass `len(tokenizer)`.")
    counts = np.zeros(size, dtype=np.int64)
    examples = enumerate(_examples(dataset, column))
    while chunk := list(islice(examples, _CHUNK)):
        ids = np.concatenate([_ids(example, number, column) for number, example in chunk])
        _check_range(ids, size, column)
        counts += np.bincount(ids, minlength=size)
    return counts


def _examples(dataset: Any, column: str) -> Iterable[Any]:
    """The examples, without the columns that are not counted."""
    if isinstance(dataset, str | bytes | Mapping) or not _is_iterable(dataset):
        remedy = 'Pass one split, such as `dataset["train"]`.' if isinstance(dataset, Mapping) else "Tokenize the text."
        raise ValueError(f"{_rule(column)}, but got type {type(dataset).__name__}. {remedy}")
    names = getattr(dataset, "column_names", None)  # also None for streams whose columns are unknown
    if names is None or not hasattr(dataset, "select_columns"):
        return dataset
    if column not in names:
        raise _missing(column, f"it has {sorted(names)}")
    return dataset.select_columns(column)


def _is_iterable(dataset: Any) -> bool:
    """Whether Python can iterate over it. Some torch datasets define only `__getitem__`."""
    return isinstance(dataset, Iterable) or hasattr(dataset, "__getitem__")


def _ids(example: Any, number: int, column: str) -> np.ndarray:
    """int64 `[tokens]`."""
    if not isinstance(example, Mapping):
        raise ValueError(
            f"{_rule(column)}, but example {number} is of type {type(example).__name__}. Tokenize the text."
        )
    if column not in example:
        raise _missing(column, f"example {number} has {sorted(map(str, example))}")
    try:
        ids = np.asarray(example[column])
    except (ValueError, TypeError, RuntimeError):  # lists of unequal lengths; tensors that numpy cannot read
        raise _no_ids(column, f"example {number} has a {type(example[column]).__name__} that is not an array") from None
    if ids.ndim != 1 or (ids.dtype.kind not in "iu" and ids.size):
        raise _no_ids(column, f"example {number} has {ids.dtype} of {ids.ndim} dimensions")
    return ids.astype(np.int64, copy=False)


def _check_range(ids: np.ndarray, size: int, column: str) -> None:
    if ids.min(initial=0) < 0:
        raise ValueError(
            f"`{column}` must be non-negative, but got {ids.min()}. Pass the ids that the tokenizer returns."
        )
    if ids.max(initial=0) >= size:
        raise ValueError(
            f"`vocab_size` must exceed every token id, but got {size} and the id {ids.max()}. "
            "Pass `len(tokenizer)` of the tokenizer that made the dataset, or the largest id + 1."
        )


def _rule(column: str) -> str:
    return f"`dataset` must be tokenized examples, mappings with the column `{column}`"


def _missing(column: str, found: str) -> ValueError:
    return ValueError(
        f"`column` must be a column of `dataset`, but got {column!r}, and {found}. Pass the column with the token ids."
    )


def _no_ids(column: str, found: str) -> ValueError:
    return ValueError(
        f"`{column}` must be integers, one for each token, but {found}. Pass the ids that the tokenizer returns."
    )


def rarity_weights(counts: Any, power: float = 0.5) -> np.ndarray:
    """The inverse frequency to a power, `weight(id) = (1 / max(count(id), 1)) ** power`.

    A power of 0 gives all ids the same weight. With a power of 1, all ids are masked about equally often. Mikolov et
    al. 2013 (word2vec) drop frequent words by the square root of their inverse frequency.

    >>> rarity_weights([100, 4, 0]).round(4).tolist()
    [0.1, 0.5, 1.0]

    Args:
        counts: the count of each id, `[vocab_size]`, such as [`token_counts`] returns.
        power: a finite number.

    Returns:
        float64 `[vocab_size]`, for [`weighted`].

    Raises:
        ValueError: if a count is negative or not finite, or `power` is not finite.
    """
    return np.maximum(_checked_counts(counts), 1.0) ** -checked_number(power, "power", "Pass 0.5, for example.")


def _checked_counts(counts: Any) -> np.ndarray:
    """The counts as float64 `[n]`."""
    numbers = as_numbers(counts)
    if numbers is not None and numbers.ndim == 1:
        valid = (numbers >= 0) & (numbers < np.inf)
        if valid.all():
            return numbers
        got = str(numbers[~valid][0])
    else:
        got = f"type {type(counts).__name__}" if numbers is None else f"shape {numbers.shape}"
    raise ValueError(
        f"`counts` must be one finite, non-negative number for each id, but got {got}. Pass the result of "
        "`token_counts(dataset, len(tokenizer))`."
    )
