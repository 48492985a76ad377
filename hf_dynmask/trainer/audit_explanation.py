"""Identifies the masks of a batch that does not have the expected ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.rates.schedules import FixedRate
from hf_dynmask.trainer.audit_masks import MaskedTokens
from hf_dynmask.trainer.audit_spans import CorruptedSpans
from hf_dynmask.trainer.batch_audit import compare, restore_batch

_MAX_BISECTIONS = 32  # draws have 32 bits


class Candidate(NamedTuple):
    """Masks that a batch may have.

    Attributes:
        name: the name of these masks in messages, such as "step 13".
        epoch: the epoch, from 0.
        rate: a number in [0, 1] or a distribution; None for the rate of the collator.
    """

    name: str
    epoch: int
    rate: FixedRate | None = None


class Explanation(NamedTuple):
    """Which masks a batch has. The `str` of it continues a sentence that ends in "the model received".

    Attributes:
        candidate: the candidate with the most matching sequences, the first one of several; None if no sequence
            matches any candidate.
        is_complete: whether all sequences match the candidate.
        other_rate: the rate at which all sequences match the epoch of the candidate, if they do not match its own rate;
            None otherwise.
        matching_sequences: the number of sequences with masked tokens that match the candidate.
        masked_sequences: the number of sequences with masked tokens.
        observed_rate: the fraction of maskable tokens that are masked.
        candidate_count: the number of candidates.
    """

    candidate: Candidate | None
    is_complete: bool
    other_rate: float | None
    matching_sequences: int
    masked_sequences: int
    observed_rate: float
    candidate_count: int

    def __str__(self) -> str:
        if self.candidate is None:
            percent = f"{100 * self.observed_rate:.3g} %"
            return f"masks that match none of {self.candidate_count} candidates ({percent} of the tokens are masked)"
        name = self.candidate.name
        if self.other_rate is not None:
            return f"masks of the epoch of {name}, but at a rate of {self.other_rate:.3g}"
        if self.is_complete:
            return f"masks of {name}{_format_rate(self.candidate.rate)}"
        return f"masks of {name} in only {self.matching_sequences} of {self.masked_sequences} sequences"


def explain_mismatch(
    collator: Any,
    batch: Mapping[str, Any],
    expected: Candidate,
    candidates: Iterable[Candidate],
    columns: Collection[str] = (),
) -> Explanation:
    """Identifies the masks of a batch for which [`audit_batch`] found a mismatch.

    Args:
        collator: as for [`audit_batch`].
        batch: as for [`audit_batch`].
        expected: the masks that the batch should have.
        candidates: other masks that the batch may have. If several of them match, the first one is returned, so put
            the most likely ones first.
        columns: as for [`audit_batch`].

    Raises:
        ValueError: if the batch cannot be checked, or an epoch or rate is out of its range.

    Example:

        >>> from hf_dynmask import DataCollatorForDynamicMasking
        >>> collator = DataCollatorForDynamicMasking(tokenizer, mlm_probability=0.3, seed=1)
        >>> collator.set_epoch(2)
        >>> batch = collator([tokenizer("the cat sat on a mat and the dog ran to the house")])
        >>> near = [Candidate(f"epoch {epoch}", epoch, 0.3) for epoch in (0, 2)]
        >>> print("received", explain_mismatch(collator, batch, Candidate("epoch 1", 1, 0.3), near))
        received masks of epoch 2 (rate 0.3)
    """
    restored = restore_batch(collator, batch)
    all_candidates = [expected, *candidates]
    masked_sequences = int((restored.masked_per_sequence > 0).sum())
    best, matching_sequences, is_complete = _best_candidate(collator, restored, batch, all_candidates, columns)
    other_rate = None
    at_other_rate = None if is_complete else _candidate_at_other_rate(collator, restored, all_candidates)
    if at_other_rate is not None:
        (best, other_rate), matching_sequences, is_complete = at_other_rate, masked_sequences, True
    observed_rate = restored.masked_per_sequence.sum() / max(restored.maskable_per_sequence.sum(), 1)
    return Explanation(
        best, is_complete, other_rate, matching_sequences, masked_sequences, float(observed_rate), len(all_candidates)
    )


def _best_candidate(
    collator: Any,
    restored: MaskedTokens | CorruptedSpans,
    batch: Mapping[str, Any],
    candidates: Iterable[Candidate],
    columns: Collection[str],
) -> tuple[Candidate | None, int, bool]:
    """The candidate with the most matching sequences, their number, and whether all sequences match."""
    has_masks = restored.masked_per_sequence > 0
    best, most = None, 0
    for candidate in candidates:
        mismatches = compare(collator, restored, batch, candidate.epoch, candidate.rate, columns).mismatches
        matching = int((has_masks & ~mismatches).sum())
        if not mismatches.any():
            return candidate, matching, True
        if matching > most:
            best, most = candidate, matching
    return best, most, False


def _candidate_at_other_rate(
    collator: Any, restored: MaskedTokens | CorruptedSpans, candidates: Iterable[Candidate]
) -> tuple[Candidate, float] | None:
    """The first candidate whose epoch all sequences match at some rate, and this rate."""
    for candidate in () if restored.strategy_columns else candidates:
        rate = _find_rate(restored, collator._pattern(candidate.epoch))
        if rate is not None:
            return candidate, rate
    return None


def _find_rate(restored: MaskedTokens | CorruptedSpans, pattern: int) -> float | None:
    """Finds a rate at which this pattern gives the masks of the batch, by bisection: higher rates mask more tokens."""
    target, low, high = int(restored.masked_per_sequence.sum()), 0.0, 1.0
    for _ in range(_MAX_BISECTIONS):
        rate = (low + high) / 2
        masked = restored.count_masked(rate, pattern)
        if masked == target:
            return None if restored.find_mismatches(rate, pattern).any() else rate
        low, high = (rate, high) if masked < target else (low, rate)
    return None


def _format_rate(rate: FixedRate | None) -> str:
    if rate is None:
        return ""
    if isinstance(rate, RateDistribution):
        return " (a rate for each sequence)"
    return f" (rate {rate:.3g})"
