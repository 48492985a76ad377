"""Errors with a remedy for wrong arguments of a collator: too many by position, or an unknown name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

Collator = TypeVar("Collator")


def explain_arguments(collator: type[Collator]) -> type[Collator]:
    """Decorates a dataclass whose fields are keyword-only from the third one on: its errors then contain a remedy.

    A subclass may have another constructor. The arguments that it passes on are checked here.
    """
    construct = collator.__init__
    names = [field.name for field in fields(collator) if field.init]  # type: ignore[arg-type]
    by_position = [field.name for field in fields(collator) if field.init and not field.kw_only]  # type: ignore[arg-type]

    @wraps(construct)
    def explained(self: Any, *arguments: Any, **named: Any) -> None:
        if len(arguments) > len(by_position):
            raise TypeError(_too_many(collator.__name__, by_position, names, len(arguments)))
        for name in named:
            if name not in names:
                raise TypeError(_unknown(collator.__name__, name, by_position[1], names))
        construct(self, *arguments, **named)

    collator.__init__ = explained  # type: ignore[method-assign]
    return collator


def _too_many(collator: str, by_position: Sequence[str], names: Sequence[str], given: int) -> str:
    stock = " In transformers, the second and third arguments are `mlm` and `whole_word_mask`: pass `mlm=True`."
    return (
        f"{collator} takes {' and '.join(f'`{name}`' for name in by_position)} by position, but got {given}. "
        f"Pass the others by name, such as `seed=0`.{stock if 'mlm' in names else ''}"
    )


def _unknown(collator: str, name: str, rate: str, names: Sequence[str]) -> str:
    nearest = [f"Did you mean `{near}`? " for near in difflib.get_close_matches(name, names, n=1, cutoff=0.68)]
    return (
        f"{collator} takes no argument `{name}`. {''.join(nearest)}The mask rate is `{rate}`; `help({collator})` lists "
        "all arguments."
    )
