"""Reads JSON with finite numbers, limited nesting and a known schema; other JSON raises `ValueError`."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.ner.data.display import shorten

MAX_DEPTH = 20  # low enough that code that walks or pickles a value never exceeds Python's recursion limit
TOO_DEEP = f"lists and objects must be nested at most {MAX_DEPTH} deep, but are nested deeper"
MAX_COUNT = 10**6  # entities per sentence, sentences per document: sums fit into numpy's integers
MAX_MEASUREMENT = 10**15  # 11 days of nanoseconds, a petabyte: sums and squares stay finite

LEAVES: dict[str, Callable[[Any], bool]] = {
    "a string": lambda value: type(value) is str,
    "a string or null": lambda value: value is None or type(value) is str,
    "an integer": lambda value: type(value) is int,
    "a number": lambda value: type(value) in (int, float) and abs(value) <= sys.float_info.max,
    "a number from 0 to 10^15": lambda value: type(value) in (int, float) and 0 <= value <= MAX_MEASUREMENT,
    "an integer from 1 to 10^15": lambda value: type(value) is int and 0 < value <= MAX_MEASUREMENT,
    "a list of counts": lambda value: (
        isinstance(value, list) and all(type(entry) is int and 0 <= entry <= MAX_COUNT for entry in value)
    ),
    "a number from 0 to 1": lambda value: type(value) in (int, float) and 0 <= value <= 1,
}


def loads(text: str) -> Any:
    """Parses a JSON text; raises `ValueError` for NaN, an infinite number, or nesting deeper than `MAX_DEPTH`."""
    try:
        value = json.loads(text, parse_constant=_reject_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if _is_deeper(value, MAX_DEPTH):
        raise ValueError(TOO_DEEP)
    return value


def schema_errors(value: Any, schema: Mapping[str, Any] | str, key_path: str = "") -> Iterator[str]:
    """Yields each violation of a schema: the name of a leaf in `LEAVES`, or a mapping from keys to schemas.

    Objects may have further keys.

    A key that ends in "?" is required but may be null.
    """
    if isinstance(schema, str):
        if not LEAVES[schema](value):
            yield f"{key_path} must be {schema}, but is {shorten(value)}"
    elif not isinstance(value, dict):
        yield f"{key_path} must be an object, but is {shorten(value)}"
    else:
        for name, inner in schema.items():
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
        raise ValueError(f"{text[:40]} is too large")
    return number


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inner) and (levels == 0 or any(_is_deeper(entry, levels - 1) for entry in inner))
