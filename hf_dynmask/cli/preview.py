"""Prints the masks of a text, one line for each epoch."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.text import Text

from hf_dynmask.cli.explanations import MaskedText, explanations
from hf_dynmask.cli.marks import Marks, marks_for
from hf_dynmask.cli.token_outcomes import MASKED, Piece, masked_fraction, pieces_of
from hf_dynmask.cli.word_hint import word_hint
from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.rates.schedules import Rate
from hf_dynmask.strategies import Strategy, resolve_strategy
from hf_dynmask.vocabulary.vocabulary import Vocabulary, read_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def show_preview(
    options: argparse.Namespace, texts: Sequence[str], more: bool, collator: DataCollatorForDynamicMasking
) -> None:
    """Prints the masks of texts in several epochs.

    Args:
        options: those of `hf-dynmask preview`.
        texts: the texts.
        more: whether there are more texts, which are not shown.
        collator: masks the texts.
    """
    vocabulary, epochs = read_vocabulary(collator.tokenizer), range(options.epochs)
    drawn = dataclasses.replace(collator, min_masked=0)
    masked = [[_masked(collator, drawn, vocabulary, text, epoch, len(epochs)) for epoch in epochs] for text in texts]
    pieces = [piece for each in chain.from_iterable(masked) for piece in each.pieces]
    console = Console(emoji=False, highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())
    marks = marks_for(console)
    hint = word_hint(resolve_strategy(collator.strategy), [first.pieces for first, *_ in masked])
    for line in (*_header(options, collator), *marks.legend(pieces), *filter(None, [hint])):
        console.print(line)
    for of_text in masked:
        console.print("\n epoch    rate  masked")
        for each in of_text:
            console.print(_line(console, marks, each))
    console.print()
    for sentence in (_totals(pieces, len(texts) if more else None), *explanations(collator, masked)):
        console.print(sentence)


def collator_of(
    options: argparse.Namespace, tokenizer: PreTrainedTokenizerBase, rate: Rate, strategy: Strategy
) -> DataCollatorForDynamicMasking:
    """The collator whose masks are shown. Raises a `ValueError` if its arguments do not work together."""
    return DataCollatorForDynamicMasking(
        tokenizer,
        mlm_probability=rate,
        strategy=strategy,
        num_mask_patterns=options.num_mask_patterns,
        seed=options.seed,
        min_masked=options.min_masked,
        return_tensors="np",
        return_mask_rate="token",
    )


def _masked(
    collator: DataCollatorForDynamicMasking,
    drawn: DataCollatorForDynamicMasking,
    vocabulary: Vocabulary,
    text: str,
    epoch: int,
    epochs: int,
) -> MaskedText:
    """A text in an epoch. `drawn` is the collator without a minimum: where their masks differ, the minimum decides."""
    encoded = collator.tokenizer(text, return_special_tokens_mask=True)
    added = encoded.pop("special_tokens_mask")  # those of the text itself are shown
    batch, free = (each([encoded], epoch=epoch, progress=epoch / epochs) for each in (collator, drawn))
    pieces = pieces_of(collator.tokenizer, vocabulary, encoded["input_ids"], batch)
    rates = batch["mask_rate"][0]
    of_maskable = [rate for rate, piece in zip(rates, pieces, strict=True) if piece.is_maskable]
    own = [piece for piece, is_added in zip(pieces, added, strict=True) if not is_added]
    is_forced = not np.array_equal(batch["labels"], free["labels"])
    return MaskedText(epoch, float(np.mean(of_maskable or rates)), own, is_forced)


def _header(options: argparse.Namespace, collator: DataCollatorForDynamicMasking) -> tuple[str, str]:
    toy = "a toy made from the text (choose one with --tokenizer)"
    described = str(collator).rpartition("; ")[0]  # without the last part: the epoch is given here
    rates = "" if options.schedule is None else " Each epoch has the rate at its start."
    return f"Tokenizer: {options.tokenizer or toy}.", f"{described}.{rates}"


def _line(console: Console, marks: Marks, masked: MaskedText) -> Text:
    """The line of an epoch. In a terminal, long lines continue below the tokens."""
    columns = f"{masked.epoch:6}  {masked.rate:6.1%}  {masked_fraction(masked.pieces):6.1%}  "
    tokens = marks.line(masked.pieces)
    lines = [tokens] if console.soft_wrap else tokens.wrap(console, max(console.width - len(columns), 8))
    return Text(columns) + Text(f"\n{' ' * len(columns)}").join(lines)


def _totals(pieces: Sequence[Piece], shown: int | None) -> str:
    """The totals of all epochs. `shown`: the number of texts, if there are more; otherwise None."""
    maskable = sum(piece.is_maskable for piece in pieces)
    of = Counter(piece.outcome for piece in pieces)
    outcomes = ", ".join(f"{of[outcome]} {name}" for outcome, name in MASKED.items())
    kind = "tokens" if maskable == len(pieces) else "maskable tokens"
    masked = sum(of[outcome] for outcome in MASKED)
    left_out = "" if shown is None else f" Only the first {shown} lines are shown: see --max_texts."
    return f"{masked} of {maskable} {kind} masked, {masked_fraction(pieces):.1%}: {outcomes}.{left_out}"
