"""Words and spans on a device: the partitions of `strategies`, on flat torch tensors, bit-identical."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from hf_dynmask.core.draws import RANGE, Purpose
from hf_dynmask.core.draws_torch import draw, spread
from hf_dynmask.core.groups_torch import Groups, groups_of, indices_of, starts_where
from hf_dynmask.strategies import Strategy
from hf_dynmask.strategies.partitions import word_table, words
from hf_dynmask.strategies.spans import runs
from hf_dynmask.strategies.units import every_token
from hf_dynmask.vocabulary.vocabulary import Vocabulary
from hf_dynmask.vocabulary.words import Class

_LETTER, _JOINER, _SPECIAL = int(Class.LETTER), int(Class.JOINER), int(Class.SPECIAL)  # enums break a compiled graph


class DeviceUnits(NamedTuple):
    """Which tokens are masked together, as tables on a device.

    Attributes:
        codes: int64 `[ids]`, 16 times the last class of each token plus its first class; None without a word table.
        boundary: bool `[256]`, True where a word begins between a last and a first class; None without a word table.
        masks_words: whether words are units, or the parts of spans; otherwise tokens are.
        max_word_length: the largest number of tokens in a word; None if words are never split.
        span_limits: int64 `[lengths - 1]`, the draws from which on a span is longer than 1, 2, ...; None without spans.
        first_span_limits: the same for the rest of the span in which a sequence begins.
    """

    codes: torch.Tensor | None
    boundary: torch.Tensor | None
    masks_words: bool
    max_word_length: int | None
    span_limits: torch.Tensor | None
    first_span_limits: torch.Tensor | None


def device_units(strategy: Strategy, vocabulary: Vocabulary, device: torch.device | str) -> DeviceUnits | None:
    """The tables of a strategy; None if it masks single tokens.

    Raises:
        ValueError: if the vocabulary does not tell where words begin, or the strategy has other units than tokens,
            words and spans, weights, columns or a segmenter.
    """
    partition, span_limits, first_span_limits = strategy.partition, None, None
    if getattr(partition, "func", None) is runs:
        span_limits, first_span_limits = _span_limits(partition.keywords["lengths"], device)  # type: ignore[attr-defined]
        partition = partition.keywords["partition"]  # type: ignore[attr-defined]
    settings = getattr(partition, "keywords", {})
    masks_words = words in (partition, getattr(partition, "func", None))
    is_plain = strategy.weights is strategy.probs is strategy.draws is None and not strategy.columns
    if not is_plain or not (masks_words or partition is every_token) or settings.get("segmenter") is not None:
        raise ValueError(
            '`strategy` must mask tokens, words or spans with equal probabilities on a device, such as `"token"`, '
            f'`"whole_word"`, `"span"` or `"ngram"`, but got {strategy!r}. Mask on the host with the collator or '
            "`hf_dynmask.mask_tokens`."
        )
    if partition is every_token and span_limits is None:
        return None
    table = word_table(vocabulary) if masks_words else vocabulary.words
    return DeviceUnits(
        codes=None if table is None else torch.tensor(table.codes.astype(np.int64), device=device),
        boundary=None if table is None else torch.tensor(table.boundary_of_pairs, device=device),
        masks_words=masks_words,
        max_word_length=settings.get("max_word_length", 16) if masks_words else None,
        span_limits=span_limits,
        first_span_limits=first_span_limits,
    )


def _span_limits(lengths: list[float], device: torch.device | str) -> tuple[torch.Tensor, torch.Tensor]:
    probs = np.asarray(lengths, dtype=np.float64)
    of_first = probs[::-1].cumsum()[::-1] / (probs @ np.arange(1, len(probs) + 1))
    limits = (np.ceil(np.cumsum(each)[:-1] * RANGE).astype(np.int64) for each in (probs, of_first))
    first, second = (torch.tensor(each, device=device) for each in limits)
    return first, second


def unit_groups(
    ids: torch.Tensor,
    sequences: Groups,
    maskable: torch.Tensor,
    unlabeled: torch.Tensor | None,
    keys: torch.Tensor,
    golden: torch.Tensor,
    units: DeviceUnits,
) -> tuple[Groups, torch.Tensor]:
    """The units, and whether the unit of each token can be masked.

    Args:
        ids: int64 `[tokens]`, the sequences one after the other, without padding between their tokens.
        sequences: the sequences.
        maskable: bool `[tokens]`.
        unlabeled: bool `[tokens]`, the tokens that only a label of -100 makes unmaskable; None if there are no labels.
        keys: int64 `[tokens]`, the key of the sequence of each token.
        golden: a constant of the hash.
        units: from [`device_units`].

    Returns:
        The units and bool `[tokens]`.
    """
    starts = torch.ones_like(maskable)
    continued = torch.zeros_like(maskable)  # tokens that are masked with the first token of their word
    word_first = indices_of(ids)
    if units.codes is not None and (units.masks_words or unlabeled is not None):
        unsplit = _word_starts(ids, sequences, units)
        word_first = groups_of(unsplit).first
        if unlabeled is not None:
            continued = unlabeled & maskable[word_first]
        if units.masks_words:
            starts = _split_long_words(unsplit, ids, units)
    groups, unit_maskable = _maskable_units(starts, maskable, continued, word_first)
    if units.span_limits is None:
        return groups, unit_maskable
    starts = _run_starts(starts, unit_maskable, sequences, keys, golden, units)
    return _maskable_units(starts, maskable, continued, word_first)


def _maskable_units(
    starts: torch.Tensor, maskable: torch.Tensor, continued: torch.Tensor, word_first: torch.Tensor
) -> tuple[Groups, torch.Tensor]:
    """The units, and whether each token's unit can be masked, as all of its tokens can: bool `[tokens]`."""
    groups = groups_of(starts)
    is_later = continued & (groups.first == groups.first[word_first])
    return groups, groups.total(~maskable & ~is_later) == 0


