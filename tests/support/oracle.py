"""The masks once more, by Python integers and loops, written from the documentation: an independent oracle."""

from __future__ import annotations

WORD = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix64(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
    return x ^ (x >> 31)


def mix32(x: int) -> int:
    x ^= x >> 16
    x = (x * 0x21F0AAAD) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0xD35A2D97) & 0xFFFFFFFF
    return x ^ (x >> 15)


def key(seed: int, input_ids: list[int], pattern: int) -> int:
    multipliers = [mix64((i + 1) * GOLDEN & WORD) | 1 for i in range(len(input_ids))]
    example = sum((id_ + 1) * multiplier for id_, multiplier in zip(input_ids, multipliers, strict=True)) & WORD
    seeded = mix64((seed + GOLDEN) & WORD)
    return mix64((mix64(example ^ seeded) + mix64((pattern + GOLDEN) & WORD)) & WORD)


def draw(stream: int, position: int, purpose: int) -> int:
    stream = mix64((stream + purpose * GOLDEN) & WORD)
    state = mix32((position * 0x9E3779B9 + stream) & 0xFFFFFFFF)
    return mix32(state ^ (stream >> 32))


def token_mask(
    input_ids: list[int],
    maskable: list[bool],
    rate: float,
    *,
    seed: int,
    pattern: int,
    min_masked: int,
    exact_count: bool,
) -> list[bool]:
    """Which tokens of one sequence are masked by the `token` strategy."""
    stream = key(seed, input_ids, pattern)
    numbers = [draw(stream, position, 0) for position in range(len(input_ids))]
    ranked = sorted((i for i, allowed in enumerate(maskable) if allowed), key=numbers.__getitem__)
    if exact_count:
        rounding, begin = draw(stream, 0, 3) / 2**32, draw(stream, 0, 6) / 2**32 * len(ranked)
        points = {i: (place + rounding - begin) % len(ranked) for place, i in enumerate(ranked)}
        ranked.sort(key=points.__getitem__)
        count = sum(point < rate * len(ranked) for point in points.values())
    else:
        count = sum(numbers[i] < round(rate * 2**32) for i in ranked)
    chosen = set(ranked[: max(count, min_masked)])
    return [i in chosen for i in range(len(input_ids))]


def replaced(input_ids: list[int], *, seed: int, pattern: int, mask_id: int, ordinary: list[int]) -> list[int]:
    """What each token of a sequence becomes where it is masked, with BERT's 80/10/10."""
    stream = key(seed, input_ids, pattern)
    out = []
    for position, id_ in enumerate(input_ids):
        kind = draw(stream, position, 1)
        random = ordinary[draw(stream, position, 2) * len(ordinary) >> 32]
        out.append(mask_id if kind < round(0.8 * 2**32) else random if kind < round(0.9 * 2**32) else id_)
    return out


def run_starts(stream: int, maskable: list[bool], lengths: list[float]) -> list[bool]:
    """Where runs of units begin, by walking from run to run; `lengths` are the odds of 1, 2, 3, ..."""
    mean = sum(n * odds for n, odds in enumerate(lengths, 1))
    rest = [sum(lengths[n:]) / mean for n in range(len(lengths))]
    begins, place, runs = [False] * len(maskable), 0, 0
    while place < len(maskable):
        begins[place] = True
        place += _length(rest if runs == 0 else lengths, draw(stream, runs, 4) / 2**32)
        runs += 1
    return [here or not maskable[i] or (i > 0 and not maskable[i - 1]) or i == 0 for i, here in enumerate(begins)]


def _length(odds: list[float], number: float) -> int:
    below = 0.0
    for n, chance in enumerate(odds, 1):
        below += chance
        if number < below:
            return n
    return len(odds)


def weighted_odds(weights: list[float], sizes: list[int], rate: float) -> list[float]:
    """min(1, c * weight), where the expected tokens are `rate` of all: `c` is found by bisection."""
    low, high = 0.0, 1.0 / min(weights)
    for _ in range(200):
        c = (low + high) / 2
        expected = sum(size * min(1.0, c * weight) for size, weight in zip(sizes, weights, strict=True))
        low, high = (c, high) if expected < rate * sum(sizes) else (low, c)
    return [min(1.0, low * weight) for weight in weights]
