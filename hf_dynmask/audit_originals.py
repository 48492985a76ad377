"""What a batch shows of its masks: the original sequences, restored from `input_ids` and `labels`.

Under masked language modeling, a label is the original id of a masked token, and every other token is its own original.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_dynmask.maskable import attended_tokens
from hf_dynmask.masking import MaskingPlan, mask_tokens, replaced, select
from hf_dynmask.ragged import IGNORE_INDEX, RaggedBatch, RaggedTokens, only_attended
from hf_dynmask.rates import FixedRate
from hf_dynmask.rows import counted, reduced
from hf_dynmask.uniforms import example_hashes, stream_keys
from hf_dynmask.units import MaskingTokens, every_token, runs, words
from hf_dynmask.vocabulary import Vocabulary

if TYPE_CHECKING:
    from hf_dynmask.collator import DataCollatorForDynamicMasking

_UNITS_OF_IDS = (every_token, words, runs)  # partitions that do not depend on which tokens may be masked


class NotAuditableError(ValueError):
    """Why the masks of a batch cannot be checked, in words."""


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
        return counted(self.masked, self.tokens.ends)

    @cached_property
    def eligible_per_sequence(self) -> np.ndarray:
        """int64 `[sequences]`: the tokens that may be masked."""
        return reduced(np.add, self.maskable.astype(np.int64), self.tokens.lengths)

    def masked_at(self, rate: float, pattern: int) -> int:
        """How many tokens this rate masks."""
        return len(select(self.tokens, self.maskable, rate, pattern, self.plan).masked)

    def differing(self, rate: FixedRate | np.ndarray, pattern: int) -> np.ndarray:
        """The sequences whose masks differ from those of this rate and pattern: bool `[sequences]`."""
        expected = mask_tokens(self.tokens, self.maskable, rate, pattern, self.plan)
        if np.array_equal(expected.places, self.masked) and np.array_equal(expected.ids, self.shown):
            return self.broken
        return self.broken | self._sequences_with(self._outcome(expected.places, expected.ids) != self._outcome())

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
        wrong[self.masked] |= replaced(self._keyed(pattern), self.masked, self.plan) != self.shown
        if rate is not None and self._subset_is_known():
            # If only the masked tokens could be masked, all of them still would be: a unit is masked for its own draw,
            # or because its draw is among the lowest of its sequence.
            is_masked = np.zeros(len(wrong), dtype=bool)
            is_masked[self.masked] = True
            is_masked[select(self.tokens, is_masked, rate, pattern, self.plan).masked] = False
            wrong |= is_masked
        return self.broken | self._sequences_with(wrong)

    def _outcome(self, masked: np.ndarray | None = None, shown: np.ndarray | None = None) -> np.ndarray:
        """What each masked token becomes, and -100 elsewhere: int64 `[tokens]`; the batch's own by default."""
        outcome = np.full(len(self.tokens.input_ids), IGNORE_INDEX)
        outcome[self.masked if masked is None else masked] = self.shown if shown is None else shown
        return outcome

    def _sequences_with(self, flags: np.ndarray) -> np.ndarray:
        return reduced(np.logical_or, flags, self.tokens.lengths)

    def _subset_is_known(self) -> bool:
        """Whether each unit has a draw and a probability of its own, and both follow from the ids."""
        strategy = self.plan.strategy
        own = strategy.weights is None and strategy.odds is None and strategy.numbers is None
        return own and not self.plan.exact_count and _follows_from_ids(strategy.partition)

    def _keyed(self, pattern: int) -> MaskingTokens:
        tokens, plan = self.tokens, self.plan
        keys = stream_keys(plan.seed, example_hashes(tokens.input_ids, tokens.positions, tokens.ends), pattern)
        return MaskingTokens(tokens.input_ids, tokens.lengths, plan.vocabulary, self.maskable, keys)


