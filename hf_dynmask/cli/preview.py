"""A text's masks, one line an epoch."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hf_dynmask.arguments import checked_integer
from hf_dynmask.cli.expressions import schedule_from, strategy_from
from hf_dynmask.cli.pieces import Piece, pieces_of
from hf_dynmask.collator import DataCollatorForDynamicMasking
from hf_dynmask.rates import rate_at

_MARKS = {"masked": ("[", "]"), "replaced": ("{", "}"), "kept": ("<", ">")}  # also seen where there are no colours
_STYLES = {"masked": "bold red", "replaced": "bold magenta", "kept": "bold green"}


def show_preview(options: argparse.Namespace) -> None:
    """Prints the masks of texts in some epochs; `options` are those of `hf-dynmask preview`.

    Raises:
        ValueError: if an option is wrong, or there is no text.
        OSError: if the file, or the tokenizer, cannot be read.
    """
    epochs = checked_integer(options.epochs, "epochs", 1, "Pass how many to show.")
    texts, more = _texts(options)
    tokenizer = _tokenizer(options.tokenizer, texts)
    collator = DataCollatorForDynamicMasking(
        tokenizer,
        mlm_probability=schedule_from(options.schedule) if options.schedule else options.rate,
        strategy=strategy_from(options.strategy),
        num_mask_patterns=options.num_mask_patterns,
        seed=options.seed,
        return_tensors="np",
    )
    collator.set_epoch(0, total_steps=epochs)
    console = Console(highlight=False)
    toy = "a toy, made of the text; name one with --tokenizer"
    console.print(f"Tokenizer: {options.tokenizer or toy}.", markup=False, soft_wrap=True)
    console.print(str(collator), markup=False, soft_wrap=True)
    console.print(Text("Marks: ").append_text(_legend()), soft_wrap=True)
    seen: Counter[str | None] = Counter()
    for text in texts:
        console.print("\n epoch  asked  masked", markup=False)
        for epoch in range(epochs):
            pieces = _masked(collator, tokenizer(text), epoch, epochs)
            seen.update(piece.outcome for piece in pieces)
            console.print(_line(epoch, rate_at(collator.rate, epoch, epochs), pieces), soft_wrap=True)
    left_out = f" Further lines were left out, after {len(texts)}: see --max_texts." if more else ""
    console.print(f"\n{_summary(seen)}{left_out}", markup=False, soft_wrap=True)


def _texts(options: argparse.Namespace) -> tuple[list[str], bool]:
    """The texts, as many as are to be shown, and whether there are more."""
    most = checked_integer(options.max_texts, "max_texts", 1, "Pass how many lines to show.")
    if options.text is not None and options.file is not None:
        raise ValueError("`text` and `--file` must not both be given. Drop one.")
    if options.text is None and options.file is None and sys.stdin.isatty():
        raise ValueError("`text` must be given, or `--file`, or standard input. Put a text in quotes.")
    texts = list(islice(_lines(options.text, options.file), most + 1))
    if not texts:
        raise ValueError("`text` must hold something else than white space, but nothing came.")
    return texts[:most], len(texts) > most


def _lines(text: str | None, file: Path | None) -> Iterator[str]:
    if text is not None:
        yield from filter(None, [" ".join(text.split())])
    elif file is None:
        yield from filter(None, map(str.strip, sys.stdin))
    else:
        with file.open(encoding="utf-8", errors="strict") as lines:
            yield from filter(None, map(str.strip, lines))


def _tokenizer(name: str | None, texts: Sequence[str]) -> Any:
    if name is None:
        from hf_dynmask.cli.toy_tokenizer import toy_tokenizer

        return toy_tokenizer(texts)
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(name)


def _masked(collator: DataCollatorForDynamicMasking, encoded: Any, epoch: int, epochs: int) -> list[Piece]:
    collator.set_epoch(epoch, first_step=epoch, total_steps=epochs)
    batch = collator([encoded])
    rows = batch["input_ids"][0], batch["labels"][0]
    return list(pieces_of(collator.tokenizer, collator._vocabulary, encoded["input_ids"], *rows))


def _line(epoch: int, asked: float, pieces: Sequence[Piece]) -> Text:
    chosen = sum(piece.outcome is not None for piece in pieces) / max(len(pieces), 1)
    line = Text(f"{epoch:6}  {asked:5.1%}  {chosen:6.1%}  ")
    for place, piece in enumerate(pieces):
        if place:
            line.append(" " if piece.begins_word else "\N{MIDDLE DOT}")
        line.append_text(_marked(piece.text, piece.outcome))
    return line


def _marked(text: str, outcome: str | None) -> Text:
    if outcome is None:
        return Text(text)
    before, after = _MARKS[outcome]
    return Text(f"{before}{text}{after}", style=_STYLES[outcome])


def _legend() -> Text:
    shown = {"masked": "becomes the mask token", "replaced": "it>by a random one", "kept": "to be predicted, but stays"}
    return Text(" ").join(_marked(text, outcome) for outcome, text in shown.items())


def _summary(seen: Counter[str | None]) -> str:
    total, chosen = seen.total(), seen.total() - seen[None]
    outcomes = ", ".join(f"{seen[outcome]} {outcome}" for outcome in _MARKS)
    return f"{chosen} of {total} tokens chosen, {chosen / max(total, 1):.1%}: {outcomes}."
