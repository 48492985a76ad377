"""JSON as this harness writes it: finite numbers, shallow, of a known shape. All else is a `ValueError`."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.ner.data.display import shorten

MAX_DEPTH = 20  # what is shallow never meets Python's limit of recursion later on, in whatever walks or pickles it
TOO_DEEP = f"lists and objects must be nested at most {MAX_DEPTH} deep and are deeper"
MAX_COUNT = 10**6  # entities of a sentence, sentences of a document: sums stay far below what integers of numpy hold
MAX_MEASUREMENT = 10**15  # of what was measured: 200 days of nanoseconds, a petabyte; sums and squares stay finite

LEAVES: dict[str, Callable[[Any], bool]] = {
    "a text": lambda value: type(value) is str,
    "a text or null": lambda value: value is None or type(value) is str,
    "a whole number": lambda value: type(value) is int,
    "a number": lambda value: type(value) in (int, float) and abs(value) <= sys.float_info.max,
    "a number from 0 to 10^15": lambda value: type(value) in (int, float) and 0 <= value <= MAX_MEASUREMENT,
    "a whole number from 1 to 10^15": lambda value: type(value) is int and 0 < value <= MAX_MEASUREMENT,
    "a list of counts": lambda value: (
        isinstance(value, list) and all(type(entry) is int and 0 <= entry <= MAX_COUNT for entry in value)
    ),
    "a number from 0 to 1": lambda value: type(value) in (int, float) and 0 <= value <= 1,
}


def loads(text: str) -> Any:
    """The value of a JSON text; `ValueError` for NaN, an infinite number, or nesting deeper than `MAX_DEPTH`."""
    try:
        value = json.loads(text, parse_constant=_reject_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if _is_deeper(value, MAX_DEPTH):
        raise ValueError(TOO_DEEP)
    return value


def schema_errors(value: Any, shape: Mapping[str, Any] | str, key_path: str = "") -> Iterator[str]:
    """What in `value` is not of `shape`: a leaf by its name in `LEAVES`, or an object by its keys, others being free.

    A key that ends in "?" may be null, but must be there.
    """
    if isinstance(shape, str):
        if not LEAVES[shape](value):
            yield f"{key_path} must be {shape} and is {shorten(value)}"
    elif not isinstance(value, dict):
        yield f"{key_path} must be an object and is {shorten(value)}"
    else:
        for name, inner in shape.items():
            key = name.removesuffix("?")
            inner_path = f"{key_path}.{key}".lstrip(".")
            if key not in value:
                yield f"{inner_path} is missing"
            elif value[key] is not None or key == name:
                yield from schema_errors(value[key], inner, inner_path)


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inner) and (levels == 0 or any(_is_deeper(entry, levels - 1) for entry in inner))
