"""`hf-dynmask preview` shows masks, `hf-dynmask schedule` draws the course of a rate."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hf_dynmask import __version__

_EXAMPLES = """examples:
  hf-dynmask preview "The gardener waters unbelievable flowers." --strategy whole_word
  hf-dynmask preview --tokenizer bert-base-cased --schedule "linear(0.3, 0.15)" --epochs 4 --file corpus.txt
  hf-dynmask schedule "cosine(0.3, 0.15)" --steps 10000 --out curve.png
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command. What is wrong with its arguments, or cannot be read, is one line, and exit status 2."""
    parser = _parser()
    options, left = parser.parse_known_args(arguments)
    if left:
        _refuse(left, options, parser)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character is no reason to stop
    try:
        _run(options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("rich", "matplotlib"):
            raise
        _stop(f'{error.name} is not installed. Install it with `pip install "hf-dynmask[cli]"`.')
    except (ValueError, OSError) as error:
        _stop(" ".join(str(error).split()))
    except KeyboardInterrupt:
        sys.exit(130)


def _run(options: argparse.Namespace) -> None:
    if options.command == "schedule":
        from hf_dynmask.cli.schedule_chart import show_course

        show_course(options.schedule, options.steps, options.out)
    else:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # only what was asked for is printed
        from hf_dynmask.cli.preview import show_preview

        show_preview(options)


def _refuse(left: Sequence[str], options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """What is left of the arguments are options that are none, or words of a text without quotes."""
    if any(word.startswith("-") for word in left):
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    argument = "schedule" if options.command == "schedule" else "text"
    words = " ".join(filter(None, [getattr(options, argument), *left]))
    _stop(f'`{argument}` must be one argument, but got more. Put it in quotes: "{words}".')


def _stop(message: str) -> None:
    print(f"hf-dynmask: error: {message}", file=sys.stderr)
    sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "hf-dynmask", description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    preview = commands.add_parser("preview", help="show a text's masks, epoch by epoch")
    preview.add_argument("text", nargs="?", help="the text to mask; by default, the lines of standard input")
    preview.add_argument("--file", type=Path, help="a file whose lines are the texts")
    preview.add_argument("--max_texts", type=int, default=10, help="show so many lines at most (default: %(default)s)")
    preview.add_argument("--tokenizer", help="a name on the hub or a folder; by default, a toy made from the text")
    preview.add_argument("--strategy", default="token", help="such as whole_word, or span(fixed_lengths(3))")
    rate = preview.add_mutually_exclusive_group()
    rate.add_argument(
        "--rate",
        default="0.15",
        help="the fraction of tokens to mask, or uniform_rate(0.1, 1.0) and the like (default: %(default)s)",
    )
    rate.add_argument(
        "--schedule",
        help="such as linear(0.3, 0.15), over the epochs that are shown; each has the rate of its beginning, so that "
        "none has that of the end",
    )
    preview.add_argument("--epochs", type=int, default=4, help="how many epochs (default: %(default)s)")
    preview.add_argument("--num_mask_patterns", type=int, help="so many masks that take turns; by default, new ones")
    preview.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")

    schedule = commands.add_parser("schedule", help="draw the course of a rate")
    schedule.add_argument("schedule", help="such as cosine(0.3, 0.15)")
    schedule.add_argument("--steps", type=int, default=1000, help="optimizer steps in all (default: %(default)s)")
    schedule.add_argument("--out", type=Path, help="an image file to draw the curve into, such as curve.png")
    return parser
