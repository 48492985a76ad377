"""Which tokens are maskable: all except for padding, special tokens, and tokens that columns of the user exclude."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch
from hf_dynmask.vocabulary.vocabulary import Vocabulary

_ONE_DIMENSIONAL = ("attention_mask", "special_tokens_mask", "labels")


def check_columns(batch: RaggedBatch, vocabulary: Vocabulary) -> None:
    """Checks the columns that masking reads.

    Raises:
        ValueError: if `input_ids` are not integers of the vocabulary, one for each token, or a column that masking
            reads has several values for a token.
    """
    for name in _ONE_DIMENSIONAL:
        if name in batch.per_token and batch.per_token[name].ndim != 1:
            raise ValueError(
                f"`{name}` must have one value for each token, but got {batch.per_token[name].shape[1:]}. Make it as "
                f'long as `input_ids`, or drop it with `dataset.remove_columns("{name}")`.'
            )
    input_ids = batch.per_token["input_ids"]
    if input_ids.dtype.kind != "i" or input_ids.ndim != 1:
        raise ValueError(
            f"`input_ids` must be integers, one for each token, but got {input_ids.dtype} of {input_ids.ndim} "
            "dimensions. Pass the ids that the tokenizer returns."
        )
    if np.maximum.reduce(input_ids.view(np.uint64), initial=0) >= vocabulary.size:  # a negative id becomes a large one
        outside = input_ids[(input_ids < 0) | (input_ids >= vocabulary.size)]
        raise ValueError(
            f"`input_ids` must be within the tokenizer's vocabulary, 0 to {vocabulary.size - 1}, but got "
            f"{int(outside[0])}. Pass the tokenizer that the examples were made with; if tokens were added "
            "to it while workers were running, restart them."
        )


def padding_mask(batch: RaggedBatch, vocabulary: Vocabulary) -> np.ndarray | None:
    """The padding of a batch: bool `[tokens]`, True for padding; None if no token is padding.

    It is where `attention_mask` is 0. Without that column, it is the pad token, unless this token has another role.

    Raises:
        ValueError: if `attention_mask` has values other than 0 and 1.
    """
    if "attention_mask" in batch.per_token:
        attention = batch.per_token["attention_mask"]
        padding = attention != 1
        if not np.logical_or.reduce(padding):
            return None
        if attention[padding].any():
            raise ValueError(
                f"`attention_mask` must be 0 or 1, but got {attention[padding & (attention != 0)][0]}. Masks that "
                "number packed sequences are not supported: pass the column `seq_lengths` instead, or each sequence as "
                "an example, with `packing=packed_attention(model)`."
            )
        return padding
    if vocabulary.pad_is_unambiguous:
        padding = batch.per_token["input_ids"] == vocabulary.pad_token_id
        return padding if padding.any() else None
    return None


def labeled_tokens(batch: RaggedBatch) -> np.ndarray:
    """The tokens whose `labels` are not -100: bool `[tokens]`; all tokens if there are no labels."""
    if "labels" in batch.per_token:
        return batch.per_token["labels"] != IGNORE_INDEX
    return np.ones(len(batch.per_token["input_ids"]), dtype=bool)


def maskable_tokens(batch: RaggedBatch, vocabulary: Vocabulary, read: Collection[str] = ()) -> np.ndarray:
    """Which tokens are maskable: bool `[tokens]`. If the strategy reads `labels`, they do not exclude tokens."""
    maskable = vocabulary.maskable.take(batch.per_token["input_ids"])
    if "labels" in batch.per_token and "labels" not in read:
        maskable &= labeled_tokens(batch)
    if "special_tokens_mask" in batch.per_token:
        maskable &= batch.per_token["special_tokens_mask"] == 0
    return maskable


def unlabeled_tokens(batch: RaggedBatch, vocabulary: Vocabulary, read: Collection[str] = ()) -> np.ndarray | None:
    """The tokens that only the label -100 makes unmaskable: bool `[tokens]`; None if there are none."""
    if "labels" not in batch.per_token or "labels" in read:
        return None
    unlabeled = maskable_tokens(batch, vocabulary, read=("labels",)) & ~labeled_tokens(batch)
    return unlabeled if unlabeled.any() else None


def strategy_column(batch: RaggedBatch, name: str) -> np.ndarray:
    """A column that the strategy reads: `[tokens]`.

    Raises:
        ValueError: if the examples have no such column with one value per token.
    """
    if name not in batch.per_token or batch.per_token[name].ndim != 1:
        raise ValueError(
            f"`features` must have the column `{name}`, with one value for each token, which the strategy reads, but "
            f"have {sorted(batch.per_token)}. `Trainer` keeps a column if its name is `labels` or `label_ids`, or with "
            "`remove_unused_columns=False`."
        )
    return batch.per_token[name]
