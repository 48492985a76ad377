"""Which columns have a value for each token: a matter of their names, never of a batch."""

from __future__ import annotations

from collections.abc import Sequence, Set
from numbers import Number
from typing import Any

# What transformers' tokenizers make for each token, and what its models take.
PER_TOKEN = frozenset(
    {
        "input_ids",
        "attention_mask",
        "special_tokens_mask",
        "token_type_ids",
        "labels",
        "offset_mapping",
        "position_ids",
        "global_attention_mask",  # Longformer's
        "bbox",  # LayoutLM's
        "xpath_tags_seq",  # MarkupLM's
        "xpath_subs_seq",
        "input_shape_ids",  # RoCBert's
        "input_pronunciation_ids",
        "numeric_values",  # TAPAS's
        "numeric_values_scale",
    }
)


def check_names(names: object) -> None:
    """Checks `per_token_columns`.

    Raises:
        ValueError: if it is not a list of strings.
    """
    if not isinstance(names, Sequence | Set) or isinstance(names, str | bytes) or not _all_strings(names):
        example = names if isinstance(names, str) else "word_ids"
        raise ValueError(
            f"`per_token_columns` must be a list of names of columns, but got {names!r}. Pass "
            f"`per_token_columns=[{example!r}]`, for example."
        )


def check_lengths(name: str, found: Sequence[int | None], rows: Sequence[Any], lengths: Sequence[int]) -> None:
    """Refuses a column that has not one value for each token of every example.

    Args:
        name: the column's.
        found: the length of its value in each example; None for what is no sequence.
        rows: these values.
        lengths: how many tokens each example has.

    Raises:
        ValueError: if there are more or fewer.
    """
    if found == lengths:
        return
    number = next(number for number, length in enumerate(lengths) if found[number] != length)
    has = f"one {type(rows[number]).__name__}" if found[number] is None else found[number]
    last_remedy = "rename it" if name in PER_TOKEN else "leave it out of `per_token_columns`"
    raise ValueError(
        f"`{name}` must have a value for each token of its example, but example {number} has {has} for "
        f"{lengths[number]} tokens. Make it as long as `input_ids`, drop it with "
        f'`dataset.remove_columns("{name}")`, or {last_remedy}.'
    )


def are_classes(rows: Sequence[Any]) -> bool:
    """Whether the values are one number for each example, as the `labels` of classification are."""
    return all(isinstance(row, Number) or getattr(row, "ndim", 1) == 0 for row in rows)


def refuse_unnamed(name: str) -> None:
    """Refuses a column that cannot be stacked, but has one value for each token.

    Raises:
        ValueError: always.
    """
    raise ValueError(
        f"column `{name}` must have one shape for every example to be stacked, but its lengths differ. It has a value "
        f'for each token: pass `per_token_columns=["{name}"]`.'
    )


def _all_strings(names: Sequence[Any] | Set[Any]) -> bool:
    return all(isinstance(name, str) for name in names)
