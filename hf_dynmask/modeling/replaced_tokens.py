"""Replaced-token detection: the batch of a discriminator, from a batch of masked tokens."""

from __future__ import annotations

import copy
from collections.abc import MutableMapping
from typing import Any, TypeVar

import torch

from hf_dynmask.core.checks import checked_integer, checked_positive
from hf_dynmask.core.draws import Purpose
from hf_dynmask.core.draws_torch import draw, example_terms, golden, mixed_seed, spread, stream_keys
from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.masking.device_checks import describe, pattern_of
from hf_dynmask.masking.device_flat import flat_sequences
from hf_dynmask.modeling.categorical_sampling import sample_ids
from hf_dynmask.modeling.sequence_layout import sequences_of

Batch = TypeVar("Batch", bound=MutableMapping[str, Any])


@torch.no_grad()
def replaced_token_batch(
    batch: Batch,
    logits: torch.Tensor | None = None,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    epoch: int | torch.Tensor | None = None,
) -> Batch:
    """The batch of a discriminator, which predicts for each token whether it is a replacement.

    With `logits`, this is the replaced-token detection of ELECTRA (Clark et al. 2020) and DeBERTa-v3: a token that a
    small masked language model, the generator, samples replaces each masked token. The loss of ELECTRA is that of the
    generator plus 50 times that of the discriminator. No gradient flows through the samples.

    Without `logits`, it is random token substitution (Di Liello et al. 2022), which needs no generator: the batch is
    that of a collator with `mask_replace_prob=0.0, random_replace_prob=1.0`, which has replaced the masked tokens
    itself.

    A sample is a pure function of the logits, the seed, the original ids of the sequence, the epoch and the position:
    the inverse of the cumulative distribution at the draw of that token. It does not depend on the batch, its layout,
    ranks or a resume, and no random state is read or changed.

    Args:
        batch: from [`DataCollatorForDynamicMasking`], on any device, with torch tensors: padded, padding-free or
            packed. It does not change.
        logits: floats, of a generator for this batch: `[batch, length, vocabulary]`; or at masked tokens only,
            `[1, masked, vocabulary]` as with [`sparse_prediction`], or `[masked, vocabulary]`. The discriminator has
            the same vocabulary. None if the batch holds the replacements.
        temperature: divides the logits: above 1 for more diverse samples, and close to 0 for the most probable id.
        seed: any integer.
        epoch: from 0, or int64 `[]`, so that the samples of an example differ between epochs even if its logits do not;
            required with `logits`. The views of an example (`views=2` of the collator) share their draws.

    Returns:
        A mapping of the type of `batch`, with its other columns except for `mask_rate`, and

            - **input_ids**: int64, of the same shape: the original ids, with replacements at masked tokens.
            - **labels**: int64, of that shape: 1 where an id differs from the original, 0 for other tokens, special
              ones included, and -100 at padding. A sample that equals the original counts as original, as in ELECTRA.

        `ElectraForPreTraining` ignores padding where `attention_mask` is 0, and a token classification model with two
        classes where labels are -100. A packed batch has no `attention_mask`, so use token classification for it. In a
        padding-free batch, the tokens that `pad_to_multiple_of` adds are a sequence like others, and count as original.

    Raises:
        ValueError: if a tensor has another dtype, shape or device than above, an argument is out of its range, or the
            highest logit of a masked token is not finite.

    Example:

        >>> from hf_dynmask import DataCollatorForDynamicMasking
        >>> collator = DataCollatorForDynamicMasking(tokenizer, mlm_probability=0.4, seed=1)
        >>> batch = collator([tokenizer("the cat sat on a mat")], epoch=0)
        >>> logits = torch.zeros(1, 8, len(tokenizer))  # generator(**batch).logits
        >>> replaced = replaced_token_batch(batch, logits, seed=1, epoch=0)
        >>> tokenizer.decode(replaced["input_ids"][0])
        '[CLS] the cat year unbelievable a mat [SEP]'
        >>> replaced["labels"].tolist()
        [[0, 0, 0, 1, 1, 0, 0, 0]]
    """
    _check(batch, logits, temperature, epoch)
    ids, labels = batch["input_ids"], batch["labels"]
    masked = labels != IGNORE_INDEX
    original = torch.where(masked, labels, ids)
    numbers, attended = sequences_of(batch)
    if logits is not None:
        draws = _draws(original, numbers, attended, seed, epoch)[masked]
        sampled = sample_ids(_at_masked(logits, masked, len(draws)), draws, float(temperature))
        ids = original.masked_scatter(masked, sampled)
    replaced = copy.copy(batch)
    replaced["input_ids"] = ids
    replaced["labels"] = (ids != original).long().where(attended, IGNORE_INDEX)
    replaced.pop("mask_rate", None)
    return replaced


