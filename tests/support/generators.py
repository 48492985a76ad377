"""The package's random numbers, and weak ones in their place, which every check here must be able to reject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hf_dynmask.core.draws import Purpose, draw_in_rows, example_hashes, mix64, stream_keys


@dataclass(frozen=True)
class Generator:
    """The functions of `hf_dynmask.core.draws` that draws come from."""

    hashes: Callable[..., np.ndarray] = example_hashes
    keys: Callable[..., np.ndarray] = stream_keys
    draws: Callable[..., np.ndarray] = draw_in_rows

    def hashes_of(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """uint64 `[sequences]`, of sequences that lie one after the other."""
        ends = np.cumsum(lengths)
        positions = np.arange(len(ids), dtype=np.uint32) - np.repeat((ends - lengths).astype(np.uint32), lengths)
        return self.hashes(ids, positions, ends)

    def numbers(self, seed: int, rows: np.ndarray, pattern: int, purpose: Purpose) -> np.ndarray:
        """uint32 `[sequences, length]`, of sequences of one length."""
        lengths = np.full(len(rows), rows.shape[1])
        keys = self.keys(seed, self.hashes_of(rows.ravel(), lengths), pattern)
        positions = np.tile(np.arange(rows.shape[1], dtype=np.uint32), len(rows))
        return self.draws(keys, lengths, positions, purpose).reshape(rows.shape)


def real_rows(number: int, rows: int, length: int = 128) -> np.ndarray:
    """int64 `[rows, length]`: ids as texts have them, of Zipf's law, between two special tokens."""
    ids = np.random.default_rng(number).zipf(1.2, (rows, length)) % 30_000 + 999
    ids[:, 0], ids[:, -1] = 101, 102
    return ids


def _index(ids: np.ndarray, positions: np.ndarray, ends: np.ndarray) -> np.ndarray:
    return np.arange(len(ends), dtype=np.uint64)


def _sum(ids: np.ndarray, positions: np.ndarray, ends: np.ndarray) -> np.ndarray:
    return np.diff(np.concatenate([[0], np.cumsum(ids)])[np.concatenate([[0], ends])]).astype(np.uint64)


def _none(ids: np.ndarray, positions: np.ndarray, ends: np.ndarray) -> np.ndarray:
    return np.zeros(len(ends), dtype=np.uint64)


def _low(seed: int, examples: np.ndarray, pattern: int) -> np.ndarray:
    return stream_keys(seed, examples, pattern) % np.uint64(10**6)


def _added(seed: int, examples: np.ndarray, pattern: int) -> np.ndarray:
    return mix64(examples + np.uint64(seed + pattern))


def _seed_of_32_bits(seed: int, examples: np.ndarray, pattern: int) -> np.ndarray:
    return stream_keys(seed % 2**32, examples, pattern)


def _static(seed: int, examples: np.ndarray, pattern: int) -> np.ndarray:
    return stream_keys(seed, examples, 0)


def _of_no_seed(seed: int, examples: np.ndarray, pattern: int) -> np.ndarray:
    return stream_keys(0, examples, pattern)


def _linear(keys: np.ndarray, lengths: np.ndarray, positions: np.ndarray, purpose: Purpose) -> np.ndarray:
    return np.repeat(mix64(keys + np.uint64(purpose)), lengths).astype(np.uint32) + positions * np.uint32(1664525)


def _of_16_bits(keys: np.ndarray, lengths: np.ndarray, positions: np.ndarray, purpose: Purpose) -> np.ndarray:
    return draw_in_rows(keys, lengths, positions, purpose) & np.uint32(0xFFFF0000)


def _of_no_purpose(keys: np.ndarray, lengths: np.ndarray, positions: np.ndarray, purpose: Purpose) -> np.ndarray:
    return draw_in_rows(keys, lengths, positions, Purpose.SELECTION)


OURS = Generator()
WEAK = {
    "(seed, epoch, index) modulo 10^6, as in fairseq": Generator(hashes=_index, keys=_low),
    "seed + epoch + index, as in Megatron and grain": Generator(hashes=_index, keys=_added),
    "the sum of the ids": Generator(hashes=_sum),
    "seeds of 32 bits": Generator(keys=_seed_of_32_bits),
    "no epoch": Generator(keys=_static),
    "no example": Generator(hashes=_none),
    "no seed": Generator(keys=_of_no_seed),
    "positions through a linear congruence": Generator(draws=_linear),
    "draws of 16 bits": Generator(draws=_of_16_bits),
    "one stream for every purpose": Generator(draws=_of_no_purpose),
}
