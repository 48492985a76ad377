"""Sequences of any lengths as one flat array and their lengths.

Everything works on the flat array, so that padding is never masked and costs nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence, Set, Sized
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from hf_dynmask.batching.columns import PER_TOKEN, are_classes, check_lengths, refuse_unnamed
from hf_dynmask.core.rows import begins_of, counted, places_in_rows

IGNORE_INDEX = -100  # cross entropy's `ignore_index`: a label that carries no loss
_LARGEST = np.iinfo(np.int64).max


class RaggedBatch(NamedTuple):
    """The columns of a batch of examples.

    Attributes:
        lengths: int64 `[sequences]`.
        per_token: for each column with a value a token, its values one sequence after the other, `[tokens, ...]`.
        per_sequence: for every other column, its values stacked, `[sequences, ...]`.
    """

    lengths: np.ndarray
    per_token: dict[str, np.ndarray]
    per_sequence: dict[str, np.ndarray]


@dataclass(eq=False)
class RaggedTokens:
    """Token ids without padding. Not to be changed; a frozen dataclass would take several times as long to make.

    Attributes:
        input_ids: int64 `[tokens]`, one sequence after the other.
        lengths: int64 `[sequences]`.
    """

    input_ids: np.ndarray
    lengths: np.ndarray

    @cached_property
    def ends(self) -> np.ndarray:
        """int64 `[sequences]`: where each sequence ends."""
        return self.lengths.cumsum()

    @cached_property
    def begins(self) -> np.ndarray:
        """int64: where each sequence that has a token begins."""
        return begins_of(self.lengths)

    @cached_property
    def positions(self) -> np.ndarray:
        """int64 `[tokens]`: each token's place in its own sequence."""
        return places_in_rows(self.lengths)

    @cached_property
    def rows(self) -> np.ndarray:
        """int64 `[tokens]`: the sequence that each token is in."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def ragged_batch(examples: Sequence[Any], per_token_columns: Collection[str] = ()) -> RaggedBatch:
    """The columns of examples, which are mappings with `input_ids` or bare sequences of token ids.

    Args:
        examples: the mappings or sequences.
        per_token_columns: the columns with a value for each token, besides those that are known to have one.

    Returns:
        The columns, without `labels` that are one number for each example, its class: what masking predicts takes its
        place.

    Raises:
        ValueError: if there is no example, an example has no `input_ids` or lacks a column that the first one has, a
            column has not one value for each token where it must, or its values cannot be put into one array.
        TypeError: if an example is neither a mapping nor a sequence of ids.
    """
    columns = _columns(examples)
    if "labels" not in per_token_columns and are_classes(columns.get("labels", ())):
        columns.pop("labels", None)
    lengths = _lengths(columns["input_ids"])
    counts = lengths.tolist()
    per_token, per_sequence = {}, {}
    for name, rows in columns.items():
        if name in PER_TOKEN or name in per_token_columns:
            check_lengths(name, _lengths_or_none(rows), rows, counts)
            join = _concatenate_mask if name == "attention_mask" else _concatenate
            per_token[name] = _array(name, rows, join)
        else:
            per_sequence[name] = _stacked(name, rows, counts)
    return RaggedBatch(lengths, per_token, per_sequence)


def tokens_of(batch: RaggedBatch, attended: np.ndarray | None) -> RaggedTokens:
    """The batch's tokens without those that are not attended to (bool `[tokens]`; None: all are)."""
    input_ids = batch.per_token["input_ids"]
    if attended is None:
        return RaggedTokens(input_ids, batch.lengths)
    return RaggedTokens(input_ids[attended], counted(np.flatnonzero(attended), np.cumsum(batch.lengths)))


def of_attended(values: np.ndarray, attended: np.ndarray | None) -> np.ndarray:
    """The values `[tokens, ...]` of the tokens that are attended to."""
    return values if attended is None else values[attended]


def with_column(batch: RaggedBatch, name: str, values: np.ndarray) -> RaggedBatch:
    """The batch with a column `[tokens, ...]`, in the place of one of this name if there is one."""
    return RaggedBatch(batch.lengths, {**batch.per_token, name: values}, batch.per_sequence)


def without(batch: RaggedBatch, names: Collection[str]) -> RaggedBatch:
    """The batch without these columns."""
    return RaggedBatch(batch.lengths, _others(batch.per_token, names), _others(batch.per_sequence, names))


def only_attended(batch: RaggedBatch, attended: np.ndarray | None) -> RaggedBatch:
    """The batch without the tokens that are not attended to (bool `[tokens]`; None: all are)."""
    if attended is None:
        return batch
    per_token = {name: values[attended] for name, values in batch.per_token.items()}
    return RaggedBatch(tokens_of(batch, attended).lengths, per_token, batch.per_sequence)


def starts_of(batch: RaggedBatch) -> np.ndarray:
    """int64: where each sequence that has a token starts."""
    return begins_of(batch.lengths)


def _others(columns: Mapping[str, np.ndarray], known: Collection[str]) -> dict[str, np.ndarray]:
    return {name: values for name, values in columns.items() if name not in known}


