"""The columns of a batch that a model is given, as flat arrays without padding, and why they may not do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hf_dynmask.batching.eligibility import padding_mask
from hf_dynmask.core.ragged import RaggedBatch
from hf_dynmask.core.rows import segment_reduce
from hf_dynmask.vocabulary.vocabulary import Vocabulary


class NotAuditableError(ValueError):
    """Why the masks of a batch cannot be checked, in words."""


def integer_column(batch: Mapping[str, Any], name: str) -> np.ndarray:
    """A column of integers, int64 in its own shape, from whatever device it is on.

    Raises:
        NotAuditableError: if the batch has no such column, or it holds no integers.
    """
    if name not in batch or batch[name] is None:
        raise NotAuditableError(f"the batch has no `{name}`")
    values = batch[name]
    try:
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # sparse, without values, or of a type that numpy lacks
        array = np.zeros(0)
    if array.dtype.kind not in "iu":
        raise NotAuditableError(f"`{name}` of the batch does not hold integers that numpy can read")
    return array.astype(np.int64, order="C", copy=False)


def without_padding(
    batch: Mapping[str, Any], shape: tuple[int, ...], flat: Mapping[str, np.ndarray], vocabulary: Vocabulary
) -> RaggedBatch:
    """The columns `flat`, `[rows * length]`, of the tokens that are attended to.

    Raises:
        NotAuditableError: if that cannot be told.
    """
    columns = dict(flat)
    if batch.get("attention_mask") is not None:
        columns["attention_mask"] = _attention(batch["attention_mask"], shape)
    elif vocabulary.pad_token_id is not None and not vocabulary.pad_is_unambiguous:
        raise NotAuditableError("the batch has no `attention_mask`, and its pad token has another role as well")
    rows = RaggedBatch(np.full(shape[0], shape[1]), columns, {})
    try:
        return rows.with_padding(padding_mask(rows, vocabulary)).without_padding()
    except ValueError:
        raise NotAuditableError("`attention_mask` of the batch holds other values than 0 and 1") from None


def clear_outside(ids: np.ndarray, lengths: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Sets ids outside the vocabulary to 0, in place, so that what remains can be checked.

    Returns:
        bool `[sequences]`, those that had one.
    """
    outside = ids.view(np.uint64) >= vocabulary.size  # a negative one is very large then
    if not outside.any():
        return np.zeros(len(lengths), dtype=bool)
    ids[outside] = 0
    return segment_reduce(np.logical_or, outside, lengths)


def lengths_in_rows(batch: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """int64 `[sequences]`: the lengths of sequences that stand in rows without padding.

    Raises:
        NotAuditableError: if the batch does not tell.
    """
    if batch.get("cu_seq_lens_q") is not None:
        ends = integer_column(batch, "cu_seq_lens_q").reshape(-1)
        lengths = np.diff(ends)
        if len(lengths) and ends[0] == 0 and ends[-1] == shape[0] * shape[1] and (lengths >= 0).all():
            return lengths
    if batch.get("position_ids") is None:
        raise NotAuditableError("the batch has neither `position_ids` nor `cu_seq_lens_q` to tell where sequences end")
    positions = integer_column(batch, "position_ids")
    if positions.shape != shape:
        raise NotAuditableError("`position_ids` of the batch do not have a value for each token")
    begins = np.ones(shape, dtype=bool)
    begins[:, 1:] = positions[:, 1:] != positions[:, :-1] + 1
    return np.diff(np.append(np.flatnonzero(begins), begins.size))


def _attention(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        mask = values.detach().cpu() if isinstance(values, torch.Tensor) else torch.from_numpy(np.asarray(values))
        flat = mask.to(torch.float64).numpy() if mask.dtype.is_floating_point else mask.to(torch.int64).numpy()
    except (TypeError, ValueError, RuntimeError):
        flat = np.zeros(0)
    if flat.shape != shape:
        raise NotAuditableError("`attention_mask` of the batch does not have a value for each token")
    return flat.reshape(-1)
