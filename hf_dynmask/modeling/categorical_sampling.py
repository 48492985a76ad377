"""Samples of categorical distributions: given draws are mapped through the inverse of the cumulative distribution.

A probability is an integer, so that the cumulative sums are exact. A device adds floats in an order that depends on the
shape of the batch; the order of integers does not matter. So a sample depends on nothing but its logits and its draw.
"""

from __future__ import annotations

import torch

WEIGHT_BITS = 40  # the weight of the most probable id is 2**40
_CHUNK = 1 << 23  # logits at a time, as their weights take several times the memory of half precision


def sample_ids(logits: torch.Tensor, draws: torch.Tensor, temperature: float) -> torch.Tensor:
    """An id from the softmax of each row of logits over the temperature: int64 `[rows]`.

    The weight of an id is `w = round(2**40 * exp((logit - max) / temperature))`. With `W` as the sum of all weights,
    the sample is the first id whose cumulative weight exceeds `floor(draw * W / 2**32)`.

    Args:
        logits: floats `[rows, vocabulary]`, of at most 2**21 ids. An id with -inf is never sampled.
        draws: int64 `[rows]`, uniform in [0, 2**32).
        temperature: above 0.

    Raises:
        ValueError: if the highest logit of a row is not finite.

    >>> logits, draws = torch.tensor([[0.0, 0.0]]).expand(3, 2), torch.tensor([0, 2**31 - 1, 2**31])
    >>> sample_ids(logits, draws, temperature=1.0)
    tensor([0, 0, 1])
    """
    highest = logits.amax(-1, keepdim=True)
    if not bool(highest.isfinite().all()):
        raise ValueError(
            "`logits` must have a finite maximum at each masked token, but got NaN or infinity. Check the loss of the "
            "generator, which has diverged, or train it in bfloat16 instead of float16."
        )
    rows = max(1, _CHUNK // logits.shape[-1])
    parts = zip(logits.split(rows), highest.split(rows), draws.split(rows), strict=True)
    return torch.cat([_first_above(_weights(part, top, temperature).cumsum(-1), drawn) for part, top, drawn in parts])


def _weights(logits: torch.Tensor, highest: torch.Tensor, temperature: float) -> torch.Tensor:
    """int64 `[rows, vocabulary]`."""
    dtype = torch.float32 if logits.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    scaled = (logits.to(dtype) - highest.to(dtype)) / temperature
    return (scaled.exp() * (1 << WEIGHT_BITS)).round().long()


def _first_above(cumulative: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """The first id whose cumulative weight exceeds the share `draws / 2**32` of the total."""
    total = cumulative[:, -1]
    low = total & ((1 << 30) - 1)  # in two parts, as int64 does not hold the product
    target = (draws * (total >> 30) + ((draws * low) >> 30)) >> 2
    return torch.searchsorted(cumulative, target[:, None], right=True)[:, 0]
