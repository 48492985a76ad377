"""The sample of a categorical distribution once more, by Python's integers and a loop."""

from __future__ import annotations

import numpy as np


def sampled(logits: list[float], drawn: int, temperature: float) -> int:
    """The first id whose cumulative weight exceeds the share `drawn / 2**32` of all weights."""
    numbers = np.array(logits, dtype=np.float64)
    weights = np.rint(np.exp((numbers - numbers.max()) / temperature) * 2**40)
    share, passed = drawn * int(weights.sum()) // 2**32, 0
    for id_, weight in enumerate(weights):
        passed += int(weight)
        if passed > share:
            return id_
    raise AssertionError("a draw is below 2**32, so an id's weight is reached")
