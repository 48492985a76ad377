"""The keys of sequences, from which all of their draws follow, and the rates that they draw first."""

from __future__ import annotations

import numpy as np

from hf_dynmask.core.draws import example_hashes, stream_keys
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.rates.schedules import FixedRate


def sequence_keys(tokens: RaggedTokens, pattern: int, seed: int) -> np.ndarray:
    """uint64 `[sequences]`: the key of each sequence for this pattern and seed, two integers of any size."""
    return stream_keys(seed, example_hashes(tokens.input_ids, tokens.positions, tokens.ends), pattern)


def draw_keys_and_rates(
    tokens: RaggedTokens, rate: FixedRate | np.ndarray, pattern: int, seed: int
) -> tuple[np.ndarray, float | np.ndarray]:
    """The keys and the rates of sequences.

    Args:
        tokens: the sequences, without padding.
        rate: a number in [0, 1], a distribution from which each sequence draws its rate, or float64 `[sequences]`.
        pattern: which of the masks of each example.
        seed: any integer.

    Returns:
        uint64 `[sequences]`, and float64 `[sequences]` for a distribution; any other `rate` itself.
    """
    keys = sequence_keys(tokens, pattern, seed)
    return keys, rate.draw(keys) if isinstance(rate, RateDistribution) else rate
