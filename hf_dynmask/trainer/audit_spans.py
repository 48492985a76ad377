"""Restores the original sequences of a batch with span corruption from `input_ids` and `labels`.

Each run of noise is replaced by a sentinel in the inputs. The labels contain the same sentinel, followed by the noise.
A text may also contain sentinels of its own, so this module calls a sentinel that replaces noise a placeholder. With a
mixture of denoisers, the inputs may begin with a mode token, which is not part of the original.
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
from hf_dynmask.core.rows import count_flags, positions_in_rows, segment_reduce
from hf_dynmask.masking.mode_tokens import NO_TOKEN, without_first
from hf_dynmask.masking.sentinels import corrupt, span_targets
from hf_dynmask.masking.span_noise import NoisePlan, drawn_denoisers, noise_tokens
from hf_dynmask.rates.schedules import FixedRate
from hf_dynmask.trainer.audit_columns import (
    NotAuditableError,
    integer_column,
    remove_padding,
    zero_out_of_vocabulary,
)

if TYPE_CHECKING:
    from hf_dynmask.collators.span_corruption import DataCollatorForSpanCorruption

_MAX_PARSES = 64  # per sequence


@dataclass(eq=False)
class CorruptedSpans:
    """The original sequences of a batch, and the noise in the batch.

    If a text contains sentinels of its own, it is ambiguous which sentinels are placeholders. The sequence then has
    several parses, one for each possible choice of placeholders.

    Attributes:
        tokens: the original sequence of each parse, without padding.
        maskable: bool `[tokens]`, False for special tokens and sentinels.
        is_noise: bool `[tokens]`, True for noise.
        is_invalid: bool `[parses]`, True if corruption of the original does not give the batch.
        sequence_indices: int64 `[parses]`, the sequence that each parse belongs to.
        is_nonempty: bool `[sequences]`, False if a sequence is all padding.
        plan: the settings of the collator.
        mode_tokens: int64 `[parses]`, the mode token that the input begins with, -1 for none.
        mode_tokens_of_denoisers: int64 `[denoisers]`, the mode token of each denoiser of the plan, -1 for none.
    """

    tokens: RaggedTokens
    maskable: np.ndarray
    is_noise: np.ndarray
    is_invalid: np.ndarray
    sequence_indices: np.ndarray
    is_nonempty: np.ndarray
    plan: NoisePlan
    mode_tokens: np.ndarray
    mode_tokens_of_denoisers: np.ndarray
    strategy_columns: tuple[str, ...] = ()  # span corruption has no strategy

    @cached_property
    def masked_per_sequence(self) -> np.ndarray:
        """int64 `[sequences]`: the number of noise tokens."""
        return self._count_per_sequence(self.is_noise)

    @cached_property
    def maskable_per_sequence(self) -> np.ndarray:
        """int64 `[sequences]`: the number of tokens that may be noise."""
        return self._count_per_sequence(self.maskable)

    def count_masked(self, rate: float, pattern: int) -> int:
        """Counts the tokens that are noise at this rate and pattern."""
        is_noise = noise_tokens(self.tokens, self.maskable, rate, pattern, self.plan)
        return int(self._count_per_sequence(is_noise).sum())

    def find_mismatches(self, rate: FixedRate | np.ndarray, pattern: int) -> np.ndarray:
        """Compares the batch with the noise of this rate and pattern.

        Returns:
            bool `[sequences]`: True if the noise of a sequence differs.
        """
        expected = noise_tokens(self.tokens, self.maskable, rate, pattern, self.plan)
        return self._fails_every_parse(expected != self.is_noise, pattern)

    def find_contradictions(self, rate: FixedRate | None, pattern: int) -> np.ndarray:
        """Finds noise that no rate and no pattern can produce.

        The noise of a sequence depends on all of its maskable tokens together. Where these are unknown, the noise
        cannot be compared with a rate or a pattern. A mode token does not depend on them, so it is compared.

        Returns:
            bool `[sequences]`: True if a sequence contains such noise.
        """
        return self._fails_every_parse(self.is_noise & ~self.maskable, pattern)

    def _count_per_sequence(self, flags: np.ndarray) -> np.ndarray:
        """Counts the tokens with a flag. The count is the same in all parses of a sequence."""
        counts = np.zeros(len(self.is_nonempty), dtype=np.int64)
        counts[self.sequence_indices] = count_flags(flags, self.tokens.lengths)
        return counts

    def _has_wrong_mode_token(self, pattern: int) -> np.ndarray:
        """bool `[parses]`: True if the input does not begin with the mode token of its denoiser."""
        if not self.plan.denoisers:
            return np.zeros(len(self.mode_tokens), dtype=bool)
        expected = self.mode_tokens_of_denoisers[drawn_denoisers(self.tokens, pattern, self.plan)]
        return self.mode_tokens != expected

    def _fails_every_parse(self, is_wrong: np.ndarray, pattern: int) -> np.ndarray:
        """bool `[sequences]`: True if every parse of a sequence is invalid, or has a wrong token or mode token."""
        is_valid = ~(self.is_invalid | segment_reduce(np.logical_or, is_wrong, self.tokens.lengths))
        is_valid &= ~self._has_wrong_mode_token(pattern)
        fails = self.is_nonempty.copy()
        fails[self.sequence_indices[is_valid]] = False
        return fails


def restore_corrupted_spans(collator: DataCollatorForSpanCorruption, batch: Mapping[str, Any]) -> CorruptedSpans:
    """Restores the original sequences of a batch.

    Raises:
        NotAuditableError: if the batch does not contain the required columns, or if a text contains too many sentinels
            of its own.
    """
    sentinels, vocabulary = collator._sentinels, collator._vocabulary
    inputs, labels = _read_tokens(collator, batch)
    is_nonempty = (inputs.lengths > 0) | (labels.lengths > 0)
    rows, inputs, mode_tokens = _split_mode_tokens(inputs, collator._mode_tokens)
    labels = _select_rows(labels, rows)
    indices, is_placeholder = _enumerate_parses(inputs, labels, sentinels)
    inputs, labels = _select_rows(inputs, indices), _select_rows(labels, indices)
    tokens, is_noise = _restore_originals(inputs, is_placeholder, labels, sentinels)
    is_invalid = ~_equal_rows(corrupt(tokens, is_noise, sentinels), inputs)
    is_invalid |= ~_equal_rows(span_targets(tokens, is_noise, sentinels, collator.tokenizer.eos_token_id), labels)
    is_invalid |= zero_out_of_vocabulary(tokens.input_ids, tokens.lengths, vocabulary)
    return CorruptedSpans(
        tokens=tokens,
        maskable=vocabulary.maskable.take(tokens.input_ids) & ~np.isin(tokens.input_ids, collator._own_ids),
        is_noise=is_noise,
        is_invalid=is_invalid,
        sequence_indices=rows[indices],
        is_nonempty=is_nonempty,
        plan=collator._plan,
        mode_tokens=mode_tokens[indices],
        mode_tokens_of_denoisers=collator._mode_tokens,
    )


def _split_mode_tokens(inputs: RaggedTokens, of_denoisers: np.ndarray) -> tuple[np.ndarray, RaggedTokens, np.ndarray]:
    """Takes the mode tokens off the inputs.

    If only some denoisers have mode tokens, a text may begin with one of its own. It is then read in both ways.

    Args:
        inputs: the inputs.
        of_denoisers: int64 `[denoisers]`, the mode token of each denoiser, -1 for none.

    Returns:
        The row of each reading, int64 `[readings]`, the inputs without mode tokens, and the mode tokens, int64
        `[readings]`, -1 for none.
    """
    first = np.full(len(inputs.lengths), NO_TOKEN)
    first[inputs.lengths > 0] = inputs.input_ids[inputs.row_starts]
    with_token = np.flatnonzero(np.isin(first, of_denoisers[of_denoisers != NO_TOKEN]))
    may_lack_token = len(of_denoisers) == 0 or NO_TOKEN in of_denoisers
    without_token = np.arange(len(first) if may_lack_token else 0)
    rows = np.concatenate([with_token, without_token])
    is_split = np.arange(len(rows)) < len(with_token)
    return rows, without_first(_select_rows(inputs, rows), is_split), np.where(is_split, first[rows], NO_TOKEN)


def _read_tokens(
    collator: DataCollatorForSpanCorruption, batch: Mapping[str, Any]
) -> tuple[RaggedTokens, RaggedTokens]:
    """Reads `input_ids` and `labels` without padding."""
    input_ids, labels = integer_column(batch, "input_ids"), integer_column(batch, "labels")
    if input_ids.ndim != 2 or labels.ndim != 2 or len(input_ids) != len(labels):
        raise NotAuditableError(
            "`input_ids` and `labels` of the batch do not have 2 dimensions and the same number of sequences, but the "
            f"shapes {input_ids.shape} and {labels.shape}"
        )
    inputs = remove_padding(batch, input_ids.shape, {"input_ids": input_ids.reshape(-1)}, collator._vocabulary)
    is_label = labels != IGNORE_INDEX
    return (
        RaggedTokens(inputs.per_token["input_ids"], inputs.lengths),
        RaggedTokens(labels[is_label], is_label.sum(axis=1)),
    )


def _enumerate_parses(
    inputs: RaggedTokens, labels: RaggedTokens, sentinels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Finds all possible choices of placeholders for each sequence.

    Returns:
        The sequence index of each parse, int64 `[parses]`, and whether a token is a placeholder, bool `[tokens of all
        parses]`.
    """
    is_sentinel = np.isin(inputs.input_ids, sentinels)
    found = count_flags(is_sentinel, inputs.lengths)
    runs = count_flags(np.isin(labels.input_ids, sentinels), labels.lengths) - 1  # the last sentinel ends the labels
    is_valid = (runs >= 0) & (runs < len(sentinels))
    unambiguous = np.flatnonzero(is_valid & (found == runs))
    sequence_indices, placeholders = [unambiguous], [is_sentinel[_token_indices(inputs, unambiguous)]]
    for index in np.flatnonzero(is_valid & (found > runs)):
        ids = _select_rows(inputs, np.array([index])).input_ids
        for choice in _placeholder_choices(ids, sentinels[: runs[index]]):
            sequence_indices.append(np.array([index]))
            placeholders.append(np.isin(np.arange(len(ids)), choice))
    return np.concatenate(sequence_indices), np.concatenate(placeholders)


