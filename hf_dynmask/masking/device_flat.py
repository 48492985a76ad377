"""Masks on a device of units and of packed rows: one flat tensor, whose sequences are groups of consecutive tokens."""

from __future__ import annotations

from typing import Any

import torch

from hf_dynmask.core.draws import RANGE, Purpose
from hf_dynmask.core.draws_torch import draw, example_terms, spread, stream_keys
from hf_dynmask.core.groups_torch import Groups, groups_of, starts_where
from hf_dynmask.masking.device_draws import limits_of, replaced_ids
from hf_dynmask.masking.device_plan import DevicePlan
from hf_dynmask.masking.device_units import unit_groups


def sequence_numbers(
    input_ids: torch.Tensor, seq_idx: torch.Tensor | None, cu_seq_lens: torch.Tensor | None
) -> torch.Tensor:
    """The number of the sequence of each token: int64 `[batch * length]`."""
    if seq_idx is not None:
        return seq_idx.reshape(-1).long()
    if cu_seq_lens is not None:
        indices = torch.arange(input_ids.shape[1], device=input_ids.device, dtype=cu_seq_lens.dtype)
        return torch.bucketize(indices, cu_seq_lens[1:], right=True)
    rows = torch.arange(input_ids.shape[0], device=input_ids.device)
    return rows[:, None].expand(input_ids.shape).reshape(-1)


def flat_sequences(
    input_ids: torch.Tensor, numbers: torch.Tensor, attended: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, Groups, torch.Tensor]:
    """The order of tokens with padding as the last sequence, and in it the ids, the sequences and the positions."""
    order = torch.argsort((~attended).reshape(-1).to(torch.uint8), stable=True)
    ids, number, is_token = (each.reshape(-1)[order] for each in (input_ids, numbers, attended))
    sequences = groups_of(starts_where((number[1:] != number[:-1]) | (is_token[1:] != is_token[:-1])))
    return order, ids, sequences, sequences.index_in_group()


def mask_flat(
    input_ids: torch.Tensor,
    numbers: torch.Tensor,
    attended: torch.Tensor,
    maskable: torch.Tensor,
    labeled: torch.Tensor | None,
    rate: Any,
    pattern: torch.Tensor,
    plan: DevicePlan,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks units of any sequences: which tokens are masked, and the ids that replace them.

    Args:
        numbers: int64 `[batch * length]`, the sequence of each token.
        attended, maskable, labeled: bool `[batch, length]`; `maskable` does not depend on labels.
        rate: from [`checked_rate`].
    """
    if not input_ids.numel():
        return maskable, input_ids
    order, ids, sequences, positions = flat_sequences(input_ids, numbers, attended)
    maskable = maskable.reshape(-1)[order]
    examples = sequences.total(example_terms(plan.golden, ids, positions))
    keys = stream_keys(plan.golden, plan.seed, examples, pattern)
    limits = limits_of(rate, keys, plan)
    if isinstance(rate, torch.Tensor) and len(rate) != 1:
        limits = limits[numbers[order]]
    unlabeled = None
    if labeled is not None:
        is_labeled = labeled.reshape(-1)[order]
        unlabeled, maskable = maskable & ~is_labeled, maskable & is_labeled
    indices = spread(plan.golden, positions)
    draws = draw(keys, indices, Purpose.SELECTION)
    if plan.units is not None:
        units, maskable = unit_groups(ids, sequences, maskable, unlabeled, keys, plan.golden, plan.units)
        draws = draws[units.first]
    masked = _selected_in_groups(draws, maskable, limits, sequences, plan.min_masked)
    replaced = replaced_ids(ids, keys, indices, plan)
    return _put_back(masked, order, input_ids), _put_back(replaced, order, input_ids)


def _selected_in_groups(
    draws: torch.Tensor, maskable: torch.Tensor, limits: int | torch.Tensor, sequences: Groups, min_masked: int
) -> torch.Tensor:
    """[`_selected`] in sequences of a flat tensor, whose units have the same draw at all of their tokens."""
    masked = maskable & (draws < limits)
    if not min_masked:
        return masked
    ranked = draws.where(maskable, RANGE)
    if min_masked == 1:
        return masked | (maskable & (ranked == sequences.lowest(ranked)))
    return masked | (maskable & (sequences.count_below(ranked) < min_masked))


def _put_back(values: torch.Tensor, order: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    placed = torch.empty_like(values)
    placed[order] = values
    return placed.reshape(like.shape)
