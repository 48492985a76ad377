"""Explains masks that look wrong and are not: more than the rate, or equal ones that take turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from hf_dynmask.cli.token_outcomes import Piece
from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.strategies import resolve_strategy

_UNITS = {"token": "token", "whole_word": "word", "span": "span", "ngram": "n-gram"}  # of others: "unit"


@dataclass(frozen=True)
class MaskedText:
    """A text in an epoch.

    Attributes:
        epoch: the epoch.
        rate: the rate that was asked for; the mean over the maskable tokens.
        pieces: the tokens, without the special tokens that the tokenizer adds.
        is_forced: whether something is masked only because of `min_masked`.
    """

    epoch: int
    rate: float
    pieces: Sequence[Piece]
    is_forced: bool


def explanations(collator: DataCollatorForDynamicMasking, masked: Sequence[Sequence[MaskedText]]) -> Iterator[str]:
    """The sentences below the masks.

    Args:
        collator: masks the texts.
        masked: the masks of each text, from epoch 0 on.
    """
    forced = [each.is_forced for each in chain.from_iterable(masked)]
    if any(forced):
        too_few = _one(collator) if collator.min_masked == 1 else _several(collator.min_masked)
        yield f"In {sum(forced)} of {len(forced)} masks {too_few} (`min_masked={collator.min_masked}`)."
    if equal := sum(_has_equal_masks(of_text[: collator.num_mask_patterns or 0]) for of_text in masked):
        yield (
            f"Masks that take turns are drawn independently, so some may be equal: here, in {equal} of {len(masked)} "
            "texts."
        )


def _one(collator: DataCollatorForDynamicMasking) -> str:
    unit = _UNITS.get(resolve_strategy(collator.strategy).name, "unit")
    return f"no {unit} was drawn, so one {unit} is masked anyway"


def _several(least: int) -> str:
    return f"fewer than {least} tokens were drawn, so more are masked, up to that number"


def _has_equal_masks(of_text: Sequence[MaskedText]) -> bool:
    return len({tuple(each.pieces) for each in of_text}) < len(of_text)
