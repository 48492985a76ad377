"""Evaluates a number or a call in text, such as `linear(0.3, 0.15)`. Nothing is executed as Python."""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

Functions = Mapping[str, Callable[..., Any]]

# arguments that may come in percent
_RATES = ("rate", "rates", "start", "end", "low", "high", "mean", "std", "schedule", "phases")
_DECIMAL_COMMA = re.compile(r"(-?\d+),(\d+)")


def evaluate(text: str, functions: Functions, argument: str, rule: str, inner: Functions | None = None) -> Any:
    """The value of a number, of a call of one of these functions, or of its name, which calls it without arguments.

    Args:
        text: the number, the call or the name.
        functions: those that may be called, also within a call.
        argument: the name of the argument in error messages.
        rule: the values that it accepts, in error messages.
        inner: functions that may be called only within a call.

    Raises:
        ValueError: if the text is something else, or the function refuses its arguments.

    >>> evaluate("pow(2, exp=pow(3, 1))", {"pow": pow}, "--size", "a power")
    8
    """
    try:
        return _evaluated(_parsed(text), functions, {**functions, **(inner or {})})
    except SyntaxError as error:
        why = _misspelled(text, functions) or str(error.msg)
    except (ValueError, TypeError, LookupError) as error:
        why = str(error)
    except (RecursionError, MemoryError):
        why = "it is nested too deeply"
    if why.endswith("?"):  # a suggestion says more than the rule
        raise ValueError(f"`{argument}` does not accept {text!r}: {why}")
    raise ValueError(f"`{argument}` must be {rule}, but got {text!r}: {why.rstrip('.')}.")


def called_name(text: str) -> str:
    """The name before the parentheses, or all of the text if there are none."""
    return text.partition("(")[0].strip()


def _parsed(text: str) -> ast.expr:
    if "\0" in text:  # a ValueError in Python 3.10 and 3.11
        raise SyntaxError("a null byte")
    if comma := _DECIMAL_COMMA.fullmatch(text.strip()):
        raise ValueError(f"numbers have a decimal point. Did you mean {comma[1]}.{comma[2]}?")
    node = ast.parse(text.strip(), mode="eval").body
    return ast.Call(node, [], []) if isinstance(node, ast.Name) else node


def _evaluated(node: ast.expr, functions: Functions, inner: Functions) -> Any:
    """Evaluates calls of these functions, lists, mappings and literals; refuses everything else."""

    def within(node: ast.expr) -> Any:
        return _evaluated(node, inner, inner)

    match node:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if all(one.arg for one in keywords):
            named = {str(one.arg): within(one.value) for one in keywords}
            return _called(name, [within(each) for each in args], named, functions)
        case ast.Name(id=name) if name in functions:
            return _called(name, [], {}, functions)
        case ast.Name(id=name):
            raise LookupError(f"a word in parentheses needs quotes, {name!r}")
        case ast.List(elts=each):
            return [within(one) for one in each]
        case ast.Tuple(elts=each):
            return tuple(within(one) for one in each)
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {within(key): within(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    raise SyntaxError("it is more than names, numbers, lists, mappings and words in quotes")


def _called(name: str, args: list[Any], named: dict[str, Any], functions: Functions) -> Any:
    if name not in functions:
        raise LookupError(_unknown(name, functions))
    form = inspect.signature(functions[name])
    try:
        values = form.bind(*args, **named).arguments
    except TypeError as error:
        raise TypeError(f"`{name}({', '.join(form.parameters)})`, {error}") from error
    try:
        return functions[name](*args, **named)
    except ValueError as error:
        fractions = {key: _as_fraction(value) if key in _RATES else value for key, value in values.items()}
        if "between 0 and 1" not in str(error) or fractions == values or not _succeeds(functions[name], fractions):
            raise
        shown = [f"{key}={value!r}" if key in named else repr(value) for key, value in fractions.items()]
        meant = f"{name}({', '.join(shown)})"
        raise ValueError(f"rates are fractions, such as 0.15 for 15 %. Did you mean `{meant}`?") from error


def _as_fraction(value: Any) -> Any:
    """A number of percent, each of a list, or the rate of each pair of a rate and a length, as a fraction."""
    match value:
        case [rate, *length] if isinstance(value, tuple):
            return (_as_fraction(rate), *length)
        case [*each]:
            return [_as_fraction(one) for one in each]
        case int() | float() if 1 <= value <= 100:
            return value / 100
    return value


def _succeeds(function: Callable[..., Any], arguments: Mapping[str, Any]) -> bool:
    try:
        function(**arguments)
    except (ValueError, TypeError):
        return False
    return True


def _misspelled(text: str, functions: Functions) -> str | None:
    """Why text that is not an expression is refused, if it is a number in percent or a name such as whole-word."""
    if re.search(r"\d\s*%", text):
        return "rates are fractions, such as 0.15 for 15 %"
    name = called_name(text)
    is_other_name = name not in functions and re.fullmatch(r"[A-Za-z_][\w-]*", name)
    return _unknown(name, functions) if is_other_name else None


def _unknown(name: str, functions: Functions) -> str:
    near = difflib.get_close_matches(name, functions, n=1)
    if near:
        return f"there is no {name!r}. Did you mean {near[0]!r}?"
    distinct: dict[Callable[..., Any], str] = {}
    for known, function in functions.items():
        distinct.setdefault(function, known)  # the first of two names
    *others, last = distinct.values()
    return f"there is no {name!r}, only {', '.join(others)} and {last}"
