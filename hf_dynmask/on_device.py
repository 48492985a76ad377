"""The masks of `DataCollatorForDynamicMasking`, equal to the bit, of a batch that is on its device already.

For loops whose tokens never were on the host, or whose host is short of time. All is torch operations whose shapes do
not depend on values, so that the host never waits for the device, and `torch.compile` makes one graph of it. What the
collator does by strategy `"token"` is all there is.

torch has hardly any operations on unsigned integers, so its signed ones stand for them here: sums, products and the
lower bits of a shift are the same bits, only the bits that a shift to the right moves in must be cleared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from hf_dynmask import uniforms
from hf_dynmask.arguments import checked_fraction, checked_integer, checked_odds, checked_tokenizer
from hf_dynmask.ragged import IGNORE_INDEX
from hf_dynmask.uniforms import Purpose
from hf_dynmask.vocabulary import vocabulary_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_RANGE = 1 << 32
_MOST = (1 << 63) - 1


def _signed(number: int, bits: int) -> int:
    """The signed integer of the same bits."""
    return (number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


_GOLDEN_64 = int(uniforms._GOLDEN_64)
_GOLDEN_32 = _signed(int(uniforms._GOLDEN_32), 32)
_MIX_64 = [_signed(int(factor), 64) for factor in uniforms._MIX_64]
_MIX_32 = [_signed(int(factor), 32) for factor in uniforms._MIX_32]


class DevicePlan(NamedTuple):
    """All that is decided once, on its device: made by [`device_plan`].

    Attributes:
        special: bool `[ids]`, True for ids that are never masked.
        ordinary_ids: int64 `[n]`, the ids a random replacement is drawn from.
        seed: int64 `[]`, mixed already.
        mask_token_id: what a masked token becomes; None if no token does.
        pad_token_id: what is padding where nothing else tells; None if nothing is.
        mask_limit: masked tokens whose draw is below it become the mask token.
        random_limit: and those whose draw is below this one a random token.
        min_masked: at least so many labels in a sequence that has as many maskable tokens.
    """

    special: torch.Tensor
    ordinary_ids: torch.Tensor
    seed: torch.Tensor
    mask_token_id: int | None
    pad_token_id: int | None
    mask_limit: int
    random_limit: int
    min_masked: int


def device_plan(
    tokenizer: PreTrainedTokenizerBase,
    device: torch.device | str,
    *,
    seed: int = 0,
    mask_replace_prob: float = 0.8,
    random_replace_prob: float = 0.1,
    min_masked: int = 1,
) -> DevicePlan:
    """The tokenizer's tables and all else that does not change between batches; make it once, outside of the loop.

    Args:
        tokenizer: a transformers tokenizer; with a mask token, unless `mask_replace_prob` is 0.
        device: where the batches are.
        seed: as in [`DataCollatorForDynamicMasking`], as are the others.

    Raises:
        ValueError: if an argument is out of its range, or there is no mask token.
    """
    checked_tokenizer(tokenizer)
    mask, random = checked_odds(mask_replace_prob, random_replace_prob)
    vocabulary = vocabulary_of(tokenizer)
    if vocabulary.mask_token_id is None and mask > 0:
        raise ValueError(
            "`tokenizer` must have a mask token, but has none. Add one with "
            '`tokenizer.add_special_tokens({"mask_token": "[MASK]"})`, or do without: `mask_replace_prob=0.0`.'
        )
    mixed_seed = uniforms._mixed(checked_integer(seed, "seed", None, "Pass 0, for example."))
    ordinary_ids = (
        vocabulary.ordinary_ids if len(vocabulary.ordinary_ids) else np.zeros(1, np.int64)
    )  # looked up, unused
    return DevicePlan(
        special=torch.tensor(vocabulary.special, device=device),
        ordinary_ids=torch.tensor(ordinary_ids, device=device),
        seed=torch.tensor(_signed(int(mixed_seed[0]), 64), device=device),
        mask_token_id=vocabulary.mask_token_id if mask > 0 else None,
        pad_token_id=vocabulary.pad_token_id if vocabulary.pads_unmistakably else None,
        mask_limit=round(mask * _RANGE),
        random_limit=round(min(mask + random, 1.0) * _RANGE),
        min_masked=checked_integer(min_masked, "min_masked", 0, "Pass 0 to allow sequences without a label."),
    )


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
    """Masks a padded batch, to the bit as the collator masks the same examples in the same epoch.

    What changes from call to call may be a tensor, so that the host need not know it and nothing is compiled anew.
    Values on the device are not checked, as the host would have to wait for them; those that are out of their range
    give masks that mean nothing, or torch's own error.

    Args:
        input_ids: int64 `[batch, length]`, each in the tokenizer's vocabulary; padded on any side.
        plan: from [`device_plan`], on the device of `input_ids`.
        epoch: from 0, or int64 `[]`. Which of an example's masks: where the collator has `num_mask_patterns=k`, pass
            `epoch % k`.
        mlm_probability: in [0, 1]; or floats `[batch]` or `[]`. The collator's rates are float64: float32 has other
            nearest numbers.
        attention_mask: `[batch, length]` of 0, where padded, and 1. Without it, a pad token is padding if it has no
            other role.
        special_tokens_mask: `[batch, length]`, 1 where never to mask, besides the tokenizer's special tokens.
        labels: `[batch, length]`, -100 where never to mask.

    Returns:
        The masked ids, and the original ids of masked tokens, -100 elsewhere: int64 `[batch, length]` each.

    Raises:
        ValueError: for a dtype, shape or device that is not as above, or a number out of its range.

    Example:

        >>> plan = device_plan(tokenizer, "cpu", seed=1)
        >>> batch = tokenizer(["the cat sat on a mat", "the dog"], padding=True, return_tensors="pt")
        >>> inputs, labels = mask_tokens(batch["input_ids"], plan, epoch=torch.tensor(0), mlm_probability=0.3)
        >>> (labels != -100).sum(1).tolist()
        [2, 1]
    """
    _check_batch(input_ids, plan, attention_mask=attention_mask, special_tokens_mask=special_tokens_mask, labels=labels)
    limit = _limit(mlm_probability, len(input_ids))
    attended = _attended(input_ids, plan, attention_mask)
    maskable = attended & ~plan.special[input_ids]
    if special_tokens_mask is not None:
        maskable = maskable & (special_tokens_mask == 0)
    if labels is not None:
        maskable = maskable & (labels != IGNORE_INDEX)
    positions = attended.cumsum(1) - attended.long()
    keys = _stream_keys(_example_hashes(input_ids, positions, attended), plan, epoch)
    masked = _selected(_draws(keys, positions, Purpose.SELECTION), maskable, limit, plan.min_masked)
    replaced = _replaced(input_ids, keys, positions, plan)
    return torch.where(masked, replaced, input_ids), torch.where(masked, input_ids, IGNORE_INDEX)


def _check_batch(input_ids: torch.Tensor, plan: DevicePlan, **columns: torch.Tensor | None) -> None:
    if not isinstance(input_ids, torch.Tensor) or input_ids.dtype != torch.int64 or input_ids.dim() != 2:
        raise ValueError(
            f"`input_ids` must be an int64 tensor `[batch, length]`, but got {_described(input_ids)}. Pad the batch, "
            "and pass `input_ids.long()`."
        )
    if input_ids.device != plan.special.device:
        raise ValueError(
            f"`plan` must be on the device of `input_ids`, {input_ids.device}, but is on {plan.special.device}. Make "
            "it with `device_plan(tokenizer, input_ids.device)`, once."
        )
    for name, column in columns.items():
        if column is not None and (not isinstance(column, torch.Tensor) or column.shape != input_ids.shape):
            raise ValueError(
                f"`{name}` must be a tensor with a value for each of `input_ids`, {list(input_ids.shape)}, but got "
                f"{_described(column)}. Pass None to do without."
            )


def _described(value: object) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"


def _limit(rate: float | torch.Tensor, batch: int) -> int | torch.Tensor:
    """Tokens are masked whose draw is below it: one number, or int64 `[batch or 1, 1]`."""
    if not isinstance(rate, torch.Tensor):
        remedy = "Pass a number or a tensor; where it follows a schedule, the schedule's value."
        return round(checked_fraction(rate, "mlm_probability", remedy) * _RANGE)
    if not rate.is_floating_point() or rate.shape not in ((), (batch,)):
        raise ValueError(
            f"`mlm_probability` must be a number, or a tensor of floats with one for each of {batch} sequences or one "
            f"for all, but got {_described(rate)}. Pass one of float64 to have the collator's masks."
        )
    exact = rate.to(torch.promote_types(rate.dtype, torch.float32))  # half precision does not reach 2**32
    return (exact * _RANGE).round().long().reshape(-1, 1)


def _attended(input_ids: torch.Tensor, plan: DevicePlan, attention_mask: torch.Tensor | None) -> torch.Tensor:
    """Which tokens are not padding: bool `[batch, length]`."""
    if attention_mask is not None:
        return attention_mask != 0
    if plan.pad_token_id is not None:
        return input_ids != plan.pad_token_id
    return torch.ones_like(input_ids, dtype=torch.bool)


def _example_hashes(input_ids: torch.Tensor, positions: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """[`uniforms.example_hashes`]: int64 `[batch, 1]`. Padding counts for nothing."""
    places = torch.arange(1, input_ids.shape[1] + 1, device=input_ids.device)
    multipliers = _mix64(places * _signed(_GOLDEN_64, 64)) | 1
    terms = (input_ids + 1) * multipliers[positions]
    return terms.where(attended, 0).sum(1, keepdim=True)


def _stream_keys(examples: torch.Tensor, plan: DevicePlan, epoch: int | torch.Tensor) -> torch.Tensor:
    """[`uniforms.stream_keys`]: int64 `[batch, 1]`."""
    if not isinstance(epoch, torch.Tensor):
        number = checked_integer(epoch, "epoch", 0, "Count epochs from 0.", _MOST)
        epoch = torch.full((), number, dtype=torch.int64, device=examples.device)
    elif epoch.dtype != torch.int64 or epoch.dim():
        raise ValueError(f"`epoch` must be an integer, or int64 `[]`, but got {_described(epoch)}.")
    return _mix64(_mix64(examples ^ plan.seed) + _mix64(epoch + _signed(_GOLDEN_64, 64)))


def _draws(keys: torch.Tensor, positions: torch.Tensor, purpose: Purpose) -> torch.Tensor:
    """[`uniforms.draws`]: int64 `[batch, length]`, in [0, 2**32)."""
    mixed = _mix64(keys + _signed(purpose * _GOLDEN_64, 64))
    low, high = mixed.to(torch.int32), (mixed >> 32).to(torch.int32)
    state = _mix32(positions.to(torch.int32) * _GOLDEN_32 + low)
    return _mix32(state ^ high).long() & (_RANGE - 1)


def _selected(
    numbers: torch.Tensor, maskable: torch.Tensor, limit: int | torch.Tensor, min_masked: int
) -> torch.Tensor:
    """Which tokens are masked, bool `[batch, length]`: those below the limit, which rises to the `min_masked` lowest.

    No two draws of a sequence are equal, so that it lets in as many as are missing, and no more.
    """
    few = min(min_masked, numbers.shape[1])
    if few:
        ranked = numbers.where(maskable, _RANGE)
        # one is the usual case, for which there is a reduction, fused with the rest where all is compiled
        last = ranked.amin(1, keepdim=True) if few == 1 else ranked.topk(few, dim=1, largest=False).values[:, -1:]
        limit = (last + 1).clamp(min=limit)
    return maskable & (numbers < limit)


def _replaced(input_ids: torch.Tensor, keys: torch.Tensor, positions: torch.Tensor, plan: DevicePlan) -> torch.Tensor:
    """What each token becomes where it is masked: int64 `[batch, length]`."""
    kind = _draws(keys, positions, Purpose.REPLACEMENT)
    index = (_draws(keys, positions, Purpose.RANDOM_ID) * len(plan.ordinary_ids)) >> 32
    replaced = torch.where(kind < plan.random_limit, plan.ordinary_ids[index], input_ids)
    if plan.mask_token_id is None:
        return replaced
    return torch.where(kind < plan.mask_limit, plan.mask_token_id, replaced)


def _mix64(values: torch.Tensor) -> torch.Tensor:
    """[`uniforms.mix64`], of int64; in place, as fresh memory costs more than the arithmetic where nothing compiles."""
    values ^= _shifted(values, 30, 64)
    values *= _MIX_64[0]
    values ^= _shifted(values, 27, 64)
    values *= _MIX_64[1]
    values ^= _shifted(values, 31, 64)
    return values


def _mix32(state: torch.Tensor) -> torch.Tensor:
    """[`uniforms._mix32`], of int32; in place."""
    state ^= _shifted(state, 16, 32)
    state *= _MIX_32[0]
    state ^= _shifted(state, 15, 32)
    state *= _MIX_32[1]
    state ^= _shifted(state, 15, 32)
    return state


def _shifted(values: torch.Tensor, places: int, bits: int) -> torch.Tensor:
    """To the right, with zeros moving in."""
    return (values >> places).bitwise_and_((1 << (bits - places)) - 1)