def _draws(
    original: torch.Tensor, numbers: torch.Tensor, attended: torch.Tensor, seed: int, epoch: Any
) -> torch.Tensor:
    """A uniform integer in [0, 2**32) for each token: int64 `[batch, length]`."""
    if not original.numel():
        return original
    constant = golden(original.device)
    mixed = mixed_seed(checked_integer(seed, "seed", None, "Pass 0, for example."))
    order, ids, sequences, positions = flat_sequences(original, numbers, attended)
    examples = sequences.total(example_terms(constant, ids, positions))
    pattern = pattern_of(epoch, original.device)
    keys = stream_keys(constant, torch.tensor(mixed, device=original.device), examples, pattern)
    draws = torch.empty_like(ids)
    draws[order] = draw(keys, spread(constant, positions), Purpose.SAMPLE)
    return draws.reshape(original.shape)


def _at_masked(logits: torch.Tensor, masked: torch.Tensor, count: int) -> torch.Tensor:
    """The logits of masked tokens: `[masked, vocabulary]`.

    Raises:
        ValueError: if they have another number of tokens.
    """
    if logits.shape[:-1] == masked.shape:
        return logits[masked]
    if logits.shape[:-1] not in ((count,), (1, count)):
        raise ValueError(
            f"`logits` must be `[{masked.shape[0]}, {masked.shape[1]}, vocabulary]`, or `[1, {count}, vocabulary]` for "
            f"the {count} masked tokens of `batch`, but got shape {list(logits.shape)}. Pass the logits for this batch."
        )
    return logits.reshape(count, logits.shape[-1])


def _check(batch: Any, logits: Any, temperature: Any, epoch: Any) -> None:
    _check_batch(batch)
    if logits is not None and epoch is None:
        raise ValueError(
            "`epoch` must be given with `logits`, so that the samples of an example differ between epochs, but got "
            "None. Pass the epoch of the batch, from 0."
        )
    if checked_positive(temperature, "temperature") != 1.0 and logits is None:
        raise ValueError(
            "`temperature` must be left at 1.0 without `logits`, from which it samples tokens, but got "
            f"{temperature!r}. Pass the logits of a generator."
        )
    if logits is not None and not _are_of_tokens(logits, batch["input_ids"].device):
        raise ValueError(
            f"`logits` must be a tensor of floats `[..., vocabulary]` on {batch['input_ids'].device}, but got "
            f"{_describe(logits)}. Pass `generator(**batch).logits`, or None for random token substitution."
        )


def _check_batch(batch: Any) -> None:
    for name in ("input_ids", "labels"):
        values = batch.get(name) if isinstance(batch, MutableMapping) else None
        if not isinstance(values, torch.Tensor) or values.dtype != torch.int64 or values.dim() != 2:
            raise ValueError(
                f"`batch` must be a mapping whose `{name}` are an int64 tensor `[batch, length]`, but got "
                f"{_describe(batch if values is None else values)}. Pass a batch of `DataCollatorForDynamicMasking`."
            )
    ids, labels = batch["input_ids"], batch["labels"]
    if (labels.shape, labels.device) != (ids.shape, ids.device):
        raise ValueError(
            f"`batch` must have `labels` for its `input_ids`, {_describe(ids)}, but got {_describe(labels)}. Pass a "
            "batch of `DataCollatorForDynamicMasking`."
        )


def _are_of_tokens(logits: Any, device: torch.device) -> bool:
    if not isinstance(logits, torch.Tensor) or not logits.is_floating_point() or logits.device != device:
        return False
    return logits.dim() in (2, 3) and logits.shape[-1] > 0


def _describe(value: object) -> str:
    return f"the keys {sorted(value)}" if isinstance(value, MutableMapping) else describe(value)
