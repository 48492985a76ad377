"""Restores the original sequences of a masked batch from `input_ids` and `labels`.

In masked language modeling, the label of a masked token is its original id. Every other token is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch, RaggedTokens
from hf_dynmask.core.rows import count_flags, count_per_row, segment_reduce
from hf_dynmask.masking.keys import sequence_keys
from hf_dynmask.masking.mlm import Masked, MaskingPlan, mask_tokens, replacement_ids
from hf_dynmask.rates.schedules import FixedRate
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.partitions import words
from hf_dynmask.strategies.spans import runs
from hf_dynmask.strategies.units import every_token
from hf_dynmask.trainer.audit_columns import (
    NotAuditableError,
    integer_column,
    packed_lengths,
    remove_padding,
    unpack_rows,
    zero_out_of_vocabulary,
)

if TYPE_CHECKING:
    from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking

_PARTITIONS_BY_IDS = (every_token, words, runs)  # they do not depend on which tokens may be masked


@dataclass(eq=False)
class MaskedTokens:
    """The original sequences of a batch, and the masks in the batch.

    Attributes:
        tokens: the original sequences, without padding.
        maskable: bool `[tokens]`, False for special tokens.
        masked_indices: int64 `[masked]`, the indices of the masked tokens, in ascending order.
        masked_inputs: int64 `[masked]`, the ids in `input_ids` at these indices.
        is_invalid: bool `[sequences]`, True if a sequence contains ids outside the vocabulary, so no mask explains it.
        plan: the settings of the collator.
    """

    tokens: RaggedTokens
    maskable: np.ndarray
    masked_indices: np.ndarray
    masked_inputs: np.ndarray
    is_invalid: np.ndarray
    plan: MaskingPlan

    @property
    def strategy_columns(self) -> tuple[str, ...]:
        """The columns of the examples that the strategy reads. The batch does not contain them."""
        return self.plan.strategy.columns

    @cached_property
    def masked_per_sequence(self) -> np.ndarray:
        """int64 `[sequences]`: the number of masked tokens."""
        return count_per_row(self.masked_indices, self.tokens.ends)

    @cached_property
    def maskable_per_sequence(self) -> np.ndarray:
        """int64 `[sequences]`: the number of tokens that may be masked."""
        return count_flags(self.maskable, self.tokens.lengths)

    def count_masked(self, rate: float, pattern: int) -> int:
        """Counts the tokens that this rate and pattern mask."""
        views = self.plan.views.count
        own = np.arange(len(self.tokens.lengths)) % views  # the view of each sequence in a batch as it was collated
        counts = [count_per_row(self._masked(rate, pattern, view).indices, self.tokens.ends) for view in range(views)]
        return sum(int(count[own == view].sum()) for view, count in enumerate(counts))

    def find_mismatches(self, rate: FixedRate | np.ndarray, pattern: int) -> np.ndarray:
        """Compares the batch with the masks of this rate and pattern.

        A loader may distribute the rows of a batch, so a sequence may have the mask of any of its views.

        Returns:
            bool `[sequences]`: True if the mask of a sequence differs.
        """
        views = range(self.plan.views.count)
        return np.logical_and.reduce([self._mismatches(self._masked(rate, pattern, view)) for view in views])

    def _masked(self, rate: FixedRate | np.ndarray, pattern: int, view: int) -> Masked:
        """The masks of a view of all sequences."""
        views, complemented = self.plan.views, None
        if views.complementary and view:
            complemented = np.ones(len(self.tokens.lengths), dtype=bool)
            rate = 1 - rate if isinstance(rate, np.ndarray) else rate  # those of the batch are of the complements
        pattern = views.pattern(pattern, view)
        return mask_tokens(self.tokens, self.maskable, rate, pattern, self.plan, complemented=complemented)

    def _mismatches(self, expected: Masked) -> np.ndarray:
        expected_ids, indices, ids = expected.ids, self.masked_indices, self.masked_inputs
        if np.array_equal(expected.indices, indices) and np.array_equal(expected_ids, ids):
            return self.is_invalid
        differs = self._scatter(expected.indices, expected_ids) != self._scatter(indices, ids)
        return self.is_invalid | self._any_per_sequence(differs)

    def find_contradictions(self, rate: FixedRate | None, pattern: int) -> np.ndarray:
        """Compares the batch with this rate and pattern if the examples may forbid masking of unknown tokens.

        Args:
            rate: the rate; None if it is unknown.
            pattern: the index of the mask pattern.

        Returns:
            bool `[sequences]`: True if this rate and pattern cannot produce the mask of a sequence.
        """
        views = range(self.plan.views.count)
        return np.logical_and.reduce([self._contradictions(rate, pattern, view) for view in views])

    def _contradictions(self, rate: FixedRate | None, pattern: int, view: int) -> np.ndarray:
        masked, pattern = self.masked_indices, self.plan.views.pattern(pattern, view)
        is_wrong = np.zeros(len(self.tokens.input_ids), dtype=bool)
        is_wrong[masked] = ~self.maskable[masked]
        is_wrong[masked] |= replacement_ids(self._tokens_with_keys(pattern), masked, self.plan) != self.masked_inputs
        if rate is not None and self._has_independent_units():
            is_wrong |= self._masked_above(rate, pattern)
        return self.is_invalid | self._any_per_sequence(is_wrong)

    def _masked_above(self, rate: FixedRate, pattern: int) -> np.ndarray:
        """bool `[tokens]`: the masked tokens that this rate would not mask.

        If only the masked tokens were maskable, this rate would still mask all of them. A unit is masked because its
        own draw is low enough, or because its draw is among the lowest of its sequence.
        """
        is_above = np.zeros(len(self.tokens.input_ids), dtype=bool)
        is_above[self.masked_indices] = True
        is_above[mask_tokens(self.tokens, is_above, rate, pattern, self.plan).indices] = False
        return is_above

    def _scatter(self, indices: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """int64 `[tokens]`: the ids at these indices, and -100 everywhere else."""
        scattered = np.full(len(self.tokens.input_ids), IGNORE_INDEX)
        scattered[indices] = ids
        return scattered

    def _any_per_sequence(self, flags: np.ndarray) -> np.ndarray:
        return segment_reduce(np.logical_or, flags, self.tokens.lengths)

    def _has_independent_units(self) -> bool:
        """Whether each unit has its own draw and its own probability, and both depend on the ids alone."""
        strategy = self.plan.strategy
        is_uniform = strategy.weights is None and strategy.probs is None and strategy.draws is None
        if self.plan.views.complementary:  # the complement masks the units with the highest draws
            return False
        return is_uniform and not self.plan.exact_count and _depends_on_ids_alone(strategy.partition)

    def _tokens_with_keys(self, pattern: int) -> MaskingTokens:
        tokens, plan = self.tokens, self.plan
        keys = sequence_keys(tokens, pattern, plan.seed)
        return MaskingTokens(tokens.input_ids, tokens.lengths, plan.vocabulary, self.maskable, keys)


def restore_masked_tokens(collator: DataCollatorForDynamicMasking, batch: Mapping[str, Any]) -> MaskedTokens:
    """Restores the original sequences of a batch.

    Raises:
        NotAuditableError: if the batch does not contain the required columns.
    """
    if collator._plan is None:
        raise NotAuditableError("the collator does not mask tokens (`mlm=False`)")
    batch_tokens = _read_tokens(collator, batch)
    input_ids, labels = batch_tokens.per_token["input_ids"], batch_tokens.per_token["labels"]
    indices = np.flatnonzero(labels != IGNORE_INDEX)
    originals = input_ids.copy()
    originals[indices] = labels[indices]
    is_invalid = zero_out_of_vocabulary(originals, batch_tokens.lengths, collator._vocabulary)
    tokens = RaggedTokens(originals, batch_tokens.lengths)
    maskable = collator._plan.maskable_by_ids(tokens)
    return MaskedTokens(tokens, maskable, indices, input_ids[indices], is_invalid, collator._plan)


def _read_tokens(collator: DataCollatorForDynamicMasking, batch: Mapping[str, Any]) -> RaggedBatch:
    """Reads `input_ids` and `labels` without padding."""
    columns = {name: integer_column(batch, name) for name in ("input_ids", "labels")}
    shape, labels_shape = columns["input_ids"].shape, columns["labels"].shape
    if labels_shape != shape or len(shape) != 2:
        raise NotAuditableError(
            f"`input_ids` and `labels` of the batch do not have the same 2-dimensional shape, but {shape} and "
            f"{labels_shape}"
        )
    flat = {name: values.reshape(-1) for name, values in columns.items()}
    packing = collator._packing
    if packing is None:
        return remove_padding(batch, shape, flat, collator._vocabulary)
    return RaggedBatch(packed_lengths(batch, shape), flat, {}) if packing.one_row else unpack_rows(batch, shape, flat)


def _depends_on_ids_alone(partition: Any) -> bool:
    function, keywords = getattr(partition, "func", partition), getattr(partition, "keywords", {})
    return function in _PARTITIONS_BY_IDS and (
        "partition" not in keywords or _depends_on_ids_alone(keywords["partition"])
    )
