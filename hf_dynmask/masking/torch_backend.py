"""The masks of `DataCollatorForDynamicMasking` for a batch that is already on its device, bit-identical.

Use it in loops whose batches are never on the host, or whose host is the bottleneck. All torch operations have
shapes that do not depend on values, so the host never waits for the device, and `torch.compile` makes one graph.

Single tokens of padded rows are masked row by row, in few operations. Words, spans and packed rows are masked as one
flat tensor, whose sequences are groups of consecutive tokens.
"""

from __future__ import annotations

from typing import Any

import torch

from hf_dynmask.core.draws import RANGE, Purpose
from hf_dynmask.core.draws_torch import draw, example_hashes, spread, stream_keys
from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.masking.device_checks import check_batch, check_boundaries, checked_rate, pattern_of
from hf_dynmask.masking.device_draws import limits_of, replaced_ids
from hf_dynmask.masking.device_flat import mask_flat, sequence_numbers
from hf_dynmask.masking.device_plan import DevicePlan
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
    check_batch(input_ids, plan, **columns, seq_idx=seq_idx)
    check_boundaries(input_ids, seq_idx, cu_seq_lens)
    attended = _attended(input_ids, plan, attention_mask, seq_idx, cu_seq_lens)
    maskable = attended & ~plan.special[input_ids]
    if special_tokens_mask is not None:
        maskable = maskable & (special_tokens_mask == 0)
    labeled = None if labels is None else labels != IGNORE_INDEX
    pattern = pattern_of(epoch, input_ids.device)
    if plan.units is None and seq_idx is None and cu_seq_lens is None:
        rate = checked_rate(mlm_probability, input_ids, len(input_ids))
        maskable = maskable if labeled is None else maskable & labeled
        masked, replaced = _mask_rows(input_ids, attended, maskable, rate, pattern, plan)
    else:
        rate = checked_rate(mlm_probability, input_ids, None if cu_seq_lens is None else len(cu_seq_lens) - 1)
        numbers = sequence_numbers(input_ids, seq_idx, cu_seq_lens)
        masked, replaced = mask_flat(input_ids, numbers, attended, maskable, labeled, rate, pattern, plan)
    return torch.where(masked, replaced, input_ids), torch.where(masked, input_ids, IGNORE_INDEX)


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
    limits = limits_of(rate, keys, plan)
    limits = limits.reshape(-1, 1) if isinstance(limits, torch.Tensor) else limits
    masked = _selected(draw(keys, indices, Purpose.SELECTION), maskable, limits, plan.min_masked)
    return masked, replaced_ids(input_ids, keys, indices, plan)


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
