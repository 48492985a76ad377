"""Which masked tokens stay, so that no sequence becomes empty where masked tokens are hidden or deleted."""

from __future__ import annotations

import numpy as np

from hf_dynmask.batching.eligibility import maskable_tokens
from hf_dynmask.core.draws import Purpose, as_index, draw_per_row
from hf_dynmask.core.ragged import RaggedBatch, RaggedTokens
from hf_dynmask.core.rows import count_flags, count_per_row
from hf_dynmask.masking.mlm import Masked


def keep_one_attended(tokens: RaggedTokens, masked: np.ndarray) -> np.ndarray:
    """The masked tokens, except for the first token of a sequence whose tokens are all masked."""
    all_masked = count_per_row(masked, tokens.ends) == tokens.lengths
    return masked[~(all_masked[tokens.rows[masked]] & (tokens.positions[masked] == 0))]


def keep_one_ordinary(masked: Masked, sequences: RaggedBatch) -> np.ndarray:
    """The masked tokens, except for a random one of each sequence whose maskable tokens are all masked."""
    tokens = masked.tokens
    maskable = maskable_tokens(sequences, tokens.vocabulary, masked.plan.strategy.columns)
    counts = count_per_row(masked.indices, tokens.ends)
    all_masked = np.flatnonzero((counts == count_flags(maskable, tokens.lengths)) & (counts > 0))
    draws = draw_per_row(tokens.keys[all_masked], Purpose.REPLACEMENT)  # no token is replaced here
    return np.delete(masked.indices, (counts.cumsum() - counts)[all_masked] + as_index(draws, counts[all_masked]))
