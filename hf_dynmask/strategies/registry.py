"""Strategies by name, and the conversion of other arguments to a strategy."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from hf_dynmask.strategies.strategy import Strategy
from hf_dynmask.strategies.units import Partition

Unit = str | Strategy | Partition

# The folder's `__init__` fills these, as factories take units, which are strategies by name as well.
STRATEGIES: dict[str, Callable[[], Strategy]] = {}  # the factories for which a name is enough
FACTORIES: dict[str, Callable[..., Strategy]] = {}  # these, and those with a required argument


def unit_strategy(unit: Unit) -> Strategy:
    """The strategy whose units another strategy masks.

    Raises:
        ValueError: if it also sets probabilities, which the other strategy would replace.
    """
    strategy = resolve_strategy(unit, "unit")
    for name in ("weights", "probs", "draws"):
        if getattr(strategy, name) is not None:
            raise ValueError(
                f"`unit` must only define where units begin, but got {strategy!r}, whose `{name}` would be ignored. "
                'Pass it as `strategy` itself, or pass another unit such as `"whole_word"`.'
            )
    return strategy


def resolve_strategy(strategy: Any, argument: str = "strategy") -> Strategy:
    """Converts a name, a [`Strategy`] or a partition function to a [`Strategy`].

    Args:
        strategy: one of the three.
        argument: the name of the argument in error messages.

    Raises:
        ValueError: if `strategy` is none of the three. The message suggests the most similar name.

    >>> resolve_strategy("whole_word")
    <Strategy whole_word>
    """
    if isinstance(strategy, Strategy):
        return strategy
    if isinstance(strategy, str) and strategy in STRATEGIES:
        return STRATEGIES[strategy]()
    if isinstance(strategy, type):
        raise ValueError(
            f"`{argument}` must be a strategy or a function, but got the class `{strategy.__name__}`. Pass an instance."
        )
    if any(strategy is factory for factory in FACTORIES.values()):
        raise ValueError(
            f"`{argument}` must be a strategy, but got the function `strategies.{strategy.__name__}`, which makes one. "
            f"Call it: `strategies.{strategy.__name__}(...)`."
        )
    if callable(strategy):
        return Strategy(getattr(strategy, "__name__", type(strategy).__name__), strategy)
    raise ValueError(
        f"`{argument}` must be one of {', '.join(map(repr, STRATEGIES))}, a strategy made with arguments such "
        f"as `strategies.span(...)`, or a function, but got {strategy!r}. Did you mean {_suggestion(strategy)}?"
    )


def _suggestion(strategy: Any) -> str:
    name = str(strategy).split("(")[0]
    if name in FACTORIES:
        return f"`strategies.{name}(...)`"
    return repr(difflib.get_close_matches(name, STRATEGIES, n=1, cutoff=0.0)[0])
