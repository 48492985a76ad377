"""Checks the arguments of masking on a device, as far as the host knows them."""

from __future__ import annotations

from typing import Any

import torch

from hf_dynmask.core.checks import checked_epoch, checked_fraction
from hf_dynmask.masking.device_plan import DevicePlan
from hf_dynmask.rates.distributions import RateDistribution


def check_batch(input_ids: torch.Tensor, plan: DevicePlan, **columns: torch.Tensor | None) -> None:
    if not isinstance(input_ids, torch.Tensor) or input_ids.dtype != torch.int64 or input_ids.dim() != 2:
        raise ValueError(
            f"`input_ids` must be an int64 tensor `[batch, length]`, but got {describe(input_ids)}. Pad the batch, "
            "and pass `input_ids.long()`."
        )
    if input_ids.device != plan.special.device:
        raise ValueError(
            f"`plan` must be on the device of `input_ids`, {input_ids.device}, but is on {plan.special.device}. Make "
            "it with `device_plan(tokenizer, input_ids.device)`, once."
        )
    for name, column in columns.items():
        if column is not None and not _is_tensor_beside(input_ids, column, input_ids.shape):
            raise ValueError(
                f"`{name}` must be a tensor of the shape and on the device of `input_ids`, {describe(input_ids)}, but "
                f"got {describe(column)}. Pass None to do without."
            )


def check_boundaries(input_ids: torch.Tensor, seq_idx: Any, cu_seq_lens: Any) -> None:
    if seq_idx is not None and cu_seq_lens is not None:
        raise ValueError(
            "`cu_seq_lens` must be None with `seq_idx`, which also separates the sequences, but got both. Pass one."
        )
    if seq_idx is not None and seq_idx.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"`seq_idx` must be integers, but got {describe(seq_idx)}. Pass that of the collator.")
    if cu_seq_lens is None:
        return
    is_vector = isinstance(cu_seq_lens, torch.Tensor) and cu_seq_lens.dim() == 1 and len(cu_seq_lens) > 0
    if not is_vector or cu_seq_lens.dtype not in (torch.int32, torch.int64) or cu_seq_lens.device != input_ids.device:
        raise ValueError(
            f"`cu_seq_lens` must be integers `[sequences + 1]` on {input_ids.device}, but got "
            f"{describe(cu_seq_lens)}. Pass `cu_seq_lens_q` of the collator."
        )
    if len(input_ids) != 1:
        raise ValueError(
            f"`input_ids` must be one row, `[1, tokens]`, with `cu_seq_lens`, but got {describe(input_ids)}. Pass "
            "`seq_idx` for several rows."
        )


def checked_rate(rate: Any, input_ids: torch.Tensor, sequences: int | None) -> float | torch.Tensor | RateDistribution:
    """The rate: a number, floats `[sequences]` or `[1]`, or a distribution.

    Args:
        sequences: the number of sequences; None if the host does not know it.
    """
    if isinstance(rate, RateDistribution):
        return rate.checked_for_device()
    if not isinstance(rate, torch.Tensor):
        return checked_fraction(rate, "mlm_probability", "Pass a number or a tensor; of a schedule, its current value.")
    shapes = ((), rate.shape[:1] if sequences is None else (sequences,))
    if not rate.is_floating_point() or not _is_tensor_beside(input_ids, rate, *shapes):
        count = "its" if sequences is None else sequences
        raise ValueError(
            f"`mlm_probability` must be a number, or a tensor of floats, one for each of {count} sequences or "
            f"one for all, on {input_ids.device}, but got {describe(rate)}. Pass float64, as the collator does."
        )
    return rate.reshape(-1)


def pattern_of(epoch: int | torch.Tensor, device: torch.device) -> torch.Tensor:
    """int64 `[]`."""
    if not isinstance(epoch, torch.Tensor):
        # filled on the device, so nothing is sent
        return torch.full((), checked_epoch(epoch), dtype=torch.int64, device=device)
    if epoch.dtype != torch.int64 or epoch.dim():
        raise ValueError(
            f"`epoch` must be an integer, or a tensor of one int64, but got {describe(epoch)}. Pass "
            "`torch.tensor(epoch)`, for example."
        )
    return epoch


def _is_tensor_beside(input_ids: torch.Tensor, value: object, *shapes: tuple[int, ...]) -> bool:
    return isinstance(value, torch.Tensor) and value.device == input_ids.device and tuple(value.shape) in shapes


def describe(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {list(value.shape)} on {value.device}"
    return f"a {type(value).__name__}"
