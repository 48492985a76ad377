"""Which sequence each token of a batch belongs to, whatever the layout of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hf_dynmask.masking.device_checks import describe
from hf_dynmask.masking.device_flat import sequence_numbers


def sequences_of(batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """The sequence of each token, and which tokens are not padding.

    Args:
        batch: from [`DataCollatorForDynamicMasking`]. The sequences are those of `seq_idx`, of `cu_seq_lens_q`, the
            rows if there is an `attention_mask`, or those whose `position_ids` count upwards, in this order of
            precedence.

    Returns:
        int64 `[batch * length]`, a different number for neighboring sequences; and bool `[batch, length]`, False where
        `attention_mask` is 0 or `seq_idx` is negative.

    Raises:
        ValueError: if one of these columns does not match the shape or the device of `input_ids`.

    >>> batch = {"input_ids": torch.tensor([[5, 6, 7, 0]]), "seq_idx": torch.tensor([[0, 1, 1, -1]])}
    >>> sequences_of(batch)
    (tensor([ 0,  1,  1, -1]), tensor([[ True,  True,  True, False]]))
    """
    ids = batch["input_ids"]
    seq_idx, mask, positions = (_column(batch, name) for name in ("seq_idx", "attention_mask", "position_ids"))
    attended = torch.ones_like(ids, dtype=torch.bool)
    if mask is not None:
        attended &= mask != 0
    if seq_idx is not None:
        attended &= seq_idx >= 0
    boundaries = None if seq_idx is not None else _boundaries(batch)
    if seq_idx is None and boundaries is None and mask is None and positions is not None:
        return _numbers_by_positions(positions), attended
    return sequence_numbers(ids, seq_idx, boundaries), attended


def _numbers_by_positions(positions: torch.Tensor) -> torch.Tensor:
    """A sequence begins where a position does not follow the one before it, and at each row."""
    starts = torch.ones_like(positions, dtype=torch.bool)
    starts[:, 1:] = positions[:, 1:] != positions[:, :-1] + 1
    return starts.reshape(-1).cumsum(0)


def _column(batch: Mapping[str, Any], name: str) -> torch.Tensor | None:
    values, ids = batch.get(name), batch["input_ids"]
    if values is None or (
        isinstance(values, torch.Tensor) and (values.shape, values.device) == (ids.shape, ids.device)
    ):
        return values
    raise ValueError(
        f"`{name}` must have a value for each token of `batch`, {list(ids.shape)} on {ids.device}, but got "
        f"{describe(values)}. Pass the batch as the collator returns it, with all columns on one device."
    )


def _boundaries(batch: Mapping[str, Any]) -> torch.Tensor | None:
    values, ids = batch.get("cu_seq_lens_q"), batch["input_ids"]
    if values is None:
        return None
    if not isinstance(values, torch.Tensor) or values.dim() != 1 or values.device != ids.device or len(ids) != 1:
        raise ValueError(
            f"`cu_seq_lens_q` must be integers `[sequences + 1]` for one row of tokens on {ids.device}, but got "
            f"{describe(values)} for `input_ids` of shape {list(ids.shape)}. Pass the batch that the collator returns."
        )
    return values
