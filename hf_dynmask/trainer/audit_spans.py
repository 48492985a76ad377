"""What a batch shows of its span corruption: the original sequences, restored from `input_ids` and `labels`.

Each sentinel in the input gives way to what follows it in the labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedTokens
from hf_dynmask.core.rows import positions_in_rows, segment_reduce
from hf_dynmask.masking.sentinels import corrupt, span_targets
from hf_dynmask.masking.span_noise import NoisePlan, noise_tokens
from hf_dynmask.rates.schedules import FixedRate
from hf_dynmask.trainer.audit_columns import NotAuditableError, clear_outside, integer_column, without_padding

if TYPE_CHECKING:
    from hf_dynmask.collators.span_corruption import DataCollatorForSpanCorruption

_MOST_READINGS = 64  # of one row


@dataclass(eq=False)
class CorruptedSpans:
    """The sequences of a batch before corruption, and the noise that the batch shows.

    A text may hold sentinels of its own. Its row then has several readings, one for each choice of the sentinels that
    stand in for noise.

    Attributes:
        tokens: the original of each reading, without padding.
        maskable: bool `[tokens]`, False for special tokens and sentinels.
        noise: bool `[tokens]`.
        broken: bool `[readings]`, those that no noise explains.
        row: int64 `[readings]`, the sequence that each one reads.
        present: bool `[sequences]`, False for rows of padding only.
        plan: what the noise was asked to be.
    """

    tokens: RaggedTokens
    maskable: np.ndarray
    noise: np.ndarray
    broken: np.ndarray
    row: np.ndarray
    present: np.ndarray
    plan: NoisePlan
    columns: tuple[str, ...] = ()  # no strategy reads any

    @cached_property
    def masked_per_sequence(self) -> np.ndarray:
        """int64 `[sequences]`: the noise tokens."""
        return self._per_sequence(self.noise)

    @cached_property
    def eligible_per_sequence(self) -> np.ndarray:
        """int64 `[sequences]`: the tokens that may be noise."""
        return self._per_sequence(self.maskable)

    def masked_at(self, rate: float, pattern: int) -> int:
        """How many tokens are noise at this rate."""
        noise = noise_tokens(self.tokens, self.maskable, rate, pattern, self.plan)
        return int(self._per_sequence(noise).sum())

    def differing(self, rate: FixedRate | np.ndarray, pattern: int) -> np.ndarray:
        """The sequences whose noise differs from that of this rate and pattern: bool `[sequences]`."""
        return self._in_no_reading(noise_tokens(self.tokens, self.maskable, rate, pattern, self.plan) != self.noise)

    def contradicting(self, rate: FixedRate | None, pattern: int) -> np.ndarray:
        """The sequences that hold noise where none may be, or that no noise explains: bool `[sequences]`.

        All tokens of a sequence that may be noise decide together which ones are, so nothing else follows.
        """
        return self._in_no_reading(self.noise & ~self.maskable)

    def _per_sequence(self, flags: np.ndarray) -> np.ndarray:
        """How many tokens have the flag, which is the same in all readings of a row."""
        counts = np.zeros(len(self.present), dtype=np.int64)
        counts[self.row] = segment_reduce(np.add, flags.astype(np.int64), self.tokens.lengths)
        return counts

    def _in_no_reading(self, wrong: np.ndarray) -> np.ndarray:
        """The sequences that are wrong in each of their readings: bool `[sequences]`."""
        right = ~(self.broken | segment_reduce(np.logical_or, wrong, self.tokens.lengths))
        unexplained = self.present.copy()
        unexplained[self.row[right]] = False
        return unexplained


def restore_corrupted_spans(collator: DataCollatorForSpanCorruption, batch: Mapping[str, Any]) -> CorruptedSpans:
    """The sequences of a batch, restored.

    Raises:
        NotAuditableError: if the batch does not hold what this takes, or a text holds many sentinels of its own.
    """
    sentinels, vocabulary = collator._sentinels, collator._vocabulary
    inputs, labels = _unpadded(collator, batch)
    row, stands_in = _readings(inputs, labels, sentinels)
    inputs_read, labels_read = _rows(inputs, row), _rows(labels, row)
    tokens, noise = _restored(inputs_read, stands_in, labels_read, np.isin(labels_read.input_ids, sentinels))
    same = _equal_rows(corrupt(tokens, noise, sentinels), inputs_read)
    same &= _equal_rows(span_targets(tokens, noise, sentinels, collator.tokenizer.eos_token_id), labels_read)
    broken = ~same | clear_outside(tokens.input_ids, tokens.lengths, vocabulary)
    maskable = vocabulary.maskable.take(tokens.input_ids) & ~np.isin(tokens.input_ids, sentinels)
    present = (inputs.lengths > 0) | (labels.lengths > 0)
    return CorruptedSpans(tokens, maskable, noise, broken, row, present, collator._plan)


def _unpadded(collator: DataCollatorForSpanCorruption, batch: Mapping[str, Any]) -> tuple[RaggedTokens, RaggedTokens]:
    """The inputs and the labels."""
    input_ids, labels = integer_column(batch, "input_ids"), integer_column(batch, "labels")
    if input_ids.ndim != 2 or labels.ndim != 2 or len(input_ids) != len(labels):
        raise NotAuditableError(
            "`input_ids` and `labels` of the batch do not have two dimensions with the same number of sequences, but "
            f"{input_ids.shape} and {labels.shape}"
        )
    inputs = without_padding(batch, input_ids.shape, {"input_ids": input_ids.reshape(-1)}, collator._vocabulary)
    said = labels != IGNORE_INDEX
    return RaggedTokens(inputs.per_token["input_ids"], inputs.lengths), RaggedTokens(labels[said], said.sum(axis=1))


def _readings(inputs: RaggedTokens, labels: RaggedTokens, sentinels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All ways to tell the sentinels that stand in for noise from a text's own.

    Returns:
        The row of each reading, int64 `[readings]`, and bool `[tokens of all readings]`, the sentinels that stand in.
    """
    stands_in = np.isin(inputs.input_ids, sentinels)
    held = segment_reduce(np.add, stands_in.astype(np.int64), inputs.lengths)
    runs = segment_reduce(np.add, np.isin(labels.input_ids, sentinels).astype(np.int64), labels.lengths) - 1
    readable = (runs >= 0) & (runs < len(sentinels))
    row = [np.flatnonzero(readable & (held == runs))]
    flags = [stands_in[_indices(inputs, row[0])]]
    for number in np.flatnonzero(readable & (held > runs)):
        ids = inputs.input_ids[inputs.ends[number] - inputs.lengths[number] : inputs.ends[number]]
        for reading in _choices(ids, sentinels[: runs[number]]):
            row.append(np.array([number]))
            flags.append(np.isin(np.arange(len(ids)), reading))
    return np.concatenate(row), np.concatenate(flags)


