"""Prints the masks of a text, one line for each epoch."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from hf_dynmask.cli.expressions import rate_from, schedule_from, strategy_from
from hf_dynmask.cli.marks import Marks, marks_for
from hf_dynmask.cli.texts import read_texts
from hf_dynmask.cli.token_outcomes import MASKED, Piece, pieces_of
from hf_dynmask.cli.tokenizers import read_tokenizer
from hf_dynmask.cli.word_hint import word_hint
from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.core.checks import checked_integer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_FORCED = "Some texts are too short for this rate, so one token is masked anyway (`min_masked=1`)."


@dataclass(frozen=True)
class MaskedText:
    """A text in an epoch.

    Attributes:
        epoch: the epoch.
        rate: the rate that was asked for.
        pieces: the tokens, without the special tokens that the tokenizer adds.
    """

    epoch: int
    rate: float
    pieces: Sequence[Piece]


def show_preview(options: argparse.Namespace) -> None:
    """Prints the masks of texts in several epochs; `options` are those of `hf-dynmask preview`.

    Raises:
        ValueError: if an option is wrong, there is no text, or a text or the tokenizer cannot be read.
    """
    epochs = checked_integer(options.epochs, "--epochs", 1, "Pass the number of epochs to show.")
    texts, more = read_texts(options)
    collator = _collator(options, read_tokenizer(options.tokenizer, texts))
    masked = [[_masked(collator, text, epoch, epochs) for epoch in range(epochs)] for text in texts]
    console = Console(emoji=False, highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())
    marks = marks_for(console)
    for line in _header(options, collator, marks, [first.pieces for first, *_ in masked]):
        console.print(line)
    for of_text in masked:
        console.print("\n epoch    rate  masked")
        for each in of_text:
            console.print(_line(console, marks, each))
    console.print()
    for sentence in _summary(list(chain.from_iterable(masked)), len(texts) if more else None):
        console.print(sentence)


def _collator(options: argparse.Namespace, tokenizer: PreTrainedTokenizerBase) -> DataCollatorForDynamicMasking:
    patterns = options.num_mask_patterns
    if patterns is not None:
        checked_integer(patterns, "--num_mask_patterns", 1, "Leave it out for a new mask in each epoch.")
    scheduled = options.schedule is not None
    return DataCollatorForDynamicMasking(
        tokenizer,
        mlm_probability=schedule_from(options.schedule, "--schedule") if scheduled else rate_from(options.rate),
        strategy=strategy_from(options.strategy),
        num_mask_patterns=patterns,
        seed=options.seed,
        return_tensors="np",
        return_mask_rate=True,
    )


def _masked(collator: DataCollatorForDynamicMasking, text: str, epoch: int, epochs: int) -> MaskedText:
    encoded = collator.tokenizer(text, return_special_tokens_mask=True)
    added = encoded.pop("special_tokens_mask")  # those of the text itself are shown
    batch = collator([encoded], epoch=epoch, progress=epoch / epochs)
    rows = batch["input_ids"][0], batch["labels"][0]
    pieces = pieces_of(collator.tokenizer, collator._vocabulary, encoded["input_ids"], *rows)
    own = [piece for piece, is_added in zip(pieces, added, strict=True) if not is_added]
    return MaskedText(epoch, float(batch["mask_rate"][0]), own)


def _header(
    options: argparse.Namespace, collator: DataCollatorForDynamicMasking, marks: Marks, texts: Sequence[Sequence[Piece]]
) -> list[str | Text]:
    toy = "a toy made from the text (choose one with --tokenizer)"
    described = str(collator).rpartition("; ")[0]  # without the last part: the epoch is given here
    hint = word_hint(collator._strategy, texts)
    legend = marks.legend(list(chain.from_iterable(texts)))
    return [f"Tokenizer: {options.tokenizer or toy}.", f"{described}.", *legend, *([hint] if hint else [])]


def _line(console: Console, marks: Marks, masked: MaskedText) -> Text:
    """The line of an epoch. In a terminal, long lines continue below the tokens."""
    chosen, maskable = _counts(masked.pieces)
    columns = f"{masked.epoch:6}  {masked.rate:6.1%}  {chosen / max(maskable, 1):6.1%}  "
    tokens = marks.line(masked.pieces)
    lines = [tokens] if console.soft_wrap else tokens.wrap(console, max(console.width - len(columns), 8))
    return Text(columns) + Text(f"\n{' ' * len(columns)}").join(lines)


def _summary(masked: Sequence[MaskedText], shown: int | None) -> list[str]:
    """The totals, and what needs to be explained. `shown`: the number of texts, if there are more; otherwise None."""
    pieces = list(chain.from_iterable(each.pieces for each in masked))
    chosen, maskable = _counts(pieces)
    of = Counter(piece.outcome for piece in pieces)
    outcomes = ", ".join(f"{of[outcome]} {name}" for outcome, name in MASKED.items())
    kind = "tokens" if maskable == len(pieces) else "maskable tokens"
    totals = f"{chosen} of {maskable} {kind} masked, {chosen / max(maskable, 1):.1%}: {outcomes}."
    left_out = "" if shown is None else f" Only the first {shown} lines are shown: see --max_texts."
    return [f"{totals}{left_out}", *([_FORCED] if any(map(_is_forced, masked)) else [])]


def _is_forced(masked: MaskedText) -> bool:
    _, maskable = _counts(masked.pieces)
    return maskable > 0 and masked.rate * maskable < 1


def _counts(pieces: Sequence[Piece]) -> tuple[int, int]:
    """The numbers of masked tokens and of maskable tokens."""
    outcomes = [piece.outcome for piece in pieces]
    return sum(outcome in MASKED for outcome in outcomes), sum(outcome != "unmaskable" for outcome in outcomes)
