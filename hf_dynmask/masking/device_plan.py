"""The tables and settings of masks on a device, which do not change between batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from hf_dynmask.core.checks import checked_integer, checked_replacement_probs, checked_tokenizer
from hf_dynmask.core.draws_torch import draw_limit, golden, mixed_seed
from hf_dynmask.masking.device_units import DeviceUnits, device_units
from hf_dynmask.strategies import Strategy, resolve_strategy
from hf_dynmask.vocabulary.vocabulary import check_mask_token, read_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class DevicePlan(NamedTuple):
    """Tables and settings on a device, made by [`device_plan`].

    Attributes:
        special: bool `[ids]`, True for ids that are never masked.
        ordinary_ids: int64 `[n]`, the ids from which random replacements are drawn.
        golden: int64 `[]`, a constant of the hash.
        seed: int64 `[]`, the mixed seed.
        mask_token_id: the id of the mask token; None if no token becomes the mask token.
        pad_token_id: the id that is padding if there is no `attention_mask`; None if there is no such id.
        mask_limit: masked tokens whose draws are below it become the mask token.
        random_limit: the other masked tokens whose draws are below it become a random token.
        min_masked: the minimum number of labels in a sequence that has as many maskable tokens.
        units: which tokens are masked together; None for single tokens.
    """

    special: torch.Tensor
    ordinary_ids: torch.Tensor
    golden: torch.Tensor
    seed: torch.Tensor
    mask_token_id: int | None
    pad_token_id: int | None
    mask_limit: int
    random_limit: int
    min_masked: int
    units: DeviceUnits | None


def device_plan(
    tokenizer: PreTrainedTokenizerBase,
    device: torch.device | str,
    *,
    strategy: str | Strategy = "token",
    seed: int = 0,
    mask_replace_prob: float = 0.8,
    random_replace_prob: float = 0.1,
    min_masked: int = 1,
) -> DevicePlan:
    """The tables and settings that do not change between batches. Make them once, before the loop.

    Args:
        tokenizer: a transformers tokenizer, with a mask token unless `mask_replace_prob` is 0. The plan does not follow
            later changes to the tokenizer: make a new plan.
        device: the device of the batches.
        strategy: `"token"`, `"whole_word"`, `"span"`, `"ngram"`, or such a strategy with arguments, except for a
            segmenter.
        seed: any integer; pass the seed of the collator to get its masks.
        mask_replace_prob: the probability that a masked token becomes the mask token.
        random_replace_prob: the probability that it becomes a random token.
        min_masked: the minimum number of labels in a sequence that has as many maskable tokens.

    Raises:
        ValueError: if an argument is out of its range, there is no mask token, or a strategy needs more than the ids.
    """
    checked_tokenizer(tokenizer)
    mask, random = checked_replacement_probs(mask_replace_prob, random_replace_prob)
    vocabulary = read_vocabulary(tokenizer)
    if mask > 0:
        check_mask_token(vocabulary, "`mask_replace_prob=0.0` to do without")
    seed = checked_integer(seed, "seed", None, "Pass 0, for example.")
    random_ids = vocabulary.ordinary_ids
    if not len(random_ids):  # no token is ever masked, but replacements are still looked up
        random_ids = np.zeros(1, np.int64)
    return DevicePlan(
        special=torch.tensor(vocabulary.special, device=device),
        ordinary_ids=torch.tensor(random_ids, device=device),
        golden=golden(device),
        seed=torch.tensor(mixed_seed(seed), device=device),
        mask_token_id=vocabulary.mask_token_id if mask > 0 else None,
        pad_token_id=vocabulary.pad_token_id if vocabulary.pad_is_unambiguous else None,
        mask_limit=draw_limit(mask),
        random_limit=draw_limit(min(mask + random, 1.0)),
        min_masked=checked_integer(min_masked, "min_masked", 0, "Pass 0 to allow sequences without a label."),
        units=device_units(resolve_strategy(strategy), vocabulary, device),
    )
