"""Prints the masks of a text, one line for each epoch."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from hf_dynmask.cli.expressions import rate_from, schedule_from, strategy_from
from hf_dynmask.cli.texts import read_texts
from hf_dynmask.cli.token_outcomes import Piece, marked_pieces
from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.core.checks import checked_integer

_MARKS = {"masked": ("[", "]"), "replaced": ("{", "}"), "kept": ("<", ">")}  # visible without colors too
_STYLES = {"masked": "bold red", "replaced": "bold magenta", "kept": "bold green"}
_FORCED = "Some texts are too short for this rate, so one token was selected anyway (`min_masked=1`)."


def show_preview(options: argparse.Namespace) -> None:
    """Prints the masks of texts in several epochs; `options` are those of `hf-dynmask preview`.

    Raises:
        ValueError: if an option is wrong, there is no text, or a text or the tokenizer cannot be read.
    """
    epochs = checked_integer(options.epochs, "--epochs", 1, "Pass the number of epochs to show.")
    texts, more = read_texts(options)
    collator = _collator(options, _tokenizer(options.tokenizer, texts))
    console = Console(emoji=False, highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())
    toy = "a toy made from the text (choose one with --tokenizer)"
    console.print(f"Tokenizer: {options.tokenizer or toy}.")
    console.print(f"{str(collator).rpartition('; ')[0]}.")  # without the last part: the epoch is given here
    console.print(Text("Legend: ").append_text(_legend()))
    console.print("Spaces separate words; dots join the pieces of a word.")
    seen: Counter[str | None] = Counter()
    too_few = False
    for text in texts:
        console.print("\n epoch   rate  selected")
        for epoch in range(epochs):
            asked, pieces = _masked(collator, text, epoch, epochs)
            seen.update(piece.outcome for piece in pieces)
            too_few |= asked * len(pieces) < 1
            console.print(_line(console, epoch, asked, pieces))
    left_out = f" Only the first {len(texts)} lines are shown: see --max_texts." if more else ""
    console.print(f"\n{_summary(seen)}{left_out}")
    if too_few:
        console.print(_FORCED)


def _collator(options: argparse.Namespace, tokenizer: Any) -> DataCollatorForDynamicMasking:
    scheduled = options.schedule is not None
    return DataCollatorForDynamicMasking(
        tokenizer,
        mlm_probability=schedule_from(options.schedule, "--schedule") if scheduled else rate_from(options.rate),
        strategy=strategy_from(options.strategy),
        num_mask_patterns=options.num_mask_patterns,
        seed=options.seed,
        return_tensors="np",
        return_mask_rate=True,
    )


def _tokenizer(name: str | None, texts: Sequence[str]) -> Any:
    if name is None:
        from hf_dynmask.cli.toy_tokenizer import toy_tokenizer

        return toy_tokenizer(texts)
    rule = f"`--tokenizer` must be a name on the hub or a folder with a tokenizer, but got {name!r}: "
    if (name[:1] in (".", "/", "~") or name.count("/") > 1) and not os.path.exists(name):  # not a name on the hub
        raise ValueError(f"{rule}there is no such folder.")
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name)
    except (ValueError, OSError) as error:
        raise ValueError(f"{rule}{error}") from error


def _masked(collator: DataCollatorForDynamicMasking, text: str, epoch: int, epochs: int) -> tuple[float, list[Piece]]:
    """The requested rate, and the outcome for each token."""
    encoded = collator.tokenizer(text)
    batch = collator([encoded], epoch=epoch, progress=epoch / epochs)
    rows = batch["input_ids"][0], batch["labels"][0]
    pieces = marked_pieces(collator.tokenizer, collator._vocabulary, encoded["input_ids"], *rows)
    return float(batch["mask_rate"][0]), list(pieces)


def _line(console: Console, epoch: int, asked: float, pieces: Sequence[Piece]) -> Text:
    """The line of an epoch. In a terminal, long lines continue below the tokens."""
    chosen = sum(piece.outcome is not None for piece in pieces) / max(len(pieces), 1)
    columns = f"{epoch:6}  {asked:5.1%}  {chosen:8.1%}  "
    tokens = Text()
    for place, piece in enumerate(pieces):
        if place:
            tokens.append(" " if piece.begins_word else "\N{MIDDLE DOT}")
        tokens.append_text(_marked(piece.text, piece.outcome))
    lines = [tokens] if console.soft_wrap else tokens.wrap(console, max(console.width - len(columns), 20))
    return Text(columns) + Text(f"\n{' ' * len(columns)}").join(lines)


def _marked(text: str, outcome: str | None) -> Text:
    if outcome is None:
        return Text(text)
    before, after = _MARKS[outcome]
    return Text(f"{before}{text}{after}", style=_STYLES[outcome])


def _legend() -> Text:
    shown = {"masked": "masked", "replaced": "original>random", "kept": "kept, still predicted"}
    return Text("  ").join(_marked(text, outcome) for outcome, text in shown.items())


def _summary(seen: Counter[str | None]) -> str:
    total, chosen = seen.total(), seen.total() - seen[None]
    outcomes = ", ".join(f"{seen[outcome]} {outcome}" for outcome in _MARKS)
    return f"{chosen} of {total} tokens selected, {chosen / max(total, 1):.1%}: {outcomes}."
