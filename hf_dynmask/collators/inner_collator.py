"""Checks the collator that makes the batch for token dropout, and finds its tokenizer."""

from __future__ import annotations

from typing import Any

from hf_dynmask.collators.base import EpochAwareCollator


def check_inner_collator(collator: Any) -> None:
    """Checks that a collator makes a batch and does not mask it.

    Raises:
        ValueError: otherwise.
    """
    if isinstance(collator, type) or not callable(collator) or hasattr(collator, "get_vocab"):
        got = f"a {type(collator).__name__}" if hasattr(type(collator), "get_vocab") else repr(collator)
        raise ValueError(
            f"`collator` must be a data collator, but got {got}. Pass the one that pads your examples, such as "
            "`DataCollatorForTokenClassification(tokenizer)`."
        )
    if isinstance(collator, EpochAwareCollator) or getattr(collator, "mlm", False):
        raise ValueError(
            f"`collator` must not mask tokens itself, but got a {type(collator).__name__}, which would mask twice. "
            "Pass the collator of your task, such as `DataCollatorWithPadding(tokenizer)`, or use yours alone."
        )


def tokenizer_of(collator: Any) -> Any:
    """The tokenizer of a collator, or of its processor.

    Raises:
        ValueError: if it has none.
    """
    for holder in (collator, getattr(collator, "processor", None)):
        tokenizer = getattr(holder, "tokenizer", None)
        if tokenizer is not None:
            return tokenizer
    name = getattr(collator, "__name__", type(collator).__name__)
    raise ValueError(
        f"`tokenizer` must be given if `collator` has no attribute `tokenizer` or `processor.tokenizer`, but got None, "
        f"and {name} has neither. Pass `tokenizer=...`."
    )


def labels_each_token(collator: Any) -> bool:
    """Whether the labels of a collator certainly have a value for each token of the input."""
    # not at import, which would take seconds
    from transformers import DataCollatorForLanguageModeling, DataCollatorForTokenClassification

    return isinstance(collator, DataCollatorForLanguageModeling | DataCollatorForTokenClassification)
