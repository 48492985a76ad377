"""Lays out flat columns for a model: as padded rows, or as one row without padding."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_dynmask.core.checks import checked_choice, checked_integer
from hf_dynmask.core.ragged import RaggedBatch
from hf_dynmask.core.rows import count_per_row, positions_in_rows
from hf_dynmask.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import BatchEncoding


def padded(batch: RaggedBatch, fills: Mapping[str, int], side: str, multiple: int | None) -> dict[str, np.ndarray]:
    """The columns of a batch as arrays `[sequences, ...]`, per-token columns `[sequences, length, ...]`.

    `attention_mask`, int64 `[sequences, length]`, is 0 for the padding of the batch and for the padding that is added.

    Args:
        fills: the padding value of each column; 0 for a column that is not in it.
        side: the side of the padding, "right" or "left".
        multiple: the length is rounded up to a multiple of this number; None for the longest sequence.
    """
    is_token = _token_mask(batch.lengths, padded_length(batch.lengths, multiple), side)
    columns = {name: _padded(values, is_token, fills.get(name, 0)) for name, values in batch.per_token.items()}
    attended = is_token if batch.padding is None else _padded(~batch.padding, is_token, 0)
    columns["attention_mask"] = attended.astype(np.int64)
    return {**columns, **batch.per_sequence}


def _token_mask(lengths: np.ndarray, length: int, side: str) -> np.ndarray:
    """Where padded rows have tokens: bool `[sequences, length]`."""
    narrow = np.min_scalar_type(length)  # comparisons of two bytes are faster than those of eight
    is_token = np.arange(length, dtype=narrow) < lengths.astype(narrow)[:, None]
    return is_token if side == "right" else is_token[:, ::-1]


def padded_indices(indices: np.ndarray, lengths: np.ndarray, side: str, multiple: int | None) -> np.ndarray:
    """The indices in the flat array of [`padded`] rows of the tokens at flat `indices`, int64 in rising order."""
    length = padded_length(lengths, multiple)
    if np.minimum.reduce(lengths) == length:
        return indices
    ends = lengths.cumsum()
    shifts = np.arange(len(lengths)) * length - (ends - lengths)
    if side == "left":
        shifts += length - lengths
    return indices + shifts.repeat(count_per_row(indices, ends))


def padded_length(lengths: np.ndarray, multiple: int | None) -> int:
    """The longest length, rounded up to a multiple of this number."""
    longest = int(np.maximum.reduce(lengths))
    return longest if multiple is None else -(-longest // multiple) * multiple


def _padded(values: np.ndarray, is_token: np.ndarray, fill: int) -> np.ndarray:
    shape = (*is_token.shape, *values.shape[1:])
    if len(values) == is_token.size:  # no padding: ten times as fast
        return values.reshape(shape).copy()
    rows = np.full(shape, fill, dtype=values.dtype)
    rows[is_token] = values
    return rows


def flattened(
    batch: RaggedBatch, position_ids_start: int, return_seq_idx: bool, return_flash_attn_kwargs: bool
) -> dict[str, Any]:
    """The batch as one row, with columns `[1, tokens, ...]`, laid out as by transformers' `DataCollatorWithFlattening`.

    It adds `position_ids`, int64 `[1, tokens]`, which count from `position_ids_start` in each sequence. With
    `return_seq_idx`, it adds `seq_idx`, int32 `[1, tokens]`, the sequence of each token. With
    `return_flash_attn_kwargs`, it adds `cu_seq_lens_q` and `cu_seq_lens_k`, int32 `[sequences + 1]`, the boundaries of
    sequences, and `max_length_q` and `max_length_k`, ints.
    """
    row = {**batch.per_token, "position_ids": positions_in_rows(batch.lengths) + position_ids_start}
    if return_seq_idx:
        row["seq_idx"] = np.repeat(np.arange(len(batch.lengths), dtype=np.int32), batch.lengths)
    columns: dict[str, Any] = {name: values[None] for name, values in row.items()}
    if return_flash_attn_kwargs:
        columns["cu_seq_lens_q"] = columns["cu_seq_lens_k"] = np.cumsum([0, *batch.lengths]).astype(np.int32)
        columns["max_length_q"] = columns["max_length_k"] = int(batch.lengths.max())
    return {**columns, **batch.per_sequence}


def filled_up(batch: RaggedBatch, fills: Mapping[str, int], multiple: int) -> RaggedBatch:
    """The batch with one more sequence of padding if its tokens are not a multiple of this number.

    Args:
        batch: without padding.
        fills: the padding value of each column; 0 for a column that is not in it.
        multiple: such as 16, which kernels for 8-bit floats need.
    """
    missing = -int(batch.lengths.sum()) % multiple
    if not missing:
        return batch
    per_token = {
        name: np.concatenate([values, np.full((missing, *values.shape[1:]), fills.get(name, 0), dtype=values.dtype)])
        for name, values in batch.per_token.items()
    }
    return batch._replace(lengths=np.append(batch.lengths, missing), per_token=per_token)


def pad_token_id(vocabulary: Vocabulary, lengths: np.ndarray, multiple: int | None) -> int:
    """The padding value of `input_ids`.

    Raises:
        ValueError: if padding is needed, but there is no pad token.
    """
    if vocabulary.pad_token_id is not None:
        return vocabulary.pad_token_id
    if multiple is None and (lengths == lengths[0]).all():
        return 0  # unused
    raise ValueError(
        "`tokenizer` must have a pad token to make one batch of sequences of different lengths, but has none. Set "
        "`tokenizer.pad_token`, or pass `padding_free=True` if the collator has this argument."
    )


def check_layout(pad_to_multiple_of: int | None, return_tensors: str) -> None:
    """Checks the arguments of these names.

    Raises:
        ValueError: if one is out of its range.
    """
    if pad_to_multiple_of is not None:
        checked_integer(pad_to_multiple_of, "pad_to_multiple_of", 1, "Pass None for no rounding.", maximum=1 << 20)
    checked_choice(return_tensors, "return_tensors", ("pt", "np"))


def encoding(columns: Mapping[str, Any], return_tensors: str) -> BatchEncoding:
    """The columns in the type of transformers' collators, with torch tensors for arrays if `return_tensors` is "pt"."""
    if return_tensors == "pt":
        columns = {name: torch.from_numpy(each) if type(each) is np.ndarray else each for name, each in columns.items()}
    else:
        checked_choice(return_tensors, "return_tensors", ("pt", "np"))
    return _batch_encoding()(dict(columns))


@cache
def _batch_encoding() -> type[BatchEncoding]:
    """The class, imported at the first batch, as its import takes longer than that of this package."""
    from transformers import BatchEncoding

    return BatchEncoding