def masked_tokens(collator: DataCollatorForDynamicMasking, batch: Mapping[str, Any]) -> MaskedTokens:
    """The sequences of a batch, restored.

    Raises:
        NotAuditableError: if the batch does not hold what this takes.
    """
    if collator._plan is None:
        raise NotAuditableError("the collator masks nothing (`mlm=False`)")
    columns = {name: ids_of(batch, name) for name in ("input_ids", "labels")}
    shape = columns["input_ids"].shape
    if columns["labels"].shape != shape or len(shape) != 2:
        raise NotAuditableError(
            f"`input_ids` and `labels` of the batch do not have one shape of two dimensions, but {shape} and "
            f"{columns['labels'].shape}"
        )
    flat = {name: values.reshape(-1) for name, values in columns.items()}
    if collator.padding_free:
        sequences = RaggedBatch(_lengths_in_row(batch, shape), flat, {})
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


def ids_of(batch: Mapping[str, Any], name: str) -> np.ndarray:
    """A column of integers, int64 in its own shape, from whatever device it is on.

    Raises:
        NotAuditableError: if the batch has no such column, or it holds no integers.
    """
    if name not in batch or batch[name] is None:
        raise NotAuditableError(f"the batch has no `{name}`")
    values = batch[name]
    try:
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # sparse, without values, or of a type that numpy lacks
        array = np.zeros(0)
    if array.dtype.kind not in "iu":
        raise NotAuditableError(f"`{name}` of the batch does not hold integers that numpy can read")
    return array.astype(np.int64, order="C", copy=False)


def without_padding(
    batch: Mapping[str, Any], shape: tuple[int, ...], flat: Mapping[str, np.ndarray], vocabulary: Vocabulary
) -> RaggedBatch:
    """The columns `flat`, `[rows * length]`, of the tokens that are attended to.

    Raises:
        NotAuditableError: if that cannot be told.
    """
    columns = dict(flat)
    if batch.get("attention_mask") is not None:
        columns["attention_mask"] = _attention(batch["attention_mask"], shape)
    elif vocabulary.pad_token_id is not None and not vocabulary.pads_unmistakably:
        raise NotAuditableError("the batch has no `attention_mask`, and its pad token has another role as well")
    rows = RaggedBatch(np.full(shape[0], shape[1]), columns, {})
    try:
        attended = attended_tokens(rows, vocabulary)
    except ValueError:
        raise NotAuditableError("`attention_mask` of the batch holds other values than 0 and 1") from None
    return only_attended(rows, attended)


def clear_outside(ids: np.ndarray, lengths: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Sets ids outside the vocabulary to 0, in place, so that what remains can be checked.

    Returns:
        bool `[sequences]`, those that had one.
    """
    outside = ids.view(np.uint64) >= vocabulary.size  # a negative one is very large then
    if not outside.any():
        return np.zeros(len(lengths), dtype=bool)
    ids[outside] = 0
    return reduced(np.logical_or, outside, lengths)


def _attention(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        mask = values.detach().cpu() if isinstance(values, torch.Tensor) else torch.from_numpy(np.asarray(values))
        flat = mask.to(torch.float64).numpy() if mask.dtype.is_floating_point else mask.to(torch.int64).numpy()
    except (TypeError, ValueError, RuntimeError):
        flat = np.zeros(0)
    if flat.shape != shape:
        raise NotAuditableError("`attention_mask` of the batch does not have a value for each token")
    return flat.reshape(-1)


def _lengths_in_row(batch: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """int64 `[sequences]`: the lengths of sequences that stand in rows without padding."""
    if batch.get("cu_seq_lens_q") is not None:
        ends = ids_of(batch, "cu_seq_lens_q").reshape(-1)
        lengths = np.diff(ends)
        if len(lengths) and ends[0] == 0 and ends[-1] == shape[0] * shape[1] and (lengths >= 0).all():
            return lengths
    if batch.get("position_ids") is None:
        raise NotAuditableError("the batch has neither `position_ids` nor `cu_seq_lens_q` to tell where sequences end")
    positions = ids_of(batch, "position_ids")
    if positions.shape != shape:
        raise NotAuditableError("`position_ids` of the batch do not have a value for each token")
    begins = np.ones(shape, dtype=bool)
    begins[:, 1:] = positions[:, 1:] != positions[:, :-1] + 1
    return np.diff(np.append(np.flatnonzero(begins), begins.size))


def _follows_from_ids(partition: Any) -> bool:
    function, keywords = getattr(partition, "func", partition), getattr(partition, "keywords", {})
    return function in _UNITS_OF_IDS and ("partition" not in keywords or _follows_from_ids(keywords["partition"]))
