"""The counter hash: each draw is integer arithmetic on (seed, example, pattern, position, purpose).

A counter-based generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") computes any draw directly
and has no state to keep, share or resume. All arithmetic wraps around at a fixed width, so the draws are
bit-identical on every platform.

A change in this file changes the masks of every user. It is a breaking change, which needs a new major version and a
line in CHANGELOG.md; `tests/golden` detects it.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import numpy as np

from hf_dynmask.core.rows import segment_reduce

GOLDEN_64 = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: consecutive multiples are evenly distributed
GOLDEN_32 = np.uint32(0x9E3779B9)
MIX_64 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
MIX_32 = np.uint32(0x21F0AAAD), np.uint32(0xD35A2D97)
RANGE = 1 << 32


class Purpose(IntEnum):
    """The decision that a draw makes. Each purpose has its own stream, so that no decision depends on another."""

    SELECTION = 0
    REPLACEMENT = 1
    RANDOM_ID = 2
    ROUNDING = 3
    LENGTH = 4
    RATE = 5
    PLACE = 6
    SPAN_CUT = 7
    ROTATION = 8
    COMPONENT = 9
    SAMPLE = 10


def mix64(values: np.ndarray) -> np.ndarray:
    """A bijection of 64-bit words that makes neighbors unrelated (the finalizer of splitmix64, Steele et al. 2014).

    Args:
        values: uint64 array of any shape.

    Returns:
        uint64 array of the same shape.
    """
    state = values ^ (values >> np.uint64(30))
    state *= MIX_64[0]
    state ^= state >> np.uint64(27)
    state *= MIX_64[1]
    state ^= state >> np.uint64(31)
    return state


def example_hashes(input_ids: np.ndarray, positions: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """A hash of the token ids of each sequence, in order: the sum of (id + 1) * r[position], modulo 2**64.

    A multilinear hash (Carter and Wegman 1979) with fixed odd multipliers. Two examples that differ in one token never
    collide. Others collide with a probability of about 2**-64.

    Args:
        input_ids: int64 `[tokens]`, the sequences one after the other, without padding.
        positions: int64 `[tokens]`, the position of each token in its sequence.
        ends: int64 `[sequences]`, where each sequence ends in `input_ids`.

    Returns:
        uint64 `[sequences]`.
    """
    lengths = ends.copy()
    lengths[1:] -= ends[:-1]
    multipliers, sums = _multipliers(int(np.maximum.reduce(lengths, initial=1)).bit_length())
    terms = multipliers.take(positions)
    terms *= input_ids.view(np.uint64)
    return segment_reduce(np.add, terms, lengths) + sums[lengths]  # the sums are the terms of the 1 in `id + 1`


def stream_keys(seed: int, examples: np.ndarray, pattern: int | np.ndarray) -> np.ndarray:
    """The 64-bit key of the draws of each sequence for this seed and pattern.

    A bijection mixes in each part, so neighboring seeds, epochs and examples have unrelated keys, and two patterns of
    one example never have the same key.

    Args:
        seed: any integer; taken modulo 2**64.
        examples: uint64 `[sequences]` from [`example_hashes`].
        pattern: which of the masks of each example; one integer, taken modulo 2**64, or uint64 `[sequences]`.

    Returns:
        uint64 `[sequences]`.
    """
    patterns = mix64(pattern + GOLDEN_64) if isinstance(pattern, np.ndarray) else mixed(int(pattern))
    return mix64(mix64(examples ^ mixed(int(seed))) + patterns)


def draw(keys: np.ndarray, positions: np.ndarray, purpose: Purpose) -> np.ndarray:
    """Uniform 32-bit integers, one for each key and position, independent between purposes.

    Two rounds of an invertible 32-bit mix encrypt the position, with half of the key added before each (an Even-Mansour
    cipher). 32-bit lanes are several times faster than 64-bit ones. Within a sequence, all draws differ, so sorting by
    draws has no ties.

    Args:
        keys: uint64 `[n]` or `[1]`.
        positions: integers `[n]`, taken modulo 2**32.

    Returns:
        uint32 `[n]`.
    """
    return _encipher(positions, *_halves(keys, purpose))


def draw_in_rows(keys: np.ndarray, lengths: np.ndarray, positions: np.ndarray, purpose: Purpose) -> np.ndarray:
    """[`draw`] with key `i` for the next `lengths[i]` positions: uint32 `[positions]`."""
    low, high = _halves(keys, purpose)  # the keys are mixed before they are repeated
    return _encipher(positions, low.repeat(lengths), high.repeat(lengths))


def draw_per_row(keys: np.ndarray, purpose: Purpose, position: int = 0) -> np.ndarray:
    """[`draw`] at one position for all keys: uint32 `[keys]`."""
    positions = np.zeros(len(keys), dtype=np.uint32)
    positions += position
    return draw(keys, positions, purpose)


def below(draws: np.ndarray, probs: float | np.ndarray) -> np.ndarray:
    """Where a draw is below its probability: bool `[n]`. If True at one probability, it is True at any higher one.

    Args:
        draws: uint32 `[n]` from [`draw`].
        probs: one number in [0, 1], or float64 `[n]`. The resolution is 2**-32.
    """
    if type(probs) is np.ndarray:
        return draws < np.rint(probs * RANGE)
    limit = round(float(probs) * RANGE)
    return draws < np.uint32(limit) if limit < RANGE else np.ones(draws.shape, dtype=bool)


def as_fraction(draws: np.ndarray) -> np.ndarray:
    """The draws as float64 in [0, 1), exactly."""
    return draws * (1.0 / RANGE)


def as_draws(fractions: np.ndarray) -> np.ndarray:
    """float64 fractions in [0, 1) as uint32 draws, clipped to their range; the inverse of [`as_fraction`] to 2**-32."""
    return np.clip(fractions * RANGE, 0, RANGE - 1).astype(np.uint32)


def as_index(draws: np.ndarray, size: int | np.ndarray) -> np.ndarray:
    """The draws as int64 in [0, size), equally likely to within `size` / 2**32. `size` is an int, or int64 `[n]`."""
    factor = size.astype(np.uint64) if type(size) is np.ndarray else np.uint64(size)
    return ((draws.astype(np.uint64) * factor) >> np.uint64(32)).astype(np.int64)


def _word(number: int) -> np.ndarray:
    """uint64 `[1]`. Not a scalar, as numpy warns of a scalar that wraps around, which is intended here."""
    return np.array([int(number) % (1 << 64)], dtype=np.uint64)


_PURPOSE_WORDS = {purpose: _word(purpose * int(GOLDEN_64)) for purpose in Purpose}


@lru_cache(maxsize=64)
def mixed(number: int) -> np.ndarray:
    """[`mix64`] of one number: uint64 `[1]`. Cached, as batches share seeds and epochs, and small arrays are slow."""
    return mix64(_word(number) + GOLDEN_64)


def _halves(keys: np.ndarray, purpose: Purpose) -> tuple[np.ndarray, np.ndarray]:
    """The two 32-bit keys of each 64-bit key for a purpose: uint32 `[keys]` each."""
    halves = mix64(keys + _PURPOSE_WORDS[purpose])
    return halves.astype(np.uint32), (halves >> np.uint64(32)).astype(np.uint32)


@lru_cache(maxsize=64)
def _multipliers(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """An odd multiplier for each position, uint64 `[2**bits]`, and the sums of the first 0, 1, 2, ... of them.

    Cached, as all batches use the same.
    """
    multipliers = mix64(np.arange(1, (1 << bits) + 1, dtype=np.uint64) * GOLDEN_64) | np.uint64(1)
    return multipliers, np.concatenate([np.zeros(1, np.uint64), multipliers.cumsum()])


def _encipher(positions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    state = positions.astype(np.uint32)
    state *= GOLDEN_32
    state += low
    _mix32(state)
    state ^= high
    return _mix32(state)


def _mix32(state: np.ndarray) -> np.ndarray:
    """An invertible 32-bit mix of low bias, in place (constants of the best two-round function in Wellons' search)."""
    state ^= state >> np.uint32(16)
    state *= MIX_32[0]
    state ^= state >> np.uint32(15)
    state *= MIX_32[1]
    state ^= state >> np.uint32(15)
    return state
