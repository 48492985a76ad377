"""Which columns have one value per token. This depends on their names, never on a batch."""

from __future__ import annotations

from collections.abc import Sequence, Set
from numbers import Number
from typing import Any

# the per-token columns that transformers' tokenizers return and its models accept
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
    """Checks that a column has one value for each token of every example.

    Args:
        name: the name of the column.
        found: the length of its value in each example; None if the value is not a sequence.
        rows: the values.
        lengths: the number of tokens of each example.

    Raises:
        ValueError: if an example has more or fewer values.
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
    """Whether the values are one number per example, such as the `labels` of classification."""
    return all(isinstance(row, Number) or getattr(row, "ndim", 1) == 0 for row in rows)


def refuse_unnamed(name: str) -> None:
    """Refuses a column that cannot be stacked and has one value per token.

    Raises:
        ValueError: always.
    """
    raise ValueError(
        f"`{name}` must have one shape in all examples to be stacked, but has one value per token. Pass "
        f'`per_token_columns=["{name}"]`.'
    )


def _all_strings(names: Sequence[Any] | Set[Any]) -> bool:
    return all(isinstance(name, str) for name in names)
