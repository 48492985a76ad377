"""Schedules and strategies as text, such as `linear(0.3, 0.15)`: read, never run as Python."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from hf_dynmask import rates, strategies

SCHEDULES: Mapping[str, Callable[..., Any]] = {
    "constant": rates.constant_schedule,
    "linear": rates.linear_schedule,
    "cosine": rates.cosine_schedule,
    "polynomial": rates.polynomial_schedule,
    "step": rates.step_schedule,
    "with_warmup": rates.with_warmup,
}
STRATEGIES: Mapping[str, Callable[..., Any]] = {
    **{name: make for name, make in strategies.STRATEGIES.items() if name not in ("entity", "adaptive")},
    **{f"{name}_lengths": getattr(strategies, f"{name}_lengths") for name in ("fixed", "geometric", "poisson")},
}


def schedule_from(text: str) -> rates.Schedule:
    """The schedule that a text names, in the words of [`SCHEDULES`] or the names of the functions.

    Raises:
        ValueError: if it names none.

    >>> schedule_from("linear(0.30, 0.10)")(0.5)
    0.2
    """
    named = {**SCHEDULES, **{f"{name}_schedule": make for name, make in SCHEDULES.items()}}
    schedule = _value(text, named, "schedule", f"such as `linear(0.3, 0.15)`; there are {', '.join(SCHEDULES)}")
    return rates.as_schedule(schedule)


def strategy_from(text: str) -> strategies.Strategy:
    """The strategy that a text names or makes.

    Raises:
        ValueError: if it does neither.

    >>> strategy_from("span(poisson_lengths(3))")
    <Strategy span>
    """
    if text in ("entity", "adaptive", "weighted"):
        raise ValueError(
            f"`strategy` must be one that needs nothing but the text here, but got {text!r}, which needs tags, a model "
            "or weights. Try it in Python."
        )
    if text in STRATEGIES:
        text += "()"
    remedy = f"such as `span`, or `span(fixed_lengths(3))`; there are {', '.join(STRATEGIES)}"
    return strategies.strategy_of(_value(text, STRATEGIES, "strategy", remedy))


def _value(text: str, functions: Mapping[str, Callable[..., Any]], argument: str, remedy: str) -> Any:
    try:
        return _evaluated(_parsed(text), functions)
    except (SyntaxError, TypeError, RecursionError, MemoryError, LookupError) as error:
        why = f" ({error})" if isinstance(error, TypeError | LookupError) and error.args else ""
        raise ValueError(f"`{argument}` must be {remedy}, but got {text!r}{why}.") from error


def _parsed(text: str) -> ast.expr:
    if "\0" in text:  # a ValueError in Python 3.10 and 3.11
        raise SyntaxError("a null byte")
    return ast.parse(text.strip(), mode="eval").body


def _evaluated(node: ast.expr, functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Calls of these functions, lists, and what is literal; anything else is no expression here."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if all(one.arg for one in keywords):
            if name not in functions:
                raise LookupError(f"there is no {name!r}")
            named = {str(one.arg): _evaluated(one.value, functions) for one in keywords}
            return functions[name](*(_evaluated(each, functions) for each in args), **named)
        case ast.List(elts=each) | ast.Tuple(elts=each):
            return [_evaluated(one, functions) for one in each]
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    raise SyntaxError("neither a call nor a literal")
