"""Seeds that are derived from the seed of a run, so that what they determine is independent."""

import hashlib

SEEDS = range(2**32)
SEED_RULE = "integers from 0 to 2^32 - 1"


def derived_seed(seed: int, purpose: str, number: int) -> int:
    """Returns a seed in [0, 2^32), the same on every platform."""
    digest = hashlib.sha256(f"{seed} {purpose} {number}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


def fine_tuning_seeds(seed: int, count: int) -> list[int]:
    """Returns the seed of each of `count` fine-tunings of a run."""
    return [derived_seed(seed, "fine-tuning", number) for number in range(count)]
