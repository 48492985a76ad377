"""Checks what a model is given against what was asked, from the batch alone.

A mask is a pure function, and a batch holds its own originals: `labels` where they are not -100, `input_ids` elsewhere.
So the masks of an epoch and a rate can be worked out again and compared to the bit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.collators.span_corruption import DataCollatorForSpanCorruption
from hf_dynmask.core.checks import checked_integer, checked_rate
from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.rates.schedules import FixedRate
from hf_dynmask.trainer.audit_columns import NotAuditableError
from hf_dynmask.trainer.audit_masks import MaskedTokens, restore_masked_tokens
from hf_dynmask.trainer.audit_spans import CorruptedSpans, restore_corrupted_spans

_RESTRICT = ("special_tokens_mask", "labels")
_SPREAD = "rates depend on the whole collated batch (`low_discrepancy=True`), of which this batch may be a part"


class Audit(NamedTuple):
    """What a check of a batch found.

    Attributes:
        kind: `"full"`: each label and each masked id was compared with what was asked; `"partial"`: only what follows
            without what the batch does not hold; `"none"`: nothing could be checked.
        reason: why the check is not full, in words; empty if it is.
        matches: False if the batch differs from what was asked. True if `kind` is `"none"`, as nothing was compared.
        masked: the number of masked tokens.
        eligible: the number of tokens that may be masked, as far as the ids tell.

    >>> audit = Audit("full", reason="", matches=True, masked=30, eligible=200)
    >>> audit.masked / audit.eligible  # the observed rate
    0.15
    """

    kind: str
    reason: str
    matches: bool
    masked: int
    eligible: int


class Verdict(NamedTuple):
    """A comparison with what was asked: its kind and reason as in [`Audit`], and bool `[sequences]`, which differ."""

    kind: str
    reason: str
    differs: np.ndarray


def audit_batch(
    collator: Any,
    batch: Mapping[str, Any],
    *,
    epoch: int,
    rate: FixedRate | None = None,
    columns: Collection[str] = (),
) -> Audit:
    """Checks that the masks of a batch are those of this epoch and rate.

    What a check needs is worked out from the ids alone, so the batch may hold any part of what was collated, and on any
    device. A check of a part of the masks (see `columns`) recognizes a wrong epoch or seed by the ids that replace
    masked tokens, and a mask at a higher rate where each unit has a draw and a probability of its own.

    Args:
        collator: the one that made the batch, a `DataCollatorForDynamicMasking` or `DataCollatorForSpanCorruption`.
            Its arguments are what was asked. Batches of any other collator are not checked.
        batch: what the model is given: `input_ids` and `labels`, torch tensors or numpy arrays of integers
            `[sequences, length]`, and `attention_mask`, 0 where to be ignored; or, without padding, `[1, tokens]`, and
            `position_ids` or `cu_seq_lens_q`.
        epoch: the epoch that the masks are for, from 0.
        rate: the rate that was asked of this batch, a number in [0, 1] or a distribution; None for the collator's own.
        columns: the names of the examples' columns. Of these, `special_tokens_mask`, `labels` and what the strategy
            reads decide about masks and are not in the batch, so that the check is partial, unless the masks are those
            without these columns.

    Returns:
        An [`Audit`].

    Raises:
        ValueError: if `epoch` or `rate` is out of its range, or `rate` is None and the collator's own is a schedule.

    Example:

        >>> from hf_dynmask import DataCollatorForDynamicMasking
        >>> collator = DataCollatorForDynamicMasking(tokenizer, mlm_probability=0.3, seed=1)
        >>> collator.set_epoch(2)
        >>> batch = collator([tokenizer("the cat sat on a mat and the dog ran to the house")])
        >>> audit_batch(collator, batch, epoch=2).matches, audit_batch(collator, batch, epoch=3).matches
        (True, False)
    """
    try:
        restored = restore_batch(collator, batch)
    except NotAuditableError as reason:
        return Audit("none", str(reason), True, 0, 0)
    verdict = compare(collator, restored, batch, epoch, rate, columns)
    masked, eligible = int(restored.masked_per_sequence.sum()), int(restored.eligible_per_sequence.sum())
    return Audit(verdict.kind, verdict.reason, not verdict.differs.any(), masked, eligible)


def restore_batch(collator: Any, batch: Mapping[str, Any]) -> MaskedTokens | CorruptedSpans:
    """The sequences of a batch before they were masked.

    Raises:
        NotAuditableError: if they cannot be restored.
    """
    if not isinstance(batch, Mapping):
        raise NotAuditableError(f"the batch is a {type(batch).__name__} and no mapping")
    if isinstance(collator, DataCollatorForDynamicMasking):
        return restore_masked_tokens(collator, batch)
    if isinstance(collator, DataCollatorForSpanCorruption):
        return restore_corrupted_spans(collator, batch)
    if isinstance(collator, EpochAwareCollator):
        raise NotAuditableError(f"the batch of a {type(collator).__name__} does not hold the original ids")
    raise NotAuditableError(f"the masks of a {type(collator).__name__} cannot be worked out again")


def compare(
    collator: Any,
    restored: MaskedTokens | CorruptedSpans,
    batch: Mapping[str, Any],
    epoch: int,
    rate: FixedRate | None,
    columns: Collection[str],
) -> Verdict:
    """Compares a batch with what was asked of it. For the arguments, see [`audit_batch`]."""
    pattern = collator._pattern(checked_integer(epoch, "epoch", 0, "Count epochs from 0."))
    asked = _checked_rate(collator, rate)
    read = restored.columns
    missing = [*read, *(name for name in _RESTRICT if name in columns and name not in read)]
    spread = isinstance(asked, RateDistribution) and asked.low_discrepancy
    if not read:
        differs = restored.differing(asked, pattern)
        if not differs.any() or not (missing or spread):
            return Verdict("full", "", differs)
    if spread and not missing:
        rates = _rates_in(batch, collator, len(restored.masked_per_sequence))
        if rates is not None:
            return Verdict("full", "", np.logical_and.reduce([restored.differing(each, pattern) for each in rates]))
    reason = _missing(missing) if missing else _SPREAD
    return Verdict("partial", reason, restored.contradicting(None if spread else asked, pattern))


def _missing(columns: Collection[str]) -> str:
    named = ", ".join(f"`{name}`" for name in columns)
    return f"the masks also depend on what the examples have in {named}, which the batch does not hold"


def _checked_rate(collator: Any, rate: FixedRate | None) -> FixedRate:
    asked = collator.rate if rate is None else rate
    if isinstance(asked, RateDistribution):
        return asked
    if rate is None and callable(asked):
        raise ValueError(
            f"`rate` must be given where `{collator.rate_argument}` is a schedule, but got None. Pass the rate that "
            "was asked of this batch, a number or a distribution."
        )
    return checked_rate(asked, "rate")


def _rates_in(batch: Mapping[str, Any], collator: Any, sequences: int) -> list[np.ndarray] | None:
    """The batch's own `mask_rate` and its neighbors, float64 `[sequences]` each; None if it has none.

    It was rounded to single precision, so that a draw may lie between it and the rate itself.
    """
    values = batch.get("mask_rate") if getattr(collator, "return_mask_rate", False) else None
    rates = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
    if not isinstance(rates, np.ndarray) or rates.dtype != np.float32 or rates.shape != (sequences,):
        return None
    if not ((rates >= 0) & (rates <= 1)).all():
        return None
    limits = (rates, np.nextafter(rates, np.float32(0)), np.nextafter(rates, np.float32(1)))
    return [limit.astype(np.float64) for limit in limits]
