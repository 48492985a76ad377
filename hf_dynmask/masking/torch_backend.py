"""The masks of `DataCollatorForDynamicMasking` for a batch that is already on its device, bit-identical.

Use it in loops whose batches are never on the host, or whose host is the bottleneck. All torch operations have
shapes that do not depend on values, so the host never waits for the device, and `torch.compile` makes one graph.

Single tokens of padded rows are masked row by row, in few operations. Words, spans and packed rows are masked as one
flat tensor, whose sequences are groups of consecutive tokens.
"""

from __future__ import annotations

from typing import Any

import torch

from hf_dynmask.core.checks import INT64_MAX, checked_fraction, checked_integer
from hf_dynmask.core.draws import Purpose
from hf_dynmask.core.draws_torch import (
    RANGE,
    as_index,
    draw,
    draw_limit,
    draw_limits,
    example_hashes,
    example_terms,
    spread,
    stream_keys,
)
from hf_dynmask.core.groups_torch import Groups, groups_of, starts_where
from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.masking.device_plan import DevicePlan
from hf_dynmask.masking.device_units import unit_groups
from hf_dynmask.rates.distributions import RateDistribution


def mask_tokens(
    input_ids: torch.Tensor,
    plan: DevicePlan,
    *,
    epoch: int | torch.Tensor,
    mlm_probability: float | torch.Tensor | RateDistribution = 0.15,
    attention_mask: torch.Tensor | None = None,
    special_tokens_mask: torch.Tensor | None = None,
    labels: torch.Tensor | None = None,
    seq_idx: torch.Tensor | None = None,
    cu_seq_lens: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks a batch with the masks that the collator gives the same examples in the same epoch, to the bit.

    For numpy arrays on the host and any strategy, use `hf_dynmask.mask_tokens`.

    `epoch` and `mlm_probability` may be tensors, so that the host does not have to know them, and new values do not
    trigger recompilation. Values on the device are not checked, because the host would have to wait for them. Values
    out of range result in meaningless masks or in an error of torch.

    Args:
        input_ids: int64 `[batch, length]`, ids of the vocabulary, padded on any side, or packed.
        plan: from [`device_plan`], on the device of `input_ids`.
        epoch: the epoch, from 0, or int64 `[]`. If the collator has `num_mask_patterns=k`, pass `epoch % k`.
        mlm_probability: the fraction of tokens to mask, in [0, 1], or floats `[sequences]` or `[]`. The rates of the
            collator are float64, and the float32 nearest to 0.15 is a different number. Each new Python number triggers
            recompilation. Or a distribution of this package from which each sequence draws its rate, without
            `low_discrepancy`. The cosine of a device may differ from that of the host in its last bit, which changes
            one draw in 2**32 at most.
        attention_mask: `[batch, length]`, 0 at padding and 1 elsewhere. Without it and in padded rows, a pad token is
            padding if it has no other role.
        special_tokens_mask: `[batch, length]`, 1 for tokens that are never masked, in addition to special tokens.
        labels: `[batch, length]`, -100 for tokens that are never masked, except within a word whose first token has a
            label, as in the collator.
        seq_idx: integers `[batch, length]`, the number of the sequence of each token in packed rows, from 0, and -1 at
            padding, as the collator with `packing` returns it.
        cu_seq_lens: integers `[sequences + 1]`, the boundaries of the sequences in one row without padding, from 0 to
            `length`, as FlashAttention takes them.

    Returns:
        The masked ids, and the labels: the original ids of masked tokens, -100 elsewhere. Both are int64
        `[batch, length]`.

    Raises:
        ValueError: if a dtype, shape or device is not as above, or a number is out of its range.

    Example:

        >>> from hf_dynmask.on_device import device_plan
        >>> plan = device_plan(tokenizer, "cpu", seed=1)
        >>> batch = tokenizer(["the cat sat on a mat", "the dog"], padding=True, return_tensors="pt")
        >>> inputs, labels = mask_tokens(batch["input_ids"], plan, epoch=torch.tensor(0), mlm_probability=0.3)
        >>> (labels != -100).sum(1).tolist()
        [1, 1]
    """
    columns = {"attention_mask": attention_mask, "special_tokens_mask": special_tokens_mask, "labels": labels}
    _check_batch(input_ids, plan, **columns, seq_idx=seq_idx)
    _check_boundaries(input_ids, seq_idx, cu_seq_lens)
    attended = _attended(input_ids, plan, attention_mask, seq_idx, cu_seq_lens)
    maskable = attended & ~plan.special[input_ids]
    if special_tokens_mask is not None:
        maskable = maskable & (special_tokens_mask == 0)
    labeled = None if labels is None else labels != IGNORE_INDEX
    pattern = _pattern(epoch, input_ids.device)
    if plan.units is None and seq_idx is None and cu_seq_lens is None:
        rate = _checked_rate(mlm_probability, input_ids, len(input_ids))
        maskable = maskable if labeled is None else maskable & labeled
        masked, replaced = _mask_rows(input_ids, attended, maskable, rate, pattern, plan)
    else:
        rate = _checked_rate(mlm_probability, input_ids, None if cu_seq_lens is None else len(cu_seq_lens) - 1)
        numbers = _sequence_numbers(input_ids, seq_idx, cu_seq_lens)
        masked, replaced = _mask_flat(input_ids, numbers, attended, maskable, labeled, rate, pattern, plan)
    return torch.where(masked, replaced, input_ids), torch.where(masked, input_ids, IGNORE_INDEX)


def _check_batch(input_ids: torch.Tensor, plan: DevicePlan, **columns: torch.Tensor | None) -> None:
    if not isinstance(input_ids, torch.Tensor) or input_ids.dtype != torch.int64 or input_ids.dim() != 2:
        raise ValueError(
            f"`input_ids` must be an int64 tensor `[batch, length]`, but got {_describe(input_ids)}. Pad the batch, "
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
                f"`{name}` must be a tensor of the shape and on the device of `input_ids`, {_describe(input_ids)}, but "
                f"got {_describe(column)}. Pass None to do without."
            )


def _is_tensor_beside(input_ids: torch.Tensor, value: object, *shapes: tuple[int, ...]) -> bool:
    return isinstance(value, torch.Tensor) and value.device == input_ids.device and tuple(value.shape) in shapes


def _describe(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {list(value.shape)} on {value.device}"
    return f"a {type(value).__name__}"


def _checked_rate(rate: Any, input_ids: torch.Tensor, sequences: int | None) -> float | torch.Tensor | RateDistribution:
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
            f"one for all, on {input_ids.device}, but got {_describe(rate)}. Pass float64, as the collator does."
        )
    return rate.reshape(-1)


def _limits(rate: float | torch.Tensor | RateDistribution, keys: torch.Tensor, plan: DevicePlan) -> Any:
    """The limit below which a draw masks its token: one number, or int64 of the shape of `rate` or `keys`."""
    if isinstance(rate, RateDistribution):
        draws = draw(keys, spread(plan.golden, torch.zeros_like(keys)), Purpose.RATE)
        return draw_limits(rate.of_tensor(draws.to(torch.float64) * (1.0 / RANGE)))
    return draw_limits(rate) if isinstance(rate, torch.Tensor) else draw_limit(rate)


def _attended(
    input_ids: torch.Tensor,
    plan: DevicePlan,
    attention_mask: torch.Tensor | None,
    seq_idx: torch.Tensor | None,
    cu_seq_lens: torch.Tensor | None,
) -> torch.Tensor:
    """Which tokens are not padding: bool `[batch, length]`."""
    if attention_mask is not None:
        attended = attention_mask != 0
        return attended if seq_idx is None else attended & (seq_idx >= 0)
    if seq_idx is not None:
        return seq_idx >= 0
    if cu_seq_lens is None and plan.pad_token_id is not None:
        return input_ids != plan.pad_token_id
    return torch.ones_like(input_ids, dtype=torch.bool)


def _check_boundaries(input_ids: torch.Tensor, seq_idx: Any, cu_seq_lens: Any) -> None:
    if seq_idx is not None and cu_seq_lens is not None:
        raise ValueError(
            "`cu_seq_lens` must be None with `seq_idx`, which also separates the sequences, but got both. Pass one."
        )
    if seq_idx is not None and seq_idx.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"`seq_idx` must be integers, but got {_describe(seq_idx)}. Pass that of the collator.")
    if cu_seq_lens is None:
        return
    is_vector = isinstance(cu_seq_lens, torch.Tensor) and cu_seq_lens.dim() == 1 and len(cu_seq_lens) > 0
    if not is_vector or cu_seq_lens.dtype not in (torch.int32, torch.int64) or cu_seq_lens.device != input_ids.device:
        raise ValueError(
            f"`cu_seq_lens` must be integers `[sequences + 1]` on {input_ids.device}, but got "
            f"{_describe(cu_seq_lens)}. Pass `cu_seq_lens_q` of the collator."
        )
    if len(input_ids) != 1:
        raise ValueError(
            f"`input_ids` must be one row, `[1, tokens]`, with `cu_seq_lens`, but got {_describe(input_ids)}. Pass "
            "`seq_idx` for several rows."
        )


def _pattern(epoch: int | torch.Tensor, device: torch.device) -> torch.Tensor:
    """int64 `[]`."""
    if not isinstance(epoch, torch.Tensor):
        number = checked_integer(epoch, "epoch", 0, "Count epochs from 0.", INT64_MAX)
        return torch.full((), number, dtype=torch.int64, device=device)  # filled on the device, so nothing is sent
    if epoch.dtype != torch.int64 or epoch.dim():
        raise ValueError(
            f"`epoch` must be an integer, or a tensor of one int64, but got {_describe(epoch)}. Pass "
            "`torch.tensor(epoch)`, for example."
        )
    return epoch


def _mask_rows(
    input_ids: torch.Tensor,
    attended: torch.Tensor,
    maskable: torch.Tensor,
    rate: Any,
    pattern: torch.Tensor,
    plan: DevicePlan,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks single tokens of rows that are one sequence each: which are masked, and the ids that replace them."""
    positions = attended.cumsum(1) - attended.long()
    examples = example_hashes(plan.golden, input_ids, positions, attended)
    keys = stream_keys(plan.golden, plan.seed, examples, pattern)
    indices = spread(plan.golden, positions)
    limits = _limits(rate, keys, plan)
    limits = limits.reshape(-1, 1) if isinstance(limits, torch.Tensor) else limits
    masked = _selected(draw(keys, indices, Purpose.SELECTION), maskable, limits, plan.min_masked)
    return masked, _replaced(input_ids, keys, indices, plan)


def _selected(draws: torch.Tensor, maskable: torch.Tensor, limit: int | torch.Tensor, min_masked: int) -> torch.Tensor:
    """Which tokens are masked, bool `[batch, length]`: those whose draws are below the limit.

    Where these are too few, the limit rises to include the `min_masked` lowest draws. All draws of a sequence differ,
    so it includes exactly these.
    """
    few = min(min_masked, draws.shape[1])
    if few:
        ranked = draws.where(maskable, RANGE)
        # usually 1: `amin` then replaces `topk`, and compilers can fuse it
        last = ranked.amin(1, keepdim=True) if few == 1 else ranked.topk(few, dim=1, largest=False).values[:, -1:]
        limit = (last + 1).clamp(min=limit)
    return maskable & (draws < limit)


def _replaced(input_ids: torch.Tensor, keys: torch.Tensor, indices: torch.Tensor, plan: DevicePlan) -> torch.Tensor:
    """The id that replaces each token if it is masked: int64 `[batch, length]`."""
    kind = draw(keys, indices, Purpose.REPLACEMENT)
    index = as_index(draw(keys, indices, Purpose.RANDOM_ID), len(plan.ordinary_ids))
    replaced = torch.where(kind < plan.random_limit, plan.ordinary_ids[index], input_ids)
    if plan.mask_token_id is None:
        return replaced
    return torch.where(kind < plan.mask_limit, plan.mask_token_id, replaced)


def _sequence_numbers(
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


def _mask_flat(
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
        rate: from [`_checked_rate`].
    """
    if not input_ids.numel():
        return maskable, input_ids
    order = torch.argsort((~attended).reshape(-1).to(torch.uint8), stable=True)  # padding becomes the last sequence
    ids, number, is_token, maskable = (each.reshape(-1)[order] for each in (input_ids, numbers, attended, maskable))
    sequences = groups_of(starts_where((number[1:] != number[:-1]) | (is_token[1:] != is_token[:-1])))
    positions = sequences.index_in_group()
    examples = sequences.total(example_terms(plan.golden, ids, positions))
    keys = stream_keys(plan.golden, plan.seed, examples, pattern)
    limits = _limits(rate, keys, plan)
    if isinstance(rate, torch.Tensor):
        limits = limits[number] if len(rate) != 1 else limits
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
    replaced = _replaced(ids, keys, indices, plan)
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
