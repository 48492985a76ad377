"""Reads the columns of a batch as flat arrays without padding, or explains why they cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hf_dynmask.batching.eligibility import padding_mask
from hf_dynmask.core.ragged import RaggedBatch
from hf_dynmask.core.rows import positions_in_rows, segment_reduce
from hf_dynmask.vocabulary.vocabulary import Vocabulary

_UNREADABLE = (TypeError, ValueError, RuntimeError)  # a sparse or meta tensor, or a dtype that numpy does not have


class NotAuditableError(ValueError):
    """The masks of a batch cannot be checked. The message is the reason, as a clause that can continue a sentence."""


def integer_column(batch: Mapping[str, Any], name: str) -> np.ndarray:
    """Reads a column of integers from any device. The result is int64 and keeps the shape of the column.

    Raises:
        NotAuditableError: if the batch does not have the column, or if the column does not contain integers.
    """
    if batch.get(name) is None:
        raise NotAuditableError(f"the batch has no `{name}`")
    values = batch[name]
    try:
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    except _UNREADABLE:
        array = np.zeros(0)
    if array.dtype.kind not in "iu":
        raise NotAuditableError(f"`{name}` of the batch does not contain integers that numpy can read")
    return array.astype(np.int64, order="C", copy=False)


def remove_padding(
    batch: Mapping[str, Any], shape: tuple[int, ...], columns: Mapping[str, np.ndarray], vocabulary: Vocabulary
) -> RaggedBatch:
    """Keeps the tokens that are attended to.

    Args:
        batch: the batch, which may have an `attention_mask`.
        shape: the shape of the columns in the batch, `(sequences, length)`.
        columns: the columns to keep tokens of, `[sequences * length]` each.
        vocabulary: the vocabulary, which has the id of the pad token.

    Raises:
        NotAuditableError: if the batch does not show which tokens are padding.
    """
    columns = dict(columns)
    if batch.get("attention_mask") is not None:
        columns["attention_mask"] = _attention_mask(batch["attention_mask"], shape)
    elif vocabulary.pad_token_id is not None and not vocabulary.pad_is_unambiguous:
        raise NotAuditableError("the batch has no `attention_mask`, and its pad token also has another role")
    padded = RaggedBatch(np.full(shape[0], shape[1]), columns, {})
    try:
        return padded.with_padding(padding_mask(padded, vocabulary)).without_padding()
    except ValueError:
        raise NotAuditableError("`attention_mask` of the batch contains values other than 0 and 1") from None


def zero_out_of_vocabulary(ids: np.ndarray, lengths: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Replaces ids outside the vocabulary with 0, in place, so that the other ids can be checked.

    Returns:
        bool `[sequences]`: True if a sequence contained such an id.
    """
    is_outside = ids.view(np.uint64) >= vocabulary.size  # as unsigned integers, negative ids are very large
    if not is_outside.any():
        return np.zeros(len(lengths), dtype=bool)
    ids[is_outside] = 0
    return segment_reduce(np.logical_or, is_outside, lengths)


def packed_lengths(batch: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """Reads the lengths of sequences that are packed into rows without padding: int64 `[sequences]`.

    Raises:
        NotAuditableError: if the batch does not show where its sequences end.
    """
    if batch.get("cu_seq_lens_q") is not None:
        boundaries = integer_column(batch, "cu_seq_lens_q").reshape(-1)
        lengths = np.diff(boundaries)
        if len(lengths) and boundaries[0] == 0 and boundaries[-1] == shape[0] * shape[1] and (lengths >= 0).all():
            return lengths
    return _lengths_from_positions(batch, shape)


def unpack_rows(batch: Mapping[str, Any], shape: tuple[int, ...], columns: Mapping[str, np.ndarray]) -> RaggedBatch:
    """Reads the sequences of packed rows, in the order of their numbers in `seq_idx`, without padding.

    Args:
        batch: the batch.
        shape: the shape of its columns, `(rows, length)`.
        columns: the columns to read, `[rows * length]` each.

    Raises:
        NotAuditableError: if the batch does not show where its sequences are.
    """
    seq_idx = integer_column(batch, "seq_idx")
    if seq_idx.shape != shape:
        raise NotAuditableError("`seq_idx` of the batch does not have one value for each token")
    is_start = np.ones(shape, dtype=bool)
    is_start[:, 1:] = seq_idx[:, 1:] != seq_idx[:, :-1]
    starts = np.flatnonzero(is_start)
    numbers, lengths = seq_idx.reshape(-1)[starts], np.diff(np.append(starts, seq_idx.size))
    order = np.argsort(numbers, kind="stable")[np.count_nonzero(numbers < 0) :]
    indices = starts[order].repeat(lengths[order]) + positions_in_rows(lengths[order])
    return RaggedBatch(lengths[order], {name: values[indices] for name, values in columns.items()}, {})


def _lengths_from_positions(batch: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    if batch.get("position_ids") is None:
        raise NotAuditableError("the batch has neither `position_ids` nor `cu_seq_lens_q` to separate its sequences")
    positions = integer_column(batch, "position_ids")
    if positions.shape != shape:
        raise NotAuditableError("`position_ids` of the batch does not have one value for each token")
    is_start = np.ones(shape, dtype=bool)
    is_start[:, 1:] = positions[:, 1:] != positions[:, :-1] + 1
    return np.diff(np.append(np.flatnonzero(is_start), is_start.size))


def _attention_mask(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        mask = values.detach().cpu() if isinstance(values, torch.Tensor) else torch.from_numpy(np.asarray(values))
        array = mask.to(torch.float64).numpy() if mask.dtype.is_floating_point else mask.to(torch.int64).numpy()
    except _UNREADABLE:
        array = np.zeros(0)
    if array.shape != shape:
        raise NotAuditableError("`attention_mask` of the batch does not have one value for each token")
    return array.reshape(-1)
