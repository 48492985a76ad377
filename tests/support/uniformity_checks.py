"""Checks of a generator. Each gives p-values: small where its numbers are not uniform, or not independent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, permutations
from typing import NamedTuple

import numpy as np
from scipy import stats

from hf_dynmask.core.draws import Purpose
from support.generators import Generator, real_rows


class Size(NamedTuple):
    """How many draws: in chunks, so that memory does not grow with them."""

    chunks: int
    rows: int


Pairs = tuple[np.ndarray, np.ndarray]


def _positions(of: Generator, number: int, rows: np.ndarray, purpose: Purpose) -> Pairs:
    numbers = of.numbers(number, rows, number, purpose)
    return numbers[:, 0::2], numbers[:, 1::2]


def _epochs(of: Generator, number: int, rows: np.ndarray, purpose: Purpose) -> Pairs:
    return of.numbers(7, rows, 2 * number, purpose), of.numbers(7, rows, 2 * number + 1, purpose)


def _seeds_apart(distance: int, later: int = 0) -> Callable[[Generator, int, np.ndarray, Purpose], Pairs]:
    """Two seeds at a distance; `later`: and the first of them so many epochs later."""

    def pairs(of: Generator, number: int, rows: np.ndarray, purpose: Purpose) -> Pairs:
        seed = 2 * number
        return of.numbers(seed, rows, later, purpose), of.numbers(seed + distance, rows, 0, purpose)

    return pairs


def _next_example_next_seed(of: Generator, number: int, rows: np.ndarray, purpose: Purpose) -> Pairs:
    return of.numbers(number, rows, 0, purpose)[1:], of.numbers(number + 1, rows, 0, purpose)[:-1]


def _one_token(of: Generator, number: int, rows: np.ndarray, purpose: Purpose) -> Pairs:
    changed = rows.copy()
    changed[np.arange(len(rows)), np.arange(len(rows)) % rows.shape[1]] += 1
    return of.numbers(number, rows, 0, purpose), of.numbers(number, changed, 0, purpose)


AXES = {
    "positions": _positions,
    "epochs": _epochs,
    "neighbouring seeds": _seeds_apart(1),
    "seeds 10^6 apart": _seeds_apart(10**6),
    "seeds 2^32 apart": _seeds_apart(2**32),
    "a seed higher, an epoch lower": _seeds_apart(1, later=1),
    "a seed higher, an example lower": _next_example_next_seed,
    "examples that differ in one token": _one_token,
}


def neighbours(of: Generator, axis: str, purpose: Purpose, size: Size) -> list[float]:
    """Uniformity of all draws, their highest and their lowest bits; then independence of pairs along an axis.

    No draw is in two pairs, so that chi-squared is exactly what its name says.
    """
    tables, product, count = [], 0.0, 0
    for number in range(size.chunks):
        rows = real_rows(number, size.rows)
        first, second = (each.ravel() for each in AXES[axis](of, number, rows, purpose))
        tables.append(_tables(first, second))
        product += (first / 2**32 - 0.5) @ (second / 2**32 - 0.5)
        count += len(first)
    correlation = 12 * product / np.sqrt(count)  # a uniform number's variance is 1 / 12
    return [*_chances(tables), 2 * float(stats.norm.sf(abs(correlation)))]


def _tables(first: np.ndarray, second: np.ndarray) -> list[np.ndarray]:
    low = np.uint32(15)
    both = np.concatenate([first, second])
    values = [
        both >> 24,
        both & np.uint32(255),
        (first >> 28) * 16 + (second >> 28),
        (first & low) * 16 + (second & low),
        (first - second) >> 24,
        (first ^ second) & np.uint32(255),
    ]
    return [np.bincount(each, minlength=256) for each in values]


def _chances(tables: list[list[np.ndarray]]) -> list[float]:
    return [float(stats.chisquare(np.sum(parts, axis=0)).pvalue) for parts in zip(*tables, strict=True)]


def fine_uniformity(of: Generator, purpose: Purpose, size: Size) -> list[float]:
    """Uniformity in 65,536 bins, of the upper and of the lower half of the bits."""
    tables = []
    for number in range(size.chunks):
        numbers = of.numbers(number, real_rows(number, 8 * size.rows), number, purpose).ravel()
        halves = numbers >> 16, numbers & np.uint32(0xFFFF)
        tables.append([np.bincount(half, minlength=65_536) for half in halves])
    return _chances(tables)


def joint(of: Generator, size: Size) -> list[float]:
    """Selection, replacement and random id of one token: their joint bins, 16 x 16 x 16, are equally likely."""
    purposes = (Purpose.SELECTION, Purpose.REPLACEMENT, Purpose.RANDOM_ID)
    tables = []
    for number in range(size.chunks):
        rows = real_rows(number, 8 * size.rows)
        first, second, third = (of.numbers(number, rows, number, each).ravel() >> 28 for each in purposes)
        tables.append([np.bincount((first * 16 + second) * 16 + third, minlength=4096)])
    return _chances(tables)


def like_sequences(count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """About `count` sequences, no two equal but many much alike, in parts: ids one after the other, and lengths.

    They differ in one token; in two, whose sum is the same; in order only; or in that one goes on where another ends.
    """
    each = count // 4
    row = 5000 + real_rows(0, 1, 32)[0]
    one, two = np.tile(row, (each, 1)), np.tile(row, (each, 1))
    number = np.arange(each)
    one[number, number % 32] += 1 + number // 32
    two[number, number % 16] += 1 + number // 256
    two[number, 16 + number // 16 % 16] -= 1 + number // 256
    order = np.array(list(islice(permutations(real_rows(1, 1, 12)[0] * 13 + np.arange(12)), each)))
    for rows in (one, two, order):
        yield rows.ravel(), np.full(len(rows), rows.shape[1])
    for first in range(each // 250):
        text = np.append(first, real_rows(2 + first, 1, 249)[0])
        yield np.concatenate([text[:end] for end in range(1, 251)]), np.arange(1, 251)


def collisions(of: Generator, sequences: int, seeds: range, patterns: range) -> tuple[int, int]:
    """Of how many streams, of sequences under seeds in epochs, and how many have the key of another."""
    hashes = np.concatenate([of.hashes_of(*part) for part in like_sequences(sequences)])
    every = np.concatenate([of.keys(seed, hashes, pattern) for seed in seeds for pattern in patterns])
    return len(every), len(every) - len(np.unique(every))
