"""Sums and counts of the losses of each token id, and the weights that follow from them.

Losses are summed in fixed point. The sum of integers does not depend on their order, so the weights are equal to the
bit for any number of ranks, and on a GPU.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np
import torch

from hf_dynmask.core.ragged import IGNORE_INDEX

_FIXED_POINT = float(1 << 20)


def zero_totals(size: int, device: torch.device | str) -> torch.Tensor:
    """The fixed-point sums and the counts of no losses, int64 `[2, size]`."""
    return torch.zeros((2, size), dtype=torch.int64, device=device)


def add_losses(totals: torch.Tensor, labels: torch.Tensor, losses: torch.Tensor) -> None:
    """Adds finite losses to the totals of their ids, in place.

    Args:
        totals: int64 `[2, ids]`, changed.
        labels: int64 `[n]`, the ids; -100 where there is no loss.
        losses: float `[n]`.
    """
    counted = (labels != IGNORE_INDEX) & losses.isfinite()
    fixed = torch.where(counted, losses * _FIXED_POINT, 0.0).round().long()
    totals.index_add_(1, labels.clamp(min=0), torch.stack([fixed, counted.long()]))


def add_ranks(totals: torch.Tensor) -> None:
    """Replaces the totals by the sum of all ranks' totals, in place."""
    if _is_distributed():
        torch.distributed.all_reduce(totals)


def reduction_device() -> str:
    """The device on which ranks add up totals."""
    return "cuda" if _is_distributed() and torch.distributed.get_backend() == "nccl" else "cpu"


def add_epoch(history: np.ndarray, totals: torch.Tensor, decay: float) -> np.ndarray:
    """The history, float64 `[2, ids]`, after an epoch with these totals: earlier losses count `decay` times."""
    sums, counts = totals.cpu().numpy()
    return decay * history + np.stack([sums / _FIXED_POINT, counts])


def smoothed_means(history: np.ndarray, smoothing: float, floor: float) -> np.ndarray:
    """The weight of each id, float64 `[ids]`; all are 1 without a loss. For the formula, see [`TokenLosses`].

    Args:
        history: float64 `[2, ids]`, sums and counts of losses.
        smoothing: the number of losses at the mean that are added to those of each id.
        floor: the least weight, as a fraction of the mean.
    """
    sums, counts = history
    if not counts.any():
        return np.ones(len(counts))
    mean = sums.sum() / counts.sum()
    return np.maximum((sums + smoothing * mean) / (counts + smoothing), floor * mean)


def encode(values: np.ndarray, dtype: str) -> str:
    """An array as text that JSON can hold."""
    return base64.b64encode(zlib.compress(values.astype(dtype).tobytes())).decode()


def decode(text: str, dtype: str) -> np.ndarray:
    """The array `[2, ids]` that [`encode`] turned into text."""
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=dtype)
    return values.astype(dtype[1:]).reshape(2, -1)


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