def _columns(examples: Sequence[Any]) -> dict[str, list[Any]]:
    if isinstance(examples, Mapping | Set) or not _length(examples):
        came = "an empty batch" if _length(examples) == 0 else f"one {type(examples).__name__}"
        raise ValueError(f"`examples` must be a list of at least one example, but got {came}.")
    if not isinstance(examples[0], Mapping):
        return {"input_ids": [_bare(example, number) for number, example in enumerate(examples)]}
    if "input_ids" not in examples[0]:
        raise ValueError(
            f"`examples` must have `input_ids`, but example 0 has {sorted(map(str, examples[0]))}. Tokenize the text "
            "first; with `Trainer`, `remove_unused_columns` drops columns that the model's `forward` does not take."
        )
    columns = {name: _column(examples, name) for name in examples[0]}
    if max(map(len, examples)) > len(columns):
        _refuse_more_columns(examples, columns)
    return columns


def _refuse_more_columns(examples: Sequence[Any], columns: Mapping[str, Any]) -> None:
    number = next(number for number, example in enumerate(examples) if len(example) > len(columns))
    more = max(map(str, examples[number].keys() - columns.keys()))
    raise ValueError(
        f"`examples` must all have the same columns, but example {number} has `{more}`, which example 0 lacks. Add it "
        "to all or remove it from all."
    )


def _bare(example: Any, number: int) -> Any:
    if isinstance(example, Mapping) or _length(example) is None:
        raise TypeError(
            f"`examples` must be mappings with `input_ids`, or sequences of token ids, all alike, but example {number} "
            f"is a {type(example).__name__}. Pass what the tokenizer returns."
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
            f"`examples` must all have the same columns, but example {next(lacking)} has no `{name}`, which example 0 "
            "has. Add it to all or remove it from all."
        ) from None


def _value(example: Any, name: str) -> Any:
    if not isinstance(example, Mapping):
        raise KeyError(name)
    return example[name]


def _lengths(rows: list[Any]) -> np.ndarray:
    """int64: how many token ids each row has."""
    lengths = _lengths_or_none(rows)
    if None in lengths:
        number = lengths.index(None)
        raise ValueError(
            f"`input_ids` must be integers, one for each token, but those of example {number} are a "
            f"{type(rows[number]).__name__}. Pass the ids that the tokenizer returns."
        )
    return np.array(lengths, dtype=np.int64)


def _lengths_or_none(rows: list[Any]) -> list[int | None]:
    """The length of each row; None for what is no sequence, such as a number, a text or an array without dimensions."""
    if set(map(type, rows)) <= {list, np.ndarray}:
        try:
            return list(map(len, rows))
        except TypeError:  # an array without dimensions
            pass
    return list(map(_length, rows))


def _length(values: Any) -> int | None:
    if isinstance(values, str | bytes) or not isinstance(values, Sized) or getattr(values, "ndim", 1) == 0:
        return None
    return len(values)


def _stacked(name: str, rows: list[Any], counts: list[int]) -> np.ndarray:
    try:
        return _array(name, rows, _stack)
    except ValueError:
        if _lengths_or_none(rows) == counts and len(set(counts)) > 1:
            _array(name, rows, _concatenate)  # or its values are of no use in either way, which this says
            refuse_unnamed(name)
        raise


def _array(name: str, rows: list[Any], join: Any) -> np.ndarray:
    try:
        values = join(rows)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:  # the last by tensors that numpy cannot read
        raise ValueError(_unusable(name)) from error
    too_large = values.dtype == np.uint64 and values.max(initial=0) > _LARGEST
    if values.dtype.kind not in "iufb" or values.dtype.itemsize > 8 or too_large:
        raise ValueError(_unusable(name))
    dtype = np.dtype(np.int64) if values.dtype.kind in "iu" else values.dtype.newbyteorder("=")
    return values.astype(dtype, copy=False)


def _unusable(name: str) -> str:
    return (
        f"column `{name}` must hold numbers of at most 64 bits, one for each token or one shape for every example, to "
        f'become a tensor. Drop it, e.g. with `dataset.remove_columns("{name}")`.'
    )


def _concatenate(rows: list[Any]) -> np.ndarray:
    if not all(type(row) is list for row in rows):
        filled = [row if type(row) is np.ndarray else np.asarray(row) for row in rows if len(row)]
        return np.concatenate(filled) if filled else np.zeros(0, np.int64)
    try:  # twice as fast as `array.fromlist`, which is twice as fast as numpy; and refuses what is not an integer
        packed = bytearray().join([struct.pack(f"{len(row)}q", *row) for row in rows])
    except struct.error:
        return _as_torch_would(np.array(list(chain.from_iterable(rows))))
    return np.frombuffer(packed, dtype=np.int64)


def _concatenate_mask(rows: list[Any]) -> np.ndarray:
    """Most masks are all ones, which counting them tells ten times as fast as reading them."""
    if all(type(row) is list and row.count(1) == len(row) for row in rows):
        return np.ones(sum(map(len, rows)), dtype=np.int64)
    return _concatenate(rows)


def _stack(rows: list[Any]) -> np.ndarray:
    if hasattr(rows[0], "dtype"):
        return np.stack([np.asarray(row) for row in rows])
    return _as_torch_would(np.array(rows))


def _as_torch_would(values: np.ndarray) -> np.ndarray:
    """Python floats become single precision, infinite where they are too large for it."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32) if values.dtype == np.float64 else values
