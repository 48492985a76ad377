"""Checks the entries of a YAML file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from benchmarks.ner.training.seeds import SEEDS

Parsed = TypeVar("Parsed")


def read_yaml(path: Path, parse: Callable[[Any], Parsed]) -> Parsed:
    """Returns what `parse` makes of a file; errors are `ValueError`s that begin with its path."""
    try:
        return parse(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(
            f"{path}: a grid or a study must be a readable file, but got {error.strerror}. Check the path."
        ) from error
    except yaml.YAMLError as error:
        raise ValueError(
            f"{path}: a grid or a study must be YAML, but got {' '.join(str(error).split())}. Correct it."
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def mapping(name: str, value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        reject(name, f"a mapping with keys among {', '.join(keys)}", value, "See benchmarks/ner/config/grids for one.")
    if unknown := [key for key in value if key not in keys]:
        reject(name, f"a mapping with keys among {', '.join(keys)}", unknown[0], "Remove or rename that key.")
    return value


def list_of(name: str, value: Any, fits: Callable[[Any], bool], rule: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        reject(name, "a list with at least one entry", value, "Put the entries into [ ].")
    for entry in value:
        if not fits(entry):
            reject(name, f"a list with entries that are {rule}", entry, "Change that entry.")
    return [entry for index, entry in enumerate(value) if entry not in value[:index]]


def reject(name: str, rule: str, got: Any, remedy: str) -> NoReturn:
    raise ValueError(f"`{name}` must be {rule}, but got {got!r}. {remedy}")


def is_string(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def is_string_or_mapping(value: Any) -> bool:
    return is_string(value) or isinstance(value, dict)


def is_list(value: Any) -> bool:
    return isinstance(value, list)


def is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def is_seed(value: Any) -> bool:
    return type(value) is int and value in SEEDS


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < float("inf")
