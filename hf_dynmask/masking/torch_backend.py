"""The masks of `DataCollatorForDynamicMasking` for a batch that is already on its device, bit-identical.

Use it in loops whose batches are never on the host, or whose host is the bottleneck. All torch operations have
shapes that do not depend on values, so the host never waits for the device, and `torch.compile` makes one graph. Only
the strategy `"token"` is available.
"""

from __future__ import annotations

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
    spread,
    stream_keys,
)
from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.masking.device_plan import DevicePlan


def mask_tokens(
    input_ids: torch.Tensor,
    plan: DevicePlan,
    *,
    epoch: int | torch.Tensor,
    mlm_probability: float | torch.Tensor = 0.15,
    attention_mask: torch.Tensor | None = None,
    special_tokens_mask: torch.Tensor | None = None,
    labels: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks a padded batch, with the masks that the collator gives the same examples in the same epoch, to the bit.

    The function masks single tokens of torch tensors on any device. For numpy arrays on the host and any strategy, use
    `hf_dynmask.mask_tokens`.

    `epoch` and `mlm_probability` may be tensors, so that the host does not have to know them, and new values do not
    trigger recompilation. Values on the device are not checked, because the host would have to wait for them. Values
    out of range result in meaningless masks or in an error of torch.

    Args:
        input_ids: int64 `[batch, length]`, ids of the vocabulary, padded on any side.
        plan: from [`device_plan`], on the device of `input_ids`.
        epoch: the epoch, from 0, or int64 `[]`. If the collator has `num_mask_patterns=k`, pass `epoch % k`.
        mlm_probability: the fraction of tokens to mask, in [0, 1], or floats `[batch]` or `[]`. The rates of the
            collator are float64, and the float32 nearest to 0.15 is a different number. Each new Python number triggers
            recompilation.
        attention_mask: `[batch, length]`, 0 at padding and 1 elsewhere. Without it, a pad token is padding if it has no
            other role.
        special_tokens_mask: `[batch, length]`, 1 for tokens that are never masked, in addition to special tokens.
        labels: `[batch, length]`, -100 for tokens that are never masked.

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
    _check_batch(input_ids, plan, attention_mask=attention_mask, special_tokens_mask=special_tokens_mask, labels=labels)
    limit = _limit(mlm_probability, input_ids)
    attended = _attended(input_ids, plan, attention_mask)
    maskable = attended & ~plan.special[input_ids]
    if special_tokens_mask is not None:
        maskable = maskable & (special_tokens_mask == 0)
    if labels is not None:
        maskable = maskable & (labels != IGNORE_INDEX)
    positions = attended.cumsum(1) - attended.long()
    examples = example_hashes(plan.golden, input_ids, positions, attended)
    keys = stream_keys(plan.golden, plan.seed, examples, _pattern(epoch, input_ids.device))
    indices = spread(plan.golden, positions)
    masked = _selected(draw(keys, indices, Purpose.SELECTION), maskable, limit, plan.min_masked)
    replaced = _replaced(input_ids, keys, indices, plan)
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


def _limit(rate: float | torch.Tensor, input_ids: torch.Tensor) -> int | torch.Tensor:
    """The limit below which a draw masks its token: one number, or int64 `[batch or 1, 1]`."""
    if not isinstance(rate, torch.Tensor):
        remedy = "Pass a number or a tensor; of a schedule, its current value."
        return draw_limit(checked_fraction(rate, "mlm_probability", remedy))
    if not rate.is_floating_point() or not _is_tensor_beside(input_ids, rate, (), input_ids.shape[:1]):
        raise ValueError(
            f"`mlm_probability` must be a number, or a tensor of floats, one for each of {len(input_ids)} sequences or "
            f"one for all, on {input_ids.device}, but got {_describe(rate)}. Pass float64, as the collator does."
        )
    return draw_limits(rate).reshape(-1, 1)


def _attended(input_ids: torch.Tensor, plan: DevicePlan, attention_mask: torch.Tensor | None) -> torch.Tensor:
    """Which tokens are not padding: bool `[batch, length]`."""
    if attention_mask is not None:
        return attention_mask != 0
    if plan.pad_token_id is not None:
        return input_ids != plan.pad_token_id
    return torch.ones_like(input_ids, dtype=torch.bool)


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
