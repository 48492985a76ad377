"""The loss of masked diffusion: the cross entropy of each masked token over the rate that it was masked at."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from hf_dynmask.core.checks import checked_positive
from hf_dynmask.core.ragged import IGNORE_INDEX


def masked_diffusion_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    mask_rate: torch.Tensor | None,
    num_tokens: torch.Tensor | float | None = None,
) -> torch.Tensor:
    """The negative evidence lower bound (NELBO) of masked diffusion, estimated from one mask of each sequence.

        NELBO(x) = E over t ~ U(0, 1) of  1 / t * sum over the masked tokens i of  -log p(x_i | x masked at rate t)
                >= -log p(x)

    This is the bound of Sahoo et al. 2024 (MDLM) for the linear schedule, and equation 3 of Nie et al. 2025 (LLaDA). It
    equals the negative log-likelihood of autoregression, averaged over all orders of the maskable tokens (Ou et al.
    2024; Zheng et al. 2024). It bounds the probability of the maskable tokens, given those that are never masked.

    The mean over masks is this bound under these conditions:

    - The rate is `uniform_rate(0, 1)`. The loss of `uniform_rate(low, high)` times `high - low` is the part of the
      bound between these rates. The parts below `low` and above `high`, both at least 0, are missing. They are about
      `low` times the loss of all tokens with one masked at a time, and `1 - high` times that with all of them masked.
      A positive `low`, such as the 1e-3 of LLaDA, keeps the variance finite: it grows as `log(1 / low)`.
    - Each token is masked on its own with the probability `mask_rate`: `strategy="token"` and `exact_count=False`. The
      units of other strategies depend on the text, which a model that generates does not know.
    - `min_masked=0`. A token that is masked for certain at a low rate would count `1 / mask_rate` times.
    - `mask_replace_prob=1.0`. Otherwise some of the masked tokens show their own id to the model.

    With rates per block (Arriola et al. 2025, BD3LM), each block has the bound of its own tokens, given the other
    blocks as the model sees them. The sum is a bound for the text if each block sees the unmasked blocks before it, and
    no others, as in BD3LM. If blocks see each other masked, the sum can be far below `-log p(x)`.

    Args:
        logits: float `[batch, length, vocabulary]`, of all tokens. The cross entropy is computed in float32.
        labels: int64 `[batch, length]`, the ids of masked tokens, -100 elsewhere.
        mask_rate: float32 `[batch]` or `[batch, length]`, the rate of each sequence or token. Its value matters only at
            masked tokens; if it is 0 there, the loss is infinite. The `[batch]` rates of a packed batch are in the
            order of the examples, not of the rows, so packed rows need those of `return_mask_rate="token"`.
        num_tokens: the number of tokens that the sum is divided by: a number, or a tensor, a scalar or `[batch]`, for
            its sum, where 0 counts as 1. None for the mean over the rows of the batch, in nats per sequence. Divided by
            the maskable tokens, it is in nats per token. MDLM divides the sum by all tokens that are attended to,
            LLaDA's pretraining by all tokens of the batch (in both, all of these are maskable), and dllm by all
            maskable tokens. A mean over sequences of nats per token, as in LLaDA's fine-tuning, weights tokens of short
            texts more.

    Returns:
        A float32 scalar: 0 if no token is masked.

    Raises:
        ValueError: if `mask_rate` is None, a shape does not fit, or `num_tokens` is a number that is not above 0.

    >>> import math
    >>> logits, labels = torch.zeros(2, 3, 8), torch.tensor([[-100, 5, -100], [6, 7, -100]])
    >>> loss = masked_diffusion_loss(logits, labels, mask_rate=torch.tensor([0.25, 0.5]))
    >>> round(loss.item() / math.log(8), 4)  # (1 / 0.25 + 2 / 0.5) / 2
    4.0
    >>> loss = masked_diffusion_loss(logits, labels, torch.tensor([0.25, 0.5]), num_tokens=torch.tensor([3, 2]))
    >>> round(loss.item() / math.log(8), 4)  # (1 / 0.25 + 2 / 0.5) / 5
    1.6
    """
    rates = _rate_per_token(mask_rate, labels)
    _check_logits(logits, labels)
    is_masked = labels != IGNORE_INDEX
    losses = cross_entropy(logits[is_masked].float(), labels[is_masked], reduction="none")
    return (losses / rates[is_masked]).sum() / _divisor(num_tokens, labels)


def _rate_per_token(mask_rate: Any, labels: torch.Tensor) -> torch.Tensor:
    """float32 `[batch, length]`."""
    if not isinstance(mask_rate, torch.Tensor):
        raise ValueError(
            f"`mask_rate` must be a tensor of the rates of the batch, but got {mask_rate!r}. Pass "
            "`return_mask_rate=True` to the collator, and `batch['mask_rate']` here."
        )
    if labels.ndim != 2 or mask_rate.shape not in (labels.shape, labels.shape[:1]):
        raise ValueError(
            "`mask_rate` must have one value for each row or each token of `labels`, which have the shape "
            f"{_shape(labels)}, but got the shape {_shape(mask_rate)}. Pass labels `[batch, length]`; for packed rows, "
            'pass `return_mask_rate="token"` to the collator.'
        )
    rates = mask_rate.to(labels.device, torch.float32)
    return rates if rates.ndim == 2 else rates[:, None].expand(labels.shape)


def _check_logits(logits: torch.Tensor, labels: torch.Tensor) -> None:
    if logits.ndim != 3 or logits.shape[:2] != labels.shape:
        raise ValueError(
            "`logits` must be those of all tokens, `[batch, length, vocabulary]`, as `labels` have the shape "
            f"{_shape(labels)}, but got the shape {_shape(logits)}. Call the model without labels, so that "
            "`sparse_prediction` computes all logits."
        )


def _divisor(num_tokens: Any, labels: torch.Tensor) -> torch.Tensor | float:
    if num_tokens is None:
        return max(len(labels), 1)
    if not isinstance(num_tokens, torch.Tensor):
        return checked_positive(num_tokens, "num_tokens")
    if num_tokens.shape not in ((), labels.shape[:1]):
        raise ValueError(
            f"`num_tokens` must be a number or have one value for each of {len(labels)} rows, but got the shape "
            f"{_shape(num_tokens)}. Pass the number of tokens that may be masked."
        )
    total = num_tokens.sum().to(labels.device)
    return total.masked_fill(total == 0, 1)  # without tokens, the sum of losses is 0


def _shape(tensor: torch.Tensor) -> list[int]:
    return list(tensor.shape)
