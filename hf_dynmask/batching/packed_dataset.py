"""Packs the sequences of a `datasets.Dataset` into examples of about the same length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_dynmask.batching.arrow_rows import ArrowRows
from hf_dynmask.batching.features import length_or_none
from hf_dynmask.batching.packing import best_fit_decreasing
from hf_dynmask.batching.packs import SEQ_LENGTHS
from hf_dynmask.core.checks import checked_integer
from hf_dynmask.core.rows import positions_in_rows, segment_reduce

if TYPE_CHECKING:
    import datasets

_READ_AT_ONCE = 10_000  # sequences whose lengths are counted
_WRITTEN_AT_ONCE = 256  # packs


def pack_dataset(dataset: datasets.Dataset, max_length: int, *, num_proc: int | None = None) -> datasets.Dataset:
    """Packs sequences into examples of at most `max_length` tokens, by best-fit decreasing.

    All batches then have about the same number of tokens and little padding. A collator with
    `packing=packed_attention(model)` masks each sequence of a pack as if it were an example, and no token attends to
    another sequence. Every sequence is in one pack, whole. The first packs have the longest sequences, so shuffle them,
    as `Trainer` does. The result is the same on all ranks.

    TRL's function of this name also returns `seq_lengths`. It packs 1,000 examples at a time, cuts long ones, and
    leaves `position_ids` to its collator.

    Args:
        dataset: tokenized, with `input_ids` and other columns of one value per token. It may be in memory or on disk,
            shuffled, selected or concatenated. To pack a stream, pass it to `Trainer` unpacked: the collator packs each
            batch.
        max_length: the number of tokens of a pack, at least that of the longest sequence. It does not need to be within
            the maximum length of the model, as positions start again in each sequence. With a mask, attention costs the
            square of this number for each pack, so a number near that of the longest sequence is the fastest;
            FlashAttention does not have this cost.
        num_proc: the number of processes; None for this one.

    Returns:
        A dataset of packs, on disk if `dataset` is, with the columns of `dataset`, each list as long as the pack, and:

            - **position_ids**: int32, the position of each token in its sequence, from 0.
            - **seq_lengths**: int32, the lengths of the sequences of the pack.

    Raises:
        ValueError: if `dataset` is not a `datasets.Dataset` or is empty, a sequence is longer than `max_length`, or a
            column does not have one value per token, such as a text or a class, or the dataset is packed already.

    >>> from datasets import Dataset
    >>> packs = pack_dataset(Dataset.from_dict({"input_ids": [[2, 5, 3], [2, 7, 8, 9, 3], [2, 6, 3]]}), max_length=8)
    >>> packs["input_ids"][:], packs["seq_lengths"][:]
    ([[2, 5, 3, 2, 7, 8, 9, 3], [2, 6, 3]], [[3, 5], [3]])
    """
    checked_integer(max_length, "max_length", 1, "Pass 512, for example.")
    rows = ArrowRows(dataset)
    lengths = _lengths(rows)
    _check_lengths(lengths, max_length)
    row = best_fit_decreasing(lengths, max_length)
    order, bounds = row.argsort(kind="stable"), np.append(0, np.bincount(row).cumsum())
    # one row a pack, from the same source, so that `map` keeps the packs where the dataset is: in memory or on disk
    packs = rows.dataset.select(order[bounds[:-1]])
    return packs.with_format(None).map(
        _pack,
        with_indices=True,
        batched=True,
        batch_size=_WRITTEN_AT_ONCE,
        fn_kwargs={"rows": rows, "order": order, "bounds": bounds},
        remove_columns=dataset.column_names,
        num_proc=num_proc,
        desc="Packing",
    )


def _lengths(rows: ArrowRows) -> np.ndarray:
    """The number of tokens of each row: int64."""
    if "input_ids" not in rows.column_names:
        raise ValueError(
            f"`dataset` must have `input_ids`, but has {rows.column_names}. Tokenize it first, with "
            "`dataset.map(tokenizer, ...)`."
        )
    if SEQ_LENGTHS in rows.column_names:
        _refuse_packed(f"`{SEQ_LENGTHS}`")
    ids = ArrowRows(rows.dataset.select_columns("input_ids"))
    starts = range(0, len(rows), _READ_AT_ONCE)
    reads = (ids.__getitems__(range(start, min(start + _READ_AT_ONCE, len(rows)))) for start in starts)
    lengths = [length_or_none(example["input_ids"]) for read in reads for example in read]
    if None in lengths:
        raise ValueError(
            f"`dataset` must have token ids in `input_ids`, but example {lengths.index(None)} has none. Remove it with "
            "`dataset.filter(...)`, or tokenize its text."
        )
    return np.array(lengths, dtype=np.int64)


def _check_lengths(lengths: np.ndarray, max_length: int) -> None:
    if not len(lengths):
        raise ValueError("`dataset` must have at least one example, but is empty. Check how it was loaded or filtered.")
    if lengths.max() > max_length:
        raise ValueError(
            f"`max_length` must be at least {lengths.max()}, the tokens of the longest example of `dataset`, but got "
            f"{max_length}. Pass a larger number, or tokenize with `truncation=True`."
        )


def _pack(
    examples: Any, packs: Sequence[int], rows: ArrowRows, order: np.ndarray, bounds: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """The columns of these packs. `examples` is not used.

    Args:
        packs: consecutive packs.
        rows: the sequences.
        order: int64 `[sequences]`, the sequences of all packs.
        bounds: int64 `[packs + 1]`, where each pack begins and ends in `order`.
    """
    own = bounds[packs[0] : packs[-1] + 2]
    sizes = np.diff(own)
    sequences = rows.__getitems__(order[own[0] : own[-1]].tolist())
    lengths = np.array([len(sequence["input_ids"]) for sequence in sequences])
    pack_ends = segment_reduce(np.add, lengths, sizes).cumsum()[:-1]
    columns = {name: _joined(name, [each[name] for each in sequences], lengths) for name in rows.column_names}
    positions = positions_in_rows(lengths)
    if not np.array_equal(columns.get("position_ids", positions), positions):
        _refuse_packed("`position_ids` that are not 0, 1, 2, ...")
    columns["position_ids"] = positions.astype(np.int32)
    packed = {name: np.split(values, pack_ends) for name, values in columns.items()}
    return {**packed, SEQ_LENGTHS: np.split(lengths.astype(np.int32), sizes.cumsum()[:-1])}


def _refuse_packed(found: str) -> None:
    raise ValueError(
        f"`dataset` must not be packed yet, but has {found}. Pass the dataset from before it was packed, or leave the "
        "column out if its examples are single sequences."
    )


def _joined(name: str, values: list[Any], lengths: np.ndarray) -> np.ndarray:
    """The values of sequences as one array `[tokens, ...]`."""
    if [length_or_none(value) for value in values] != lengths.tolist():
        raise ValueError(
            f"`dataset` must have one value per token in each column, but `{name}` does not. Remove it with "
            f'`dataset.remove_columns("{name}")` before packing.'
        )
    return np.concatenate(values)