def _placeholder_choices(ids: np.ndarray, sentinels: np.ndarray) -> Iterator[tuple[int, ...]]:
    """All combinations of one index for each sentinel."""
    indices = [np.flatnonzero(ids == sentinel).tolist() for sentinel in sentinels]
    if math.prod(map(len, indices)) > _MAX_PARSES:
        raise NotAuditableError("a text contains too many sentinels of its own, so its original is ambiguous")
    return product(*indices)


def _restore_originals(
    inputs: RaggedTokens, is_placeholder: np.ndarray, labels: RaggedTokens, sentinels: np.ndarray
) -> tuple[RaggedTokens, np.ndarray]:
    """Replaces each placeholder (bool `[tokens]`) in the inputs with its run of noise from the labels.

    Returns:
        The original sequences, and whether a token of theirs is noise, bool `[tokens]`.
    """
    noise_ids, run_lengths = _noise_runs(labels, np.isin(labels.input_ids, sentinels))
    sizes = np.ones(len(inputs.input_ids), dtype=np.int64)
    sizes[is_placeholder] = run_lengths
    is_noise = is_placeholder.repeat(sizes)
    input_ids = inputs.input_ids.repeat(sizes)
    input_ids[is_noise] = noise_ids
    return RaggedTokens(input_ids, segment_reduce(np.add, sizes, inputs.lengths)), is_noise


