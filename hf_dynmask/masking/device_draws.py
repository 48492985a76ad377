"""The results of draws on a device: the limit below which a token is masked, and the ids that replace it."""

from __future__ import annotations

from typing import Any

import torch

from hf_dynmask.core.draws import RANGE, Purpose
from hf_dynmask.core.draws_torch import as_index, draw, draw_limit, draw_limits, spread
from hf_dynmask.masking.device_plan import DevicePlan
from hf_dynmask.rates.distributions import RateDistribution


def limits_of(rate: float | torch.Tensor | RateDistribution, keys: torch.Tensor, plan: DevicePlan) -> Any:
    """The limit below which a draw masks its token: one number, or int64 of the shape of `rate` or `keys`."""
    if isinstance(rate, RateDistribution):
        draws = draw(keys, spread(plan.golden, torch.zeros_like(keys)), Purpose.RATE)
        return draw_limits(rate.of_tensor(draws.to(torch.float64) * (1.0 / RANGE)))
    return draw_limits(rate) if isinstance(rate, torch.Tensor) else draw_limit(rate)


def replaced_ids(input_ids: torch.Tensor, keys: torch.Tensor, indices: torch.Tensor, plan: DevicePlan) -> torch.Tensor:
    """The id that replaces each token if it is masked: int64 `[batch, length]`."""
    kind = draw(keys, indices, Purpose.REPLACEMENT)
    index = as_index(draw(keys, indices, Purpose.RANDOM_ID), len(plan.ordinary_ids))
    replaced = torch.where(kind < plan.random_limit, plan.ordinary_ids[index], input_ids)
    if plan.mask_token_id is None:
        return replaced
    return torch.where(kind < plan.mask_limit, plan.mask_token_id, replaced)
