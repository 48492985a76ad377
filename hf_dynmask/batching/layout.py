"""From flat columns to what a model takes: padded rows, or one row without padding."""

from __future__ import annotations

from collections.abc import Mapping
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
    """The batch's columns as arrays `[sequences, ...]`, those with a value for each token `[sequences, length, ...]`.

    `attention_mask`, int64 `[sequences, length]`, is 0 for the padding of the batch and for the padding that is added.

    Args:
        fills: what a column is padded with; 0 where nothing is said.
        side: "right" or "left": where padding is put.
        multiple: the length is rounded up to a multiple of it.
    """
    length = _padded_length(batch.lengths, multiple)
    narrow = np.min_scalar_type(length)  # numbers of two bytes are compared faster than those of eight
    real = np.arange(length, dtype=narrow) < batch.lengths.astype(narrow)[:, None]
    real = real if side == "right" else real[:, ::-1]
    columns = {name: _padded(values, real, fills.get(name, 0)) for name, values in batch.per_token.items()}
    columns["attention_mask"] = (real if batch.padding is None else _padded(~batch.padding, real, 0)).astype(np.int64)
    return {**columns, **batch.per_sequence}


def padded_indices(indices: np.ndarray, lengths: np.ndarray, side: str, multiple: int | None) -> np.ndarray:
    """Where tokens are in the flat array of [`padded`] rows that are at `indices`, int64 in rising order, before it."""
    length, ends = _padded_length(lengths, multiple), lengths.cumsum()
    shifts = np.arange(len(lengths)) * length - (ends - lengths)
    if side == "left":
        shifts += length - lengths
    return indices + shifts.repeat(count_per_row(indices, ends))


def _padded_length(lengths: np.ndarray, multiple: int | None) -> int:
    longest = int(lengths.max())
    return longest if multiple is None else -(-longest // multiple) * multiple


def _padded(values: np.ndarray, real: np.ndarray, fill: int) -> np.ndarray:
    rows = np.full((*real.shape, *values.shape[1:]), fill, dtype=values.dtype)
    rows[real] = values
    return rows


def flattened(
    batch: RaggedBatch, position_ids_start: int, return_seq_idx: bool, return_flash_attn_kwargs: bool
) -> dict[str, Any]:
    """The batch as one row, its columns `[1, tokens, ...]`, as transformers' `DataCollatorWithFlattening` lays it out.

    Adds `position_ids`, int64 `[1, tokens]`, counting from `position_ids_start` in every sequence; on request
    `seq_idx`, int32 `[1, tokens]`, each token's sequence; and `cu_seq_lens_q` and `cu_seq_lens_k`, int32
    `[sequences + 1]`, the sequences' ends, with `max_length_q` and `max_length_k`, ints.
    """
    row = {**batch.per_token, "position_ids": positions_in_rows(batch.lengths) + position_ids_start}
    if return_seq_idx:
        row["seq_idx"] = np.repeat(np.arange(len(batch.lengths), dtype=np.int32), batch.lengths)
    columns: dict[str, Any] = {name: values[None] for name, values in row.items()}
    if return_flash_attn_kwargs:
        columns["cu_seq_lens_q"] = columns["cu_seq_lens_k"] = np.cumsum([0, *batch.lengths]).astype(np.int32)
        columns["max_length_q"] = columns["max_length_k"] = int(batch.lengths.max())
    return {**columns, **batch.per_sequence}


def pad_token_id(vocabulary: Vocabulary, lengths: np.ndarray, multiple: int | None) -> int:
    """What pads `input_ids`.

    Raises:
        ValueError: if there is a need for padding, and no pad token.
    """
    if vocabulary.pad_token_id is not None:
        return vocabulary.pad_token_id
    if multiple is None and (lengths == lengths[0]).all():
        return 0  # nothing will be padded
    raise ValueError(
        "`tokenizer` must have a pad token to make one batch of sequences of different lengths, but has none. Set "
        "`tokenizer.pad_token`, or, where the collator has that, pass `padding_free=True`."
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
    """The columns as transformers' collators return them, arrays as torch tensors if `return_tensors` is "pt"."""
    from transformers import BatchEncoding  # not at import: it would more than double what that costs

    if checked_choice(return_tensors, "return_tensors", ("pt", "np")) == "np":
        return BatchEncoding(dict(columns))
    return BatchEncoding({name: _as_tensor(values) for name, values in columns.items()})


def _as_tensor(values: Any) -> Any:
    return torch.from_numpy(values) if isinstance(values, np.ndarray) else values
