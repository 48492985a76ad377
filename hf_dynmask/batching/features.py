"""Reads the columns of a batch: a list of examples, a mapping of columns, or an Arrow table."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence, Set, Sized
from typing import Any


def feature_columns(features: Any) -> dict[str, list[Any]]:
    """The columns, each as a list with one value per example.

    Args:
        features: a list of examples, which are mappings with `input_ids` or sequences of token ids; a mapping of
            columns; or a `pyarrow.Table` or `RecordBatch`.

    Raises:
        ValueError: if there is no example, there are no `input_ids`, or examples have different columns.
        TypeError: if an example is neither a mapping nor a sequence of ids.
    """
    if type(features) is list and features:
        return _columns_of_examples(features)
    return _columns_of_batch(features)


def column_names(features: Any) -> Set[str] | Sequence[str] | Mapping[str, Any]:
    """The names of the columns of a batch; of a list of examples, those of the first one."""
    if type(features) is list:
        return features[0] if type(features[0]) is dict or isinstance(features[0], Mapping) else ()
    if _is_table(features):
        return features.schema.names
    return features if isinstance(features, Mapping) else column_names(list(features))


def length_or_none(values: Any) -> int | None:
    """The length; None for a number, a text or an array without dimensions."""
    if isinstance(values, str | bytes) or not isinstance(values, Sized) or getattr(values, "ndim", 1) == 0:
        return None
    return len(values)


def _columns_of_examples(examples: Sequence[Any]) -> dict[str, list[Any]]:
    if type(examples[0]) is not dict and not isinstance(examples[0], Mapping):
        return {"input_ids": [_checked_ids(example, number) for number, example in enumerate(examples)]}
    _check_has_ids(examples[0])
    columns = {name: _column(examples, name) for name in examples[0]}
    if max(map(len, examples)) > len(columns):
        _refuse_more_columns(examples, columns)
    return columns


def _columns_of_batch(features: Any) -> dict[str, list[Any]]:
    """The columns of a batch that is not a list."""
    if _is_table(features) and features.num_rows:
        from hf_dynmask.batching.arrow import table_rows  # here, as it imports pyarrow, which few need

        _check_has_ids(features.schema.names)
        return table_rows(features)
    if isinstance(features, Mapping) and ("input_ids" not in features or _has_rows(features)):
        _check_has_ids(features)
        columns = {name: _checked_column(name, values) for name, values in features.items()}
        _check_lengths(columns)
        return columns
    if isinstance(features, Mapping | Set) or not length_or_none(features):
        found = "an empty batch" if _is_empty(features) else f"one {type(features).__name__}"
        raise ValueError(
            f"`features` must be a list of at least one example, a mapping of columns or a `pyarrow.Table`, but got "
            f"{found}. Pass a list, such as `[dataset[0], dataset[1]]`, or columns, such as `dataset[:2]`."
        )
    return _columns_of_examples(features)


def _check_has_ids(names: Collection[str]) -> None:
    if "input_ids" not in names:
        raise ValueError(
            f"`features` must have `input_ids`, but have {sorted(map(str, names))}. Tokenize the text first; with "
            "`Trainer`, `remove_unused_columns` drops columns that the model's `forward` does not take."
        )


def _is_empty(features: Any) -> bool:
    ids = features.get("input_ids") if isinstance(features, Mapping) else features
    return length_or_none(ids) == 0


def _is_table(value: object) -> bool:
    pa = sys.modules.get("pyarrow")
    return pa is not None and isinstance(value, pa.Table | pa.RecordBatch)


def _has_rows(columns: Mapping[str, Any]) -> bool:
    """Whether `input_ids` holds several examples rather than one."""
    ids = columns["input_ids"]
    return bool(length_or_none(ids)) and length_or_none(ids[0]) is not None


def _checked_column(name: str, values: Any) -> list[Any]:
    if length_or_none(values) is None:
        raise ValueError(
            f"`features` must have one value per example in each column, but `{name}` is a {type(values).__name__}. "
            "Pass a list of values, or leave the column out."
        )
    return list(values)


def _check_lengths(columns: Mapping[str, list[Any]]) -> None:
    rows = len(columns["input_ids"])
    for name, values in columns.items():
        if len(values) != rows:
            raise ValueError(
                f"`features` must have columns of one length, but `input_ids` has {rows} rows and `{name}` has "
                f"{len(values)}. Pass one value per example in each column."
            )


def _refuse_more_columns(examples: Sequence[Any], columns: Mapping[str, Any]) -> None:
    number = next(number for number, example in enumerate(examples) if len(example) > len(columns))
    more = max(map(str, examples[number].keys() - columns.keys()))
    raise ValueError(
        f"`features` must all have the same columns, but example {number} has `{more}`, which example 0 lacks. Add it "
        "to all or remove it from all."
    )


def _checked_ids(example: Any, number: int) -> Any:
    if isinstance(example, Mapping) or length_or_none(example) is None:
        raise TypeError(
            f"`features` must be mappings with `input_ids`, or sequences of token ids, all of one kind, but example "
            f"{number} is a {type(example).__name__}. Pass the output of the tokenizer."
        )
    return example


def _column(examples: Sequence[Any], name: str) -> list[Any]:
    try:
        if set(map(type, examples)) == {dict}:
            return [example[name] for example in examples]
        return [_value(example, name) for example in examples]
    except KeyError:
        lacking = (number for number, each in enumerate(examples) if not isinstance(each, Mapping) or name not in each)
        raise ValueError(
            f"`features` must all have the same columns, but example {next(lacking)} has no `{name}`, which example 0 "
            "has. Add it to all or remove it from all."
        ) from None


def _value(example: Any, name: str) -> Any:
    if not isinstance(example, Mapping):
        raise KeyError(name)
    return example[name]
