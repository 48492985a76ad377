"""The padded batch of another collator: calls the collator, reads its batch, and copies it with other values."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, MutableMapping, Sequence
from typing import Any

import numpy as np
import torch

from hf_dynmask.batching.packs import has_packs
from hf_dynmask.core.ragged import RaggedBatch

_READ = ("attention_mask", "special_tokens_mask")


def collate_inner(collator: Callable[..., Any], examples: Sequence[Any], return_tensors: str | None) -> Any:
    """The batch of another collator.

    Raises:
        ValueError: if `return_tensors` is not None and the collator does not accept it.
    """
    if return_tensors is None:
        return collator(examples)
    parameters = inspect.signature(collator).parameters.values()
    if not any(each.name == "return_tensors" or each.kind is each.VAR_KEYWORD for each in parameters):
        raise ValueError(
            f"`return_tensors` must be None with a {type(collator).__name__}, which does not accept it in a call, "
            f"but got {return_tensors!r}. Set it where you create that collator."
        )
    return collator(examples, return_tensors=return_tensors)


def read_rows(batch: Any, read: Collection[str]) -> RaggedBatch:
    """The rows of a padded batch, padding included, with the columns that masking reads.

    Args:
        batch: the batch of a collator.
        read: the names of additional columns, with one value per token.

    Raises:
        ValueError: if it has no `input_ids` of at least two dimensions, or a column has another shape than `input_ids`.
    """
    input_ids = batch.get("input_ids") if isinstance(batch, MutableMapping) else None
    if not isinstance(input_ids, np.ndarray | torch.Tensor) or input_ids.ndim < 2:
        raise ValueError(
            "`collator` must return a mapping whose `input_ids` are a numpy array or torch tensor of at least two "
            f"dimensions, but returned {_describe(batch, input_ids)}. Use a collator that pads to one length, with "
            '`return_tensors="pt"` or `"np"`.'
        )
    names = ["input_ids", *(name for name in _READ if name in batch), *read]
    columns = {name: _flat(batch.get(name), name, input_ids.shape) for name in names}
    lengths = np.full(math.prod(input_ids.shape[:-1]), input_ids.shape[-1], dtype=np.int64)
    return RaggedBatch(lengths, columns, {})


def check_one_sequence_a_row(batch: Any, rows: RaggedBatch) -> None:
    """Checks that rows hold one sequence each, by the `position_ids` of the batch, if it has some.

    Args:
        batch: the batch of a collator.
        rows: its rows, with their padding.

    Raises:
        ValueError: if the positions of a row start again.
    """
    positions = batch.get("position_ids")
    if positions is None or tuple(np.shape(positions)) != tuple(batch["input_ids"].shape):
        return
    if has_packs(rows.with_column("position_ids", _as_numpy(positions, "position_ids").reshape(-1))):
        raise ValueError(
            "`collator` must return one sequence per row, but its `position_ids` start again within a row. Use a "
            "collator that pads instead of one that flattens or packs."
        )


def attention_mask_like(like: Any, padding: np.ndarray | None) -> Any:
    """0 for padding (bool `[tokens]`; None for no padding) and 1 elsewhere, int64.

    It has the shape, the type and the device of `like`.
    """
    mask = np.ones(tuple(like.shape), dtype=np.int64)
    if padding is not None:
        mask[padding.reshape(mask.shape)] = 0
    return torch.from_numpy(mask).to(like.device) if isinstance(like, torch.Tensor) else mask


def check_dtype_holds(input_ids: Any, new: np.ndarray) -> None:
    """Checks that the dtype of the `input_ids` of a batch holds new ids.

    Raises:
        ValueError: if one is too large.
    """
    limits = torch.iinfo(input_ids.dtype) if isinstance(input_ids, torch.Tensor) else np.iinfo(input_ids.dtype)
    if new.max(initial=0) > limits.max:
        raise ValueError(
            f"`input_ids` must have a dtype that holds the id {new.max()}, but the batch of `collator` has "
            f"{limits.dtype}. Use a wider one, such as int64."
        )


def with_values_at(values: Any, indices: np.ndarray, new: np.ndarray) -> Any:
    """A copy of `values` with `new` at the flat `indices`. The original may be an array of the dataset."""
    if not isinstance(values, torch.Tensor):
        flat = values.flatten()
        flat[indices] = new
        return flat.reshape(values.shape)
    flat = values.clone().reshape(-1)
    flat[torch.from_numpy(indices).to(flat.device)] = torch.from_numpy(new).to(flat)
    return flat.reshape(values.shape)


def _describe(batch: Any, input_ids: Any) -> str:
    if not isinstance(batch, MutableMapping):
        return f"a {type(batch).__name__}"
    if isinstance(input_ids, np.ndarray | torch.Tensor):
        return f"`input_ids` of shape {tuple(input_ids.shape)}"
    return f"the keys {sorted(batch)}" if input_ids is None else f"`input_ids` of type {type(input_ids).__name__}"


def _flat(values: Any, name: str, shape: Sequence[int]) -> np.ndarray:
    """A column of the batch as `[tokens]`, integers as int64."""
    if not isinstance(values, np.ndarray | torch.Tensor) or tuple(values.shape) != tuple(shape):
        found = "it has none" if values is None else f"got shape {np.shape(values)}"
        raise ValueError(
            f"`{name}` must have a value for each token of the batch of `collator`, {tuple(shape)}, but {found}. "
            "Pass a collator that pads it, or a strategy that does not read it."
        )
    flat = _as_numpy(values, name).reshape(-1)
    return flat.astype(np.int64, copy=False) if flat.dtype.kind in "iu" else flat


def _as_numpy(values: Any, name: str) -> np.ndarray:
    try:
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # sparse, without values, or of a dtype that numpy lacks
        raise ValueError(_unreadable(name)) from error
    if array.dtype.kind not in "iufb":
        raise ValueError(_unreadable(name))
    return array


def _unreadable(name: str) -> str:
    return (
        f"`{name}` must hold numbers that numpy can read in the batch of `collator`. Pass a collator that returns "
        "dense tensors or arrays of integers."
    )