def _choices(ids: np.ndarray, sentinels: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Each way to find the sentinels in a sequence, as indices."""
    found = [np.flatnonzero(ids == sentinel).tolist() for sentinel in sentinels]
    if math.prod(map(len, found)) > _MOST_READINGS:
        raise NotAuditableError("a text holds many sentinels of its own, so that its original cannot be told")
    return product(*found)


def _restored(
    inputs: RaggedTokens, stands_in: np.ndarray, labels: RaggedTokens, mark: np.ndarray
) -> tuple[RaggedTokens, np.ndarray]:
    """The originals, and which of their tokens are noise.

    Args:
        inputs: what the encoder is given.
        stands_in: bool `[tokens]`, the sentinels in there that stand in for noise.
        labels: what the decoder is to give.
        mark: bool `[labels]`, the sentinels in there: in each row one more than stand in for noise.
    """
    number = np.cumsum(mark) - 1  # of the sentinel that a label follows
    marks = int(mark.sum())
    last = np.zeros(marks, dtype=bool)
    last[np.cumsum(segment_reduce(np.add, mark.astype(np.int64), labels.lengths)) - 1] = True
    noise_labels = ~mark & ~last[number] if marks else mark
    size = np.ones(len(inputs.input_ids), dtype=np.int64)
    size[stands_in] = np.bincount(number[noise_labels], minlength=marks)[~last]
    noise = stands_in.repeat(size)
    input_ids = inputs.input_ids.repeat(size)
    input_ids[noise] = labels.input_ids[noise_labels]
    return RaggedTokens(input_ids, segment_reduce(np.add, size, inputs.lengths)), noise


def _indices(tokens: RaggedTokens, rows: np.ndarray) -> np.ndarray:
    """Where the tokens of these rows stand, int64, one row after the other."""
    lengths = tokens.lengths[rows]
    return (tokens.ends[rows] - lengths).repeat(lengths) + positions_in_rows(lengths)


def _rows(tokens: RaggedTokens, rows: np.ndarray) -> RaggedTokens:
    return RaggedTokens(tokens.input_ids[_indices(tokens, rows)], tokens.lengths[rows])


def _equal_rows(one: RaggedTokens, other: RaggedTokens) -> np.ndarray:
    """bool `[rows]`."""
    equal = one.lengths == other.lengths
    rows = np.flatnonzero(equal)
    differs = _rows(one, rows).input_ids != _rows(other, rows).input_ids
    equal[rows] = ~segment_reduce(np.logical_or, differs, one.lengths[rows])
    return equal
