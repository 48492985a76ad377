"""The token counts of a batch, for the logs of [`MaskRateCallback`]."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch, RaggedTokens
from hf_dynmask.loading.batch_counts import Counts
from hf_dynmask.masking.mlm import Masked


def count_tokens(columns: Mapping[str, np.ndarray], batch: RaggedBatch, masked: Masked | None) -> Counts:
    """Counts a batch of language modeling.

    Args:
        columns: the batch as laid out, with `labels`.
        batch: the batch before layout, which may contain padding.
        masked: its masks; None if nothing is masked.
    """
    attended = len(batch.per_token["input_ids"]) - (0 if batch.padding is None else int(batch.padding.sum()))
    labels = _count_labels(columns["labels"])
    if masked is None:
        return _counts(columns["input_ids"], attended, labels, 0, 0)
    return _counts(columns["input_ids"], attended, labels, len(masked.indices), _count_maskable(masked))


def count_noise(
    columns: Mapping[str, np.ndarray], inputs: RaggedTokens, noise: np.ndarray, maskable: np.ndarray
) -> Counts:
    """Counts a batch of span corruption.

    Args:
        columns: the batch as laid out, with `labels`.
        inputs: the input after corruption.
        noise: bool `[tokens]`, the noise of the text.
        maskable: bool `[tokens]`, the tokens of the text that may be noise.
    """
    labels = _count_labels(columns["labels"])
    return _counts(columns["input_ids"], len(inputs.input_ids), labels, int(noise.sum()), int(maskable.sum()))


def count_dropout(batch: Mapping[str, Any], masked: Masked, num_masked: int, is_deleted: bool) -> Counts:
    """Counts a batch of token dropout, which has no labels of its own.

    Args:
        batch: the batch as laid out.
        masked: its masks.
        num_masked: how many of its tokens are masked after all.
        is_deleted: whether these are no longer in the batch.
    """
    attended = len(masked.tokens.input_ids) - is_deleted * num_masked
    return _counts(batch["input_ids"], attended, -1, num_masked, _count_maskable(masked))


def _counts(input_ids: Any, attended: int, labels: int, masked: int, maskable: int) -> Counts:
    tokens = math.prod(input_ids.shape)
    return Counts(masked, maskable, labels, tokens - attended, tokens, len(input_ids))


def _count_labels(labels: np.ndarray) -> int:
    return int(np.count_nonzero(labels != IGNORE_INDEX))


def _count_maskable(masked: Masked) -> int:
    """The number of tokens in units that may be masked."""
    return int(masked.units.maskable_size.sum())
