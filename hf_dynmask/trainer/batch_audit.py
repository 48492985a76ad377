"""Checks whether a batch has the expected masks, from the batch alone.

Masking is a pure function, and a batch contains its own original ids: in `labels` where a label is not -100, and in
`input_ids` everywhere else. The masks of an epoch and a rate can therefore be recomputed from the batch and compared
bit by bit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.collators.span_corruption import DataCollatorForSpanCorruption
from hf_dynmask.core.checks import checked_epoch, checked_rate
from hf_dynmask.loading.batch_position import MASK_INPUT_COLUMNS
from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.rates.schedules import FixedRate
from hf_dynmask.trainer.audit_columns import NotAuditableError
from hf_dynmask.trainer.audit_masks import MaskedTokens, restore_masked_tokens
from hf_dynmask.trainer.audit_spans import CorruptedSpans, restore_corrupted_spans


class Audit(NamedTuple):
    """The result of checking a batch.

    Attributes:
        coverage: `"full"` if all labels and all masked ids were compared with the expected ones; `"partial"` if the
            batch does not contain everything that its masks depend on, so only some properties were checked; `"none"`
            if nothing could be checked.
        reason: why the coverage is not full; empty if it is.
        matches: False if the batch differs from the expected masks. True if `coverage` is `"none"`, because
            nothing was compared.
        masked: the number of masked tokens.
        maskable: the number of tokens that can be masked, as far as their ids tell.

    >>> audit = Audit("full", reason="", matches=True, masked=30, maskable=200)
    >>> audit.masked / audit.maskable  # the observed rate
    0.15
    """

    coverage: str
    reason: str
    matches: bool
    masked: int
    maskable: int


class Comparison(NamedTuple):
    """A comparison of a batch with the expected masks.

    Attributes:
        coverage: as in [`Audit`].
        reason: as in [`Audit`].
        mismatches: bool `[sequences]`, True if a sequence differs.
    """

    coverage: str
    reason: str
    mismatches: np.ndarray


def audit_batch(
    collator: Any,
    batch: Mapping[str, Any],
    *,
    epoch: int,
    rate: FixedRate | None = None,
    columns: Collection[str] = (),
) -> Audit:
    """Checks whether a batch has the masks of an epoch and a rate.

    The check uses only the ids in the batch. The batch may therefore be any part of a collated batch, on any device. A
    partial check (see `columns`) detects a wrong epoch or seed from the ids that replace masked tokens. It also detects
    masks of a higher rate if each unit of the strategy has its own draw and its own probability.

    Args:
        collator: the collator that made the batch, a `DataCollatorForDynamicMasking` or
            `DataCollatorForSpanCorruption`. Its arguments determine the expected masks. Batches of other collators are
            not checked.
        batch: the inputs of the model: `input_ids` and `labels`, torch tensors or numpy arrays of integers
            `[sequences, length]`, and `attention_mask`, which is 0 at padding. Without padding, the shape is
            `[1, tokens]`, and the batch has `position_ids` or `cu_seq_lens_q`.
        epoch: the epoch of the expected masks, from 0.
        rate: the expected rate of this batch, a number in [0, 1] or a distribution; None for the rate of the collator.
        columns: the names of the columns of the examples. Masks depend on `special_tokens_mask`, `labels` and the
            columns that the strategy reads, but the batch does not contain these. The check is then partial, unless
            the masks are the same as without these columns.

    Returns:
        An [`Audit`].

    Raises:
        ValueError: if `epoch` or `rate` is out of its range, or if `rate` is None and the collator has a schedule.

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
    comparison = compare(collator, restored, batch, epoch, rate, columns)
    masked, maskable = int(restored.masked_per_sequence.sum()), int(restored.maskable_per_sequence.sum())
    return Audit(comparison.coverage, comparison.reason, not comparison.mismatches.any(), masked, maskable)


