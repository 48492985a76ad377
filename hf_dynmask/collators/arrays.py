"""Masks for loops without a collator: arrays in, arrays out."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hf_dynmask.batching.features import length_or_none
from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.core.checks import checked_epoch, checked_tokenizer
from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.rates.schedules import FixedRate
from hf_dynmask.strategies import Strategy
from hf_dynmask.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Rows = TypeVar("Rows", np.ndarray, list[Any])

_INDEX = "index of the token"  # the column with the index of each token before padding was dropped
_COLLATORS: weakref.WeakKeyDictionary[Any, DataCollatorForDynamicMasking] = weakref.WeakKeyDictionary()


def mask_tokens(
    input_ids: Rows,
    tokenizer: PreTrainedTokenizerBase,
    *,
    epoch: int,
    mlm_probability: FixedRate = 0.15,
    seed: int = 0,
    strategy: str | Strategy = "token",
    attention_mask: Rows | None = None,
    special_tokens_mask: Rows | None = None,
    labels: Rows | None = None,
    columns: Mapping[str, Rows] | None = None,
    mask_replace_prob: float = 0.8,
    random_replace_prob: float = 0.1,
    exact_count: bool = False,
    min_masked: int = 1,
) -> tuple[Rows, Rows]:
    """Masks numpy arrays as [`DataCollatorForDynamicMasking`] masks the same examples in the same epoch, to the bit.

    It serves loops without a `Trainer`, a `DataLoader` or torch tensors, with every strategy except `"adaptive"`. For
    torch tensors on an accelerator, `hf_dynmask.on_device.mask_tokens` masks tokens, words and spans without leaving
    the device. The first call with a tokenizer reads its vocabulary, and later calls reuse the tables for as long as
    the tokenizer lives.

    Args:
        input_ids: integers `[batch, length]`, padded on any side; or a list of one sequence of ids for each example, of
            any lengths.
        tokenizer: a transformers tokenizer, with a mask token unless `mask_replace_prob` is 0. New tokens and new roles
            of tokens apply from the next call on.
        epoch: the epoch, from 0. For static masking, pass the same epoch each time. For `num_mask_patterns=k` of the
            collator, pass `epoch % k`.
        mlm_probability: the expected fraction of the maskable tokens to mask, in [0, 1]; or a distribution from which
            each sequence draws its rate. Of a schedule, pass the value: `schedule(progress)`.
        seed: any integer.
        strategy: which tokens are masked together, and with what probability: see [`DataCollatorForDynamicMasking`].
            `"adaptive"` is not possible, as it needs the losses of a model.
        attention_mask: 0 at padding, 1 elsewhere. Without it, a pad token is padding if it has no other role. This
            argument and the next ones have the shape of `input_ids`, or are lists of such rows.
        special_tokens_mask: 1 for tokens that are never masked, in addition to the special tokens of the tokenizer.
        labels: -100 for tokens that are never masked, except within a word whose first token has a label, as in the
            collator.
        columns: the additional columns that the strategy reads, by name, such as `{"ner_tags": tags}` for
            `strategies.entity(column="ner_tags")`.
        mask_replace_prob: the probability that a masked token becomes the mask token.
        random_replace_prob: the probability that it becomes a random token, never a special one. The remaining masked
            tokens keep their id.
        exact_count: mask exactly `mlm_probability` times the maskable tokens of a sequence, up to rounding.
        min_masked: the minimum number of labels in a sequence that has as many maskable tokens.

    Returns:
        The masked ids, and the original ids of the masked tokens with -100 elsewhere: int64 `[batch, length]` each, or
        two lists of int64 arrays if `input_ids` is a list. Padding keeps its ids and has the label -100.

    Raises:
        ValueError: if an argument is out of its range, or the rows of two arguments have different lengths.

    Example:

        >>> ids = tokenizer(["the cat sat on a mat", "the dog"], padding=True, return_tensors="np")["input_ids"]
        >>> inputs, labels = mask_tokens(ids, tokenizer, epoch=0, mlm_probability=0.3, seed=1)
        >>> inputs.shape, (labels != -100).sum(1).tolist()
        ((2, 8), [1, 1])
    """
    if callable(mlm_probability):
        raise ValueError(
            "`mlm_probability` must be a number or a distribution, as the optimizer step is unknown here, but got "
            f"{mlm_probability!r}. Pass the value of a schedule: `schedule(progress)`."
        )
    collator = _collator_of(tokenizer)._clone_with(
        mlm_probability=mlm_probability,
        seed=seed,
        strategy=strategy,
        mask_replace_prob=mask_replace_prob,
        random_replace_prob=random_replace_prob,
        exact_count=exact_count,
        min_masked=min_masked,
    )
    beside = {"attention_mask": attention_mask, "special_tokens_mask": special_tokens_mask, "labels": labels}
    given = {**(columns or {}), **{name: values for name, values in beside.items() if values is not None}}
    _check_strategy(collator, columns or {}, given)
    rows = _rows_of(input_ids, given)
    ends = np.cumsum(list(map(len, rows["input_ids"])))
    rows[_INDEX] = np.split(np.arange(ends[-1]), ends[:-1])
    examples = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
    checked_epoch(epoch)
    batch = collator(examples, return_tensors="np", epoch=epoch)
    ids = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows["input_ids"]])
    masked = (_with_values(ids, batch, "input_ids"), _with_values(np.full_like(ids, IGNORE_INDEX), batch, "labels"))
    inputs, targets = (_like(input_ids, flat, ends) for flat in masked)
    return inputs, targets


def _collator_of(tokenizer: PreTrainedTokenizerBase) -> DataCollatorForDynamicMasking:
    """The collator that has this tokenizer's tables. It holds the tokenizer weakly, so that both go together."""
    checked_tokenizer(tokenizer)
    if tokenizer not in _COLLATORS:
        held_weakly: Any = weakref.proxy(tokenizer)
        _COLLATORS[tokenizer] = DataCollatorForDynamicMasking(
            held_weakly,
            mask_replace_prob=0.0,  # so that it needs no mask token
            padding_free=True,
            return_flash_attn_kwargs=False,
            per_token_columns=[_INDEX],
        )
    collator = _COLLATORS[tokenizer]
    collator._follow_tokenizer(Vocabulary.is_current)
    return collator