def _word_starts(ids: torch.Tensor, sequences: Groups, units: DeviceUnits) -> torch.Tensor:
    """Where words begin, as `WordTable.starts`: bool `[tokens]`."""
    assert units.codes is not None
    assert units.boundary is not None
    codes, indices = units.codes[ids], indices_of(ids)
    last = codes >> 4
    bare = (sequences.first == indices) | starts_where(last[:-1] == _SPECIAL)
    last = torch.where((last == _JOINER) & bare, _LETTER, last)
    last = last[torch.where(last == _JOINER, 0, indices).cummax(0).values]
    return starts_where(units.boundary[(last[:-1] << 4) | (codes[1:] & 15)]) | (sequences.first == indices)


def _split_long_words(starts: torch.Tensor, ids: torch.Tensor, units: DeviceUnits) -> torch.Tensor:
    """Splits words of more tokens than the limit that begin a character, as `whole_words`: bool `[tokens]`."""
    if units.max_word_length is None:
        return starts
    assert units.codes is not None
    word = groups_of(starts)
    begins = starts | ((units.codes[ids] & 15) != _JOINER)
    length = word.total(begins)
    index = begins.cumsum(0)
    index = index - index[word.first]
    pieces = -(-length // units.max_word_length)
    return starts | (begins & (index * pieces // length != (index - 1) * pieces // length))


def _run_starts(
    starts: torch.Tensor,
    unit_maskable: torch.Tensor,
    sequences: Groups,
    keys: torch.Tensor,
    golden: torch.Tensor,
    units: DeviceUnits,
) -> torch.Tensor:
    """Where runs of units begin, as `strategies.spans.runs`: bool `[tokens]`."""
    assert units.span_limits is not None
    assert units.first_span_limits is not None
    number = starts.cumsum(0)
    number = number - number[sequences.first]  # of the unit in its sequence
    draws = draw(keys, spread(golden, number), Purpose.LENGTH)
    length = 1 + torch.where(
        number == 0,
        torch.bucketize(draws, units.first_span_limits, right=True),
        torch.bucketize(draws, units.span_limits, right=True),
    )
    run_first = (starts * length).cumsum(0) - length  # at the first token of each unit
    run_first = run_first - run_first[sequences.first]
    is_run = starts & (run_first < sequences.total(starts))
    target = torch.where(is_run, sequences.first + run_first, len(starts))
    begins = torch.zeros(len(starts) + 1, dtype=torch.bool, device=starts.device)
    begins[target] = True
    after_unmaskable = starts_where(~unit_maskable[:-1])
    return starts & (begins[sequences.first + number] | ~unit_maskable | after_unmaskable)