def restore_batch(collator: Any, batch: Mapping[str, Any]) -> MaskedTokens | CorruptedSpans:
    """Restores the original sequences of a batch.

    Raises:
        NotAuditableError: if the sequences cannot be restored.
    """
    name = type(collator).__name__
    if not isinstance(batch, Mapping):
        raise NotAuditableError(f"the batch is a {type(batch).__name__}, not a mapping")
    if isinstance(collator, DataCollatorForDynamicMasking):
        return restore_masked_tokens(collator, batch)
    if isinstance(collator, DataCollatorForSpanCorruption):
        return restore_corrupted_spans(collator, batch)
    if isinstance(collator, EpochAwareCollator):
        raise NotAuditableError(f"the batches of {name} do not contain the original ids")
    raise NotAuditableError(f"the masks of {name} cannot be recomputed")


def compare(
    collator: Any,
    restored: MaskedTokens | CorruptedSpans,
    batch: Mapping[str, Any],
    epoch: int,
    rate: FixedRate | None,
    columns: Collection[str],
) -> Comparison:
    """Compares a batch with the expected masks. See [`audit_batch`] for the arguments."""
    pattern = collator._pattern(checked_epoch(epoch))
    expected = _expected_rate(collator, rate)
    missing = _missing_columns(restored.strategy_columns, columns)
    mismatches = _full_mismatches(collator, restored, batch, expected, pattern, missing)
    if mismatches is not None:
        return Comparison("full", "", mismatches)
    known = None if _depends_on_whole_batch(expected) else expected
    return Comparison("partial", _partial_reason(missing), restored.find_contradictions(known, pattern))


def _full_mismatches(
    collator: Any,
    restored: MaskedTokens | CorruptedSpans,
    batch: Mapping[str, Any],
    rate: FixedRate,
    pattern: int,
    missing: Collection[str],
) -> np.ndarray | None:
    """bool `[sequences]`: True if a sequence differs; None if a full check is impossible."""
    if not restored.strategy_columns:
        mismatches = restored.find_mismatches(rate, pattern)
        if not mismatches.any() or not (missing or _depends_on_whole_batch(rate)):
            return mismatches
    recorded = None if missing else _recorded_rates(batch, collator, len(restored.masked_per_sequence))
    if recorded is None:
        return None
    return np.logical_and.reduce([restored.find_mismatches(rates, pattern) for rates in recorded])


def _missing_columns(strategy_columns: Collection[str], columns: Collection[str]) -> list[str]:
    """The columns that the masks may depend on and that the batch does not contain."""
    eligibility = [name for name in MASK_INPUT_COLUMNS if name in columns and name not in strategy_columns]
    return [*strategy_columns, *eligibility]


def _partial_reason(missing: Collection[str]) -> str:
    if not missing:
        return "the rates depend on the whole collated batch (`low_discrepancy=True`), and this may be a part of it"
    names = ", ".join(f"`{name}`" for name in missing)
    return f"the masks also depend on {names} of the examples, which the batch does not contain"


def _depends_on_whole_batch(rate: FixedRate) -> bool:
    return isinstance(rate, RateDistribution) and rate.low_discrepancy


def _expected_rate(collator: Any, rate: FixedRate | None) -> FixedRate:
    expected = collator.rate if rate is None else rate
    if isinstance(expected, RateDistribution):
        return expected
    if rate is None and callable(expected):
        raise ValueError(
            f"`rate` must be given if `{collator.rate_argument}` is a schedule, but got None. Pass the expected rate "
            "of this batch, a number or a distribution."
        )
    return checked_rate(expected, "rate")


def _recorded_rates(batch: Mapping[str, Any], collator: Any, sequences: int) -> list[np.ndarray] | None:
    """The `mask_rate` of the batch and its two float32 neighbors, float64 `[sequences]` each; None if it has none.

    `mask_rate` is rounded to single precision, so a draw may lie between it and the exact rate.
    """
    values = batch.get("mask_rate") if getattr(collator, "return_mask_rate", False) else None
    rates = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
    if not isinstance(rates, np.ndarray) or rates.dtype != np.float32 or rates.shape != (sequences,):
        return None
    if not ((rates >= 0) & (rates <= 1)).all():
        return None
    candidates = (rates, np.nextafter(rates, np.float32(0)), np.nextafter(rates, np.float32(1)))
    return [candidate.astype(np.float64) for candidate in candidates]
