"""Deletes tokens from a padded batch, and pads its rows again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from hf_dynmask.batching.columns import PER_TOKEN
from hf_dynmask.batching.inner_batch import attention_mask_like
from hf_dynmask.core.ragged import RaggedBatch

# `labels` are not known to have a value for each token of the input: those of sequence-to-sequence models are a text
_DELETED_ALONG = PER_TOKEN - {"labels"}
_ADDED = -1  # the source of a token that is padding


class _Sources(NamedTuple):
    """Where the tokens of the new rows are in the flat array of the old ones.

    Attributes:
        tokens: int64 `[rows, new length]`; -1 for padding.
        positions: the same for `position_ids`: the remaining tokens take the first positions of their sequence.
        padding: int64 `[1]`, the index of a token of the old rows that is padding, or `[0]` if there is none.
    """

    tokens: np.ndarray
    positions: np.ndarray
    padding: np.ndarray


class Repadding(NamedTuple):
    """How rows of different lengths become a batch again.

    Attributes:
        fills: the padding value of each column in a batch that has no padding; 0 for a column that is not in it. None
            for `input_ids` if there is no pad token.
        side: the side of the padding in a batch that has none, or has it on both sides: "right" or "left".
        multiple: the length is rounded up to a multiple of this number, but not above the present one; None for the
            longest row.
    """

    fills: Mapping[str, int | None]
    side: str
    multiple: int | None


def delete_tokens(
    batch: Any, rows: RaggedBatch, deleted: np.ndarray, per_token: Collection[str], repadding: Repadding
) -> None:
    """Replaces the columns of a batch that have a value for each token by columns without the deleted tokens.

    The rows are padded to the longest remaining one, on the side where they were, and each column with its value at
    padding. The remaining tokens take the first `position_ids` of their sequence, so that these have no gaps. A batch
    without an `attention_mask` receives one if its rows need padding.

    Args:
        batch: a mapping of arrays or tensors, which changes; its columns do not.
        rows: its rows, with their padding.
        deleted: int64, the indices of the deleted tokens in the flat array of the rows, padding included.
        per_token: the names of columns with a value for each token, in addition to the known ones except for `labels`.
        repadding: how the rows are padded.

    Raises:
        ValueError: if a column is missing or does not have a value for each token, or there is no pad token.
    """
    names = [name for name in batch if name in _DELETED_ALONG or name in per_token]
    shape = tuple(batch["input_ids"].shape)
    for name in dict.fromkeys([*names, *per_token]):
        _check_column(name, batch.get(name), shape)
    attended = np.ones(len(rows.per_token["input_ids"]), dtype=bool) if rows.padding is None else ~rows.padding
    sources = _sources(attended.reshape(len(rows.lengths), shape[-1]), deleted, repadding)
    padding = sources.tokens == _ADDED
    if padding.any() and not len(sources.padding):
        _check_pad_token(repadding.fills.get("input_ids"))
    for name in names:
        source = sources.positions if name == "position_ids" else sources.tokens
        batch[name] = _taken(batch[name], shape, source, sources.padding, repadding.fills.get(name) or 0)
    if "attention_mask" not in batch and padding.any():
        batch["attention_mask"] = attention_mask_like(batch["input_ids"], padding)


def _sources(attended: np.ndarray, deleted: np.ndarray, repadding: Repadding) -> _Sources:
    kept = attended.copy()
    kept.reshape(-1)[deleted] = False
    lengths = kept.sum(1)
    length = _length(int(np.maximum.reduce(lengths, initial=0)), attended.shape[1], repadding.multiple)
    is_token = np.arange(length) < lengths[:, None]
    if _padding_side(attended, repadding.side) == "left":
        is_token = is_token[:, ::-1]
    first = attended & (attended.cumsum(1) <= lengths[:, None])
    tokens, positions = (np.full(is_token.shape, _ADDED, dtype=np.int64) for _ in range(2))
    tokens[is_token], positions[is_token] = np.flatnonzero(kept), np.flatnonzero(first)
    return _Sources(tokens, positions, np.flatnonzero(~attended)[:1])


def _length(longest: int, present: int, multiple: int | None) -> int:
    """The length of the new rows: never 0, which models do not take, unless it is 0 now."""
    multiple = multiple or 1
    return min(present, -(-max(1, longest) // multiple) * multiple)


def _padding_side(attended: np.ndarray, otherwise: str) -> str:
    """The side on which rows that have tokens are padded; `otherwise` if it is neither or both."""
    rows = attended[attended.any(1)]
    left, right = not rows[:, :1].all(), not rows[:, -1:].all()
    return otherwise if left == right else "left" if left else "right"


def _taken(values: Any, shape: tuple[int, ...], source: np.ndarray, padding: np.ndarray, fill: int) -> Any:
    """The values at the sources, with padding: `[..., new length, ...]`, of the same type, dtype and device."""
    trailing = tuple(values.shape[len(shape) :])
    flat = values.reshape(-1, *trailing)
    if not len(flat):
        return values
    indices: Any = source.clip(0)
    added: Any = source == _ADDED
    if isinstance(values, torch.Tensor):
        indices, added = (torch.from_numpy(each).to(values.device) for each in (indices, added))
    taken = flat[indices]
    taken[added] = flat[int(padding[0])] if len(padding) else fill
    return taken.reshape(*shape[:-1], source.shape[1], *trailing)


def _check_pad_token(pad_token_id: int | None) -> None:
    if pad_token_id is None:
        raise ValueError(
            "`tokenizer` must have a pad token, as rows differ in length after tokens are deleted, but has none. Set "
            "`tokenizer.pad_token`."
        )


def _check_column(name: str, values: Any, shape: tuple[int, ...]) -> None:
    found = tuple(np.shape(values)) if isinstance(values, np.ndarray | torch.Tensor) else None
    if found is None or found[: len(shape)] != shape:
        has = "has no such column" if values is None else f"has shape {np.shape(values)}"
        raise ValueError(
            f"`{name}` must have a value for each token of the batch of `collator`, {shape}, as tokens are deleted "
            f"from it, but it {has}. Pass a collator that pads it, or leave it out of the examples and of "
            "`per_token_columns`."
        )
