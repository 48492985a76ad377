"""The keys of sequences, from which all of their draws follow, and the rates that they draw first."""

from __future__ import annotations

import numpy as np

from hf_dynmask.core.draws import example_hashes, stream_keys
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.core.rows import repeat_rows
from hf_dynmask.rates.distributions import RateDistribution, TokenRates
from hf_dynmask.rates.schedules import FixedRate


def sequence_keys(tokens: RaggedTokens, pattern: int | np.ndarray, seed: int) -> np.ndarray:
    """uint64 `[sequences]`: the key of each sequence for its pattern and this seed; for both, see [`stream_keys`]."""
    return stream_keys(seed, example_hashes(tokens.input_ids, tokens.positions, tokens.ends), pattern)


def draw_keys_and_rates(
    tokens: RaggedTokens, rate: FixedRate | np.ndarray | TokenRates, pattern: int | np.ndarray, seed: int
) -> tuple[np.ndarray, float | np.ndarray | TokenRates]:
    """The keys and the rates of sequences.

    Args:
        tokens: the sequences, without padding.
        rate: a number in [0, 1], a distribution from which each sequence draws its rate, or the rates of sequences,
            float64 `[sequences]`, or of tokens.
        pattern: which of the masks of each example; one integer, or uint64 `[sequences]`.
        seed: any integer.

    Returns:
        uint64 `[sequences]`; and for a distribution, float64 `[sequences]`, or [`TokenRates`] if blocks draw rates. Any
        other `rate` itself.
    """
    keys = sequence_keys(tokens, pattern, seed)
    return keys, _draw_rates(rate, keys, tokens.lengths) if isinstance(rate, RateDistribution) else rate


def draw_rates_in_pairs(
    tokens: RaggedTokens, rate: FixedRate | np.ndarray, pattern: int, seed: int
) -> float | np.ndarray | TokenRates:
    """The rates of sequences of which each two consecutive ones are the same and share a draw.

    Without `low_discrepancy`, sequences that are the same share it anyway. For the arguments and the result, see
    [`draw_keys_and_rates`].
    """
    if not isinstance(rate, RateDistribution):
        return rate
    lengths = tokens.lengths[::2]
    rates = _draw_rates(rate, sequence_keys(tokens, pattern, seed)[::2], lengths)
    if isinstance(rates, TokenRates):
        return TokenRates(rates.values[repeat_rows(lengths, 2)])
    return rates.repeat(2)


def _draw_rates(rate: RateDistribution, keys: np.ndarray, lengths: np.ndarray) -> np.ndarray | TokenRates:
    return rate.draw(keys) if rate.block_size is None else rate.draw_in_blocks(keys, lengths)
