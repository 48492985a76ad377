"""Parameters of which some always run, and the rest with `--all`: every value is in one that always runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import pytest


def pairs(first: Iterable[Any], second: Iterable[Any]) -> list[Any]:
    """Every pair of two lists; always run are as many as the longer one has values, in which each value occurs."""
    one, two = list(first), list(second)
    length = max(len(one), len(two))
    always = {(one[i % len(one)], two[i % len(two)]) for i in range(length)}
    return [_parameter(pair, pair in always) for pair in product(one, two)]


def every(step: int, values: Sequence[Any]) -> list[Any]:
    """The values, of which each `step`-th always runs."""
    return [_parameter(_as_tuple(value), number % step == 0) for number, value in enumerate(values)]


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if type(value) is tuple else (value,)


def _parameter(values: tuple[Any, ...], always: bool) -> Any:
    return pytest.param(*values, marks=() if always else pytest.mark.extended)
