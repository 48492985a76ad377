"""The arguments of the command."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import NoReturn

from hf_dynmask import __version__

_DESCRIPTION = "Shows masks, or a mask rate over the course of training."
_EXAMPLES = """examples:
  hf-dynmask preview "The gardener waters unbelievable flowers." --strategy whole_word
  hf-dynmask preview --tokenizer bert-base-cased --schedule "linear(0.3, 0.15)" --epochs 4 --file corpus.txt
  hf-dynmask schedule "cosine(0.3, 0.15)" --steps 10000 --out curve.png
"""
_MESSAGES = {  # of argparse, and in words that name the rule
    r"argument (--\w+): expected one argument": r"`\1` must have a value, but got none",
    r"argument .*: invalid choice: (.*) \(choose from .*": r"the command must be `preview` or `schedule`, but got \1",
}


class Parser(argparse.ArgumentParser):
    """A parser that raises a `ValueError` of one sentence in place of printing its usage."""

    def error(self, message: str) -> NoReturn:
        for pattern, replacement in _MESSAGES.items():
            message = re.sub(pattern, replacement, message)
        raise ValueError(f"{message}. See `{self.prog} --help`.")


def make_parser() -> Parser:
    """The parser of both commands. Integers, and arguments that exclude each other, are left to [`read_options`]."""
    parser = Parser(
        "hf-dynmask",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="{preview,schedule}")
    _add_preview(commands.add_parser("preview", help="show the masks of a text in each epoch"))
    _add_schedule(commands.add_parser("schedule", help="show a mask rate over the course of training"))
    return parser


def _add_preview(preview: argparse.ArgumentParser) -> None:
    preview.add_argument("text", nargs="?", help="the text to mask (default: the lines of standard input)")
    preview.add_argument("--file", type=Path, help="a file with one text in each line")
    preview.add_argument("--max_texts", default="10", help="show at most this many lines (default: %(default)s)")
    preview.add_argument("--tokenizer", help="a name on the hub or a folder (default: a toy made from the text)")
    preview.add_argument(
        "--strategy",
        default="token",
        help="token, whole_word, span, ngram, position or mixture (default: %(default)s); with arguments in quotes, "
        'such as "span(fixed_lengths(3))" or "position(\'prefix\')"',
    )
    preview.add_argument(
        "--rate",
        help="the fraction of maskable tokens to mask, or a distribution such as uniform_rate(0.1, 1.0) "
        "(default: 0.15)",
    )
    preview.add_argument(
        "--schedule",
        help="instead of --rate, a schedule such as linear(0.3, 0.15) over the epochs shown; each epoch has the rate "
        "at its start",
    )
    preview.add_argument("--epochs", default="4", help="the number of epochs (default: %(default)s)")
    preview.add_argument("--num_mask_patterns", help="how many masks take turns (default: always new masks)")
    preview.add_argument("--min_masked", default="1", help="the minimum number of masked tokens (default: %(default)s)")
    preview.add_argument("--seed", default="0", help="(default: %(default)s)")


def _add_schedule(schedule: argparse.ArgumentParser) -> None:
    schedule.add_argument("schedule", nargs="?", help="such as cosine(0.3, 0.15)")
    schedule.add_argument("--steps", default="1000", help="the number of optimizer steps (default: %(default)s)")
    schedule.add_argument("--out", help="an image file for the curve, such as curve.png")
