"""What a batch shows of its masks: the original sequences, restored from `input_ids` and `labels`.

Under masked language modeling, a label is the original id of a masked token, and every other token is its own original.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch, RaggedTokens
from hf_dynmask.core.rows import count_per_row, segment_reduce
from hf_dynmask.masking.keys import sequence_keys
from hf_dynmask.masking.mlm import MaskingPlan, mask_tokens, replacement_ids
from hf_dynmask.rates.schedules import FixedRate
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.partitions import every_token, words
from hf_dynmask.strategies.spans import runs
from hf_dynmask.trainer.audit_columns import (
    NotAuditableError,
    clear_outside,
    integer_column,
    lengths_in_rows,
    without_padding,
)

if TYPE_CHECKING:
    from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking

_UNITS_OF_IDS = (every_token, words, runs)  # partitions that do not depend on which tokens may be masked


@dataclass(eq=False)
class MaskedTokens:
    """The sequences of a batch before masking, and the masks that the batch shows.

    Attributes:
        tokens: the original sequences, without padding.
        maskable: bool `[tokens]`, False for special tokens.
        masked: int64 `[masked]`, the indices of masked tokens, in rising order.
        shown: int64 `[masked]`, the ids that the model sees there.
        broken: bool `[sequences]`, the sequences that no mask explains: they hold ids outside the vocabulary.
        plan: what the masks were asked to be.
    """

    tokens: RaggedTokens
    maskable: np.ndarray
    masked: np.ndarray
    shown: np.ndarray
    broken: np.ndarray
    plan: MaskingPlan

    @property
    def columns(self) -> tuple[str, ...]:
        """The examples' columns that the strategy reads, none of which is in the batch."""
        return self.plan.strategy.columns

    @cached_property
    def masked_per_sequence(self) -> np.ndarray:
        """int64 `[sequences]`: the masked tokens."""
        return count_per_row(self.masked, self.tokens.ends)

    @cached_property
    def eligible_per_sequence(self) -> np.ndarray:
        """int64 `[sequences]`: the tokens that may be masked."""
        return segment_reduce(np.add, self.maskable.astype(np.int64), self.tokens.lengths)

    def masked_at(self, rate: float, pattern: int) -> int:
        """How many tokens this rate masks."""
        return len(mask_tokens(self.tokens, self.maskable, rate, pattern, self.plan).indices)

    def differing(self, rate: FixedRate | np.ndarray, pattern: int) -> np.ndarray:
        """The sequences whose masks differ from those of this rate and pattern: bool `[sequences]`."""
        expected = mask_tokens(self.tokens, self.maskable, rate, pattern, self.plan)
        indices, ids = expected.indices, expected.ids
        if np.array_equal(indices, self.masked) and np.array_equal(ids, self.shown):
            return self.broken
        return self.broken | self._sequences_with(self._outcome(indices, ids) != self._outcome())

    def contradicting(self, rate: FixedRate | None, pattern: int) -> np.ndarray:
        """The sequences whose masks contradict this rate and pattern, whichever further tokens may not be masked.

        Args:
            rate: None where it is not known.
            pattern: which of the examples' masks.

        Returns:
            bool `[sequences]`.
        """
        wrong = np.zeros(len(self.tokens.input_ids), dtype=bool)
        wrong[self.masked] = ~self.maskable[self.masked]
        wrong[self.masked] |= replacement_ids(self._keyed(pattern), self.masked, self.plan) != self.shown
        if rate is not None and self._subset_is_known():
            # If only the masked tokens could be masked, all of them still would be: a unit is masked for its own draw,
            # or because its draw is among the lowest of its sequence.
            is_masked = np.zeros(len(wrong), dtype=bool)
            is_masked[self.masked] = True
            is_masked[mask_tokens(self.tokens, is_masked, rate, pattern, self.plan).indices] = False
            wrong |= is_masked
        return self.broken | self._sequences_with(wrong)

    def _outcome(self, masked: np.ndarray | None = None, shown: np.ndarray | None = None) -> np.ndarray:
        """What each masked token becomes, and -100 elsewhere: int64 `[tokens]`; the batch's own by default."""
        outcome = np.full(len(self.tokens.input_ids), IGNORE_INDEX)
        outcome[self.masked if masked is None else masked] = self.shown if shown is None else shown
        return outcome

    def _sequences_with(self, flags: np.ndarray) -> np.ndarray:
        return segment_reduce(np.logical_or, flags, self.tokens.lengths)

    def _subset_is_known(self) -> bool:
        """Whether each unit has a draw and a probability of its own, and both follow from the ids."""
        strategy = self.plan.strategy
        own = strategy.weights is None and strategy.probs is None and strategy.draws is None
        return own and not self.plan.exact_count and _follows_from_ids(strategy.partition)

    def _keyed(self, pattern: int) -> MaskingTokens:
        tokens, plan = self.tokens, self.plan
        keys = sequence_keys(tokens, pattern, plan.seed)
        return MaskingTokens(tokens.input_ids, tokens.lengths, plan.vocabulary, self.maskable, keys)


def restore_masked_tokens(collator: DataCollatorForDynamicMasking, batch: Mapping[str, Any]) -> MaskedTokens:
    """The sequences of a batch, restored.

    Raises:
        NotAuditableError: if the batch does not hold what this takes.
    """
    if collator._plan is None:
        raise NotAuditableError("the collator masks nothing (`mlm=False`)")
    columns = {name: integer_column(batch, name) for name in ("input_ids", "labels")}
    shape = columns["input_ids"].shape
    if columns["labels"].shape != shape or len(shape) != 2:
        raise NotAuditableError(
            f"`input_ids` and `labels` of the batch do not have one shape of two dimensions, but {shape} and "
            f"{columns['labels'].shape}"
        )
    flat = {name: values.reshape(-1) for name, values in columns.items()}
    if collator.padding_free:
        sequences = RaggedBatch(lengths_in_rows(batch, shape), flat, {})
    else:
        sequences = without_padding(batch, shape, flat, collator._vocabulary)
    input_ids, labels = sequences.per_token["input_ids"], sequences.per_token["labels"]
    masked = np.flatnonzero(labels != IGNORE_INDEX)
    originals = input_ids.copy()
    originals[masked] = labels[masked]
    broken = clear_outside(originals, sequences.lengths, collator._vocabulary)
    maskable = collator._vocabulary.maskable.take(originals)
    tokens = RaggedTokens(originals, sequences.lengths)
    return MaskedTokens(tokens, maskable, masked, input_ids[masked], broken, collator._plan)


def _follows_from_ids(partition: Any) -> bool:
    function, keywords = getattr(partition, "func", partition), getattr(partition, "keywords", {})
    return function in _UNITS_OF_IDS and ("partition" not in keywords or _follows_from_ids(keywords["partition"]))