def _check_strategy(collator: DataCollatorForDynamicMasking, columns: Collection[str], given: Collection[str]) -> None:
    """Checks that the strategy needs no model, and that `columns` are those that it reads."""
    if collator.losses is not None:
        raise ValueError(
            "`strategy` must not follow the losses of a model, which arrays do not have, but got "
            f"{collator.strategy!r}. Pass another one, or use `DataCollatorForDynamicMasking`."
        )
    read = collator.columns
    if not set(columns) <= set(read) <= set(given):
        raise ValueError(
            f"`columns` must hold what the strategy reads, {list(read) or 'none'}, but got {list(columns) or 'none'}. "
            "`labels` has an argument of its own."
        )


def _rows_of(input_ids: Any, columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The rows of every column, as many as `input_ids` has."""
    rows = {name: _checked_rows(name, values) for name, values in {"input_ids": input_ids, **columns}.items()}
    count = len(rows["input_ids"])
    for name, values in rows.items():
        if len(values) != count:
            raise ValueError(
                f"`{name}` must have a row for each of the {count} rows of `input_ids`, but has {len(values)}. Pass "
                "the rows of the same examples."
            )
    return rows


def _checked_rows(name: str, values: Any) -> list[Any]:
    is_array = isinstance(values, np.ndarray) and values.ndim == 2
    if not (is_array or isinstance(values, list | tuple)) or not len(values) or not all(map(_is_sequence, values)):
        raise ValueError(
            f"`{name}` must be a numpy array `[batch, length]`, or a list of one sequence of integers for each "
            f"example, and have at least one row, but got {_describe(values)}. For a single example, pass a list of "
            "one; for torch tensors, call `hf_dynmask.on_device.mask_tokens`."
        )
    return list(values)


def _is_sequence(row: Any) -> bool:
    return length_or_none(row) is not None and not isinstance(row, Mapping)


def _describe(values: Any) -> str:
    if isinstance(values, np.ndarray):
        return f"an array of the shape {values.shape}"
    if isinstance(values, list | tuple):
        return f"a {type(values).__name__} of {type(values[0]).__name__}" if values else "an empty list"
    return f"a {type(values).__name__}"


def _with_values(flat: np.ndarray, batch: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """`flat` with the values of the batch at the indices of its tokens. The values at padding do not change."""
    flat[batch[_INDEX][0]] = batch[name][0]
    return flat


def _like(input_ids: Rows, flat: np.ndarray, ends: np.ndarray) -> Rows:
    return flat.reshape(input_ids.shape) if isinstance(input_ids, np.ndarray) else np.split(flat, ends[:-1])
