"""The labels of causal language modeling, where nothing is masked."""

from __future__ import annotations

import numpy as np

from hf_dynmask.batching.eligibility import labeled_tokens
from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch


def causal_labels(batch: RaggedBatch, pad_token_id: int | None) -> np.ndarray:
    """The ids as labels: int64 `[tokens]`, -100 for padding and where the labels of the batch are -100.

    As in the stock collator, the label of the pad token is -100 even if this token has another role.
    """
    input_ids = batch.per_token["input_ids"]
    labeled = labeled_tokens(batch) & (input_ids != pad_token_id)
    if batch.padding is not None:
        labeled &= ~batch.padding
    return np.where(labeled, input_ids, IGNORE_INDEX)