def _noise_runs(labels: RaggedTokens, is_sentinel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reads the runs of noise. Every row has at least one sentinel (bool `[labels]`), and no noise follows its last.

    Returns:
        The ids of the noise, int64 `[noise]`, and the length of each run, int64 `[runs]`.
    """
    sentinel_count = int(is_sentinel.sum())
    is_last = np.zeros(sentinel_count, dtype=bool)
    is_last[count_flags(is_sentinel, labels.lengths).cumsum() - 1] = True
    sentinel_index = np.cumsum(is_sentinel) - 1  # for each label, the last sentinel up to it
    is_noise = ~is_sentinel & ~is_last[sentinel_index] if sentinel_count else is_sentinel
    run_lengths = np.bincount(sentinel_index[is_noise], minlength=sentinel_count)[~is_last]
    return labels.input_ids[is_noise], run_lengths


def _token_indices(tokens: RaggedTokens, rows: np.ndarray) -> np.ndarray:
    """int64: the indices of the tokens of these rows, in the order of `rows`."""
    lengths = tokens.lengths[rows]
    return (tokens.ends[rows] - lengths).repeat(lengths) + positions_in_rows(lengths)


def _select_rows(tokens: RaggedTokens, rows: np.ndarray) -> RaggedTokens:
    return RaggedTokens(tokens.input_ids[_token_indices(tokens, rows)], tokens.lengths[rows])


def _equal_rows(a: RaggedTokens, b: RaggedTokens) -> np.ndarray:
    """bool `[rows]`: True if a row has the same ids in both."""
    equal = a.lengths == b.lengths
    rows = np.flatnonzero(equal)
    differs = _select_rows(a, rows).input_ids != _select_rows(b, rows).input_ids
    equal[rows] = ~segment_reduce(np.logical_or, differs, a.lengths[rows])
    return equal
