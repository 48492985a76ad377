"""Parses rates, schedules and strategies, such as `linear(0.3, 0.15)`. Nothing is executed as Python."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hf_dynmask import strategies
from hf_dynmask.core.checks import checked_fraction
from hf_dynmask.rates import distributions
from hf_dynmask.rates import schedules as rates

Functions = Mapping[str, Callable[..., Any]]

RATES: Functions = {
    f"{name}_rate": getattr(distributions, f"{name}_rate") for name in ("uniform", "truncated_normal", "cosine")
}
SCHEDULES: Functions = {
    "constant": rates.constant_schedule,
    "linear": rates.linear_schedule,
    "cosine": rates.cosine_schedule,
    "polynomial": rates.polynomial_schedule,
    "step": rates.step_schedule,
    "phase": rates.phase_schedule,
    "cyclic": rates.cyclic_schedule,
    "with_warmup": rates.with_warmup,
}
STRATEGIES: Functions = {
    name: make for name, make in strategies.STRATEGIES.items() if name not in ("entity", "adaptive")
}
LENGTHS: Functions = {
    f"{name}_lengths": getattr(strategies, f"{name}_lengths") for name in ("fixed", "geometric", "poisson")
}


def rate_from(text: str) -> rates.FixedRate:
    """Parses `--rate`: a number or a distribution. Raises a `ValueError` for anything else."""
    numbers = "with arguments in parentheses, such as `uniform_rate(0.1, 1.0)` (schedules: `--schedule`)"
    rule = f"a number such as 0.15, or {_either(RATES)} {numbers}"
    rate = _value(text, RATES, "--rate", rule)
    if isinstance(rate, distributions.RateDistribution):
        return rate
    return checked_fraction(rate, "--rate", "Pass 0.15 for 15 %.")


def schedule_from(text: str, argument: str = "schedule") -> rates.Schedule:
    """Parses a schedule, by its name in [`SCHEDULES`] or the name of its function.

    Raises:
        ValueError: if the text is not a schedule.

    >>> schedule_from("linear(0.30, 0.10)")(0.5)
    0.2
    """
    named = {**SCHEDULES, **{f"{name}_schedule": make for name, make in SCHEDULES.items()}}
    rule = f"{_either(SCHEDULES)} with arguments in parentheses, such as `linear(0.3, 0.15)`"
    schedule = _value(text, named, argument, rule)
    if callable(schedule):
        return schedule
    return rates.as_schedule(checked_fraction(schedule, argument, "Pass 0.15 for 15 %, or `linear(0.3, 0.15)`."))


def strategy_from(text: str) -> strategies.Strategy:
    """Parses `--strategy`: the name of a strategy, or a call.

    Raises:
        ValueError: if the text is neither.

    >>> strategy_from("span(poisson_lengths(3))")
    <Strategy span>
    """
    if _head(text) in ("entity", "adaptive", "weighted"):
        raise ValueError(
            f"`--strategy` must be a strategy that needs only text, but got {text!r}, which needs tags, a "
            "model or weights. Use this strategy from Python."
        )
    rule = f"{_either(STRATEGIES)}, or one with arguments, such as `span(fixed_lengths(3))`"
    return strategies.resolve_strategy(_value(text, {**STRATEGIES, **LENGTHS}, "--strategy", rule), "--strategy")


def _value(text: str, functions: Functions, argument: str, rule: str) -> Any:
    try:
        node = _parsed(text)
        if isinstance(node, ast.Name):
            return _called(node.id, [], {}, functions)
        return _evaluated(node, functions)
    except SyntaxError as error:
        why = error.msg + _meant(_head(text), functions)
    except (TypeError, LookupError) as error:
        why = str(error)
    except (RecursionError, MemoryError):
        why = "it is nested too deeply"
    raise ValueError(f"`{argument}` must be {rule}, but got {text!r}: {why}{'' if why.endswith('?') else '.'}")


def _parsed(text: str) -> ast.expr:
    if "\0" in text:  # a ValueError in Python 3.10 and 3.11
        raise SyntaxError("a null byte")
    return ast.parse(text.strip(), mode="eval").body


def _evaluated(node: ast.expr, functions: Functions) -> Any:
    """Evaluates calls of these functions, lists and literals; refuses everything else."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if all(one.arg for one in keywords):
            named = {str(one.arg): _evaluated(one.value, functions) for one in keywords}
            return _called(name, [_evaluated(each, functions) for each in args], named, functions)
        case ast.Name(id=name) if name in functions:
            return _called(name, [], {}, functions)
        case ast.Name(id=name):
            raise LookupError(f"a word in parentheses needs quotes, {name!r}")
        case ast.List(elts=each) | ast.Tuple(elts=each):
            return [_evaluated(one, functions) for one in each]
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    raise SyntaxError("it is more than names, numbers, lists and words in quotes")


def _called(name: str, args: list[Any], named: dict[str, Any], functions: Functions) -> Any:
    if name not in functions:
        raise LookupError(f"there is no {name!r}{_meant(name, functions)}")
    form = inspect.signature(functions[name])
    try:
        form.bind(*args, **named)
    except TypeError as error:
        raise TypeError(f"`{name}({', '.join(form.parameters)})`, {error}") from error
    return functions[name](*args, **named)


def _head(text: str) -> str:
    return text.partition("(")[0].strip()


def _meant(name: str, functions: Functions) -> str:
    near = [] if name in functions else difflib.get_close_matches(name, functions, n=1)
    return f". Did you mean {near[0]!r}?" if near else ""


def _either(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"
