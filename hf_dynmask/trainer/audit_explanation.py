"""Tells which masks a batch has, where they are not those that were asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.rates.schedules import FixedRate
from hf_dynmask.trainer.audit import compare, restore_batch
from hf_dynmask.trainer.audit_masks import MaskedTokens
from hf_dynmask.trainer.audit_spans import CorruptedSpans

_HALVINGS = 32  # a rate is compared with draws of 32 bits


class Candidate(NamedTuple):
    """Masks that a batch may have.

    Attributes:
        label: what they are called, such as "step 13".
        epoch: from 0.
        rate: a number in [0, 1] or a distribution; None for the collator's own.
    """

    label: str
    epoch: int
    rate: FixedRate | None = None


class Explanation(NamedTuple):
    """Which masks a batch has. As a `str`, it goes on from "the model was given ".

    Attributes:
        candidate: the first candidate with the most matching sequences; None if none matches one.
        complete: whether all sequences match it.
        other_rate: the rate at which all sequences match its epoch, where they do not at its own; None otherwise.
        matching: the sequences with masked tokens that match it.
        sequences: the sequences with masked tokens.
        observed_rate: the fraction of masked tokens among those that may be masked.
        tried: the number of candidates.
    """

    candidate: Candidate | None
    complete: bool
    other_rate: float | None
    matching: int
    sequences: int
    observed_rate: float
    tried: int

    def __str__(self) -> str:
        if self.candidate is None:
            return f"masks of none of {self.tried} candidates ({100 * self.observed_rate:.3g} % of the tokens)"
        if self.other_rate is not None:
            return f"masks of the epoch of {self.candidate.label}, but at a rate of {self.other_rate:.3g}"
        if self.complete:
            return f"masks of {self.candidate.label}{_format_rate(self.candidate.rate)}"
        return f"masks of {self.candidate.label} in {self.matching} of {self.sequences} sequences only"


def explain_mismatch(
    collator: Any,
    batch: Mapping[str, Any],
    asked: Candidate,
    candidates: Iterable[Candidate],
    columns: Collection[str] = (),
) -> Explanation:
    """Tells which masks a batch has that [`audit_batch`] refused.

    Args:
        collator: as for [`audit_batch`].
        batch: as for [`audit_batch`].
        asked: the masks that it should have.
        candidates: others that it may have, the nearest first: of two rates that give the same masks, the first is
            named.
        columns: as for [`audit_batch`].

    Raises:
        ValueError: if the batch cannot be checked, or an epoch or rate is out of its range.

    Example:

        >>> from hf_dynmask import DataCollatorForDynamicMasking
        >>> collator = DataCollatorForDynamicMasking(tokenizer, mlm_probability=0.3, seed=1)
        >>> collator.set_epoch(2)
        >>> batch = collator([tokenizer("the cat sat on a mat and the dog ran to the house")])
        >>> near = [Candidate(f"epoch {epoch}", epoch, 0.3) for epoch in (0, 2)]
        >>> print("given", explain_mismatch(collator, batch, Candidate("epoch 1", 1, 0.3), near))
        given masks of epoch 2 (rate 0.3)
    """
    restored = restore_batch(collator, batch)
    tried = [asked, *candidates]
    has_masks = restored.masked_per_sequence > 0
    sequences = int(has_masks.sum())
    rate = float(restored.masked_per_sequence.sum() / max(restored.eligible_per_sequence.sum(), 1))
    best, most = None, 0
    for each in tried:
        verdict = compare(collator, restored, batch, each.epoch, each.rate, columns)
        if not verdict.differs.any():
            return Explanation(each, True, None, sequences, sequences, rate, len(tried))
        matching = int((has_masks & ~verdict.differs).sum())
        if matching > most:
            best, most = each, matching
    for each in () if restored.columns else tried:
        other_rate = _rate_of(restored, collator._pattern(each.epoch))
        if other_rate is not None:
            return Explanation(each, True, other_rate, sequences, sequences, rate, len(tried))
    return Explanation(best, False, None, most, sequences, rate, len(tried))


def _rate_of(restored: MaskedTokens | CorruptedSpans, pattern: int) -> float | None:
    """A rate at which this pattern gives the masks of the batch, by bisection: higher rates mask more tokens."""
    goal, low, high = int(restored.masked_per_sequence.sum()), 0.0, 1.0
    for _ in range(_HALVINGS):
        rate = (low + high) / 2
        masked = restored.masked_at(rate, pattern)
        if masked == goal:
            return None if restored.differing(rate, pattern).any() else rate
        low, high = (rate, high) if masked < goal else (low, rate)
    return None


def _format_rate(rate: FixedRate | None) -> str:
    if rate is None:
        return ""
    if isinstance(rate, RateDistribution):
        return " (a rate for each sequence)"
    return f" (rate {rate:.3g})"
