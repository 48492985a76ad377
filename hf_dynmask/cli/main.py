"""`hf-dynmask preview` shows masks; `hf-dynmask schedule` shows a mask rate over the course of training."""

from __future__ import annotations

import argparse
import difflib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hf_dynmask import __version__

_EXAMPLES = """examples:
  hf-dynmask preview "The gardener waters unbelievable flowers." --strategy whole_word
  hf-dynmask preview --tokenizer bert-base-cased --schedule "linear(0.3, 0.15)" --epochs 4 --file corpus.txt
  hf-dynmask schedule "cosine(0.3, 0.15)" --steps 10000 --out curve.png
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command. Wrong arguments and unreadable files give one line on stderr, and exit status 2."""
    parser = _parser()
    options, left = parser.parse_known_args(arguments)
    if left:
        _refuse(left, options)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # characters that the terminal cannot show
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
        with _loading("torch"):
            from hf_dynmask.cli.schedule_chart import show_schedule
        show_schedule(options.schedule, options.steps, options.out)
    else:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # transformers prints nothing else
        with _loading("transformers"):
            from hf_dynmask.cli.preview import show_preview
        show_preview(options)


@contextmanager
def _loading(library: str) -> Iterator[None]:
    """Says in a terminal what takes seconds, for as long as it takes."""
    message = f"hf-dynmask: loading {library} ..."
    if not sys.stderr.isatty():
        yield
        return
    print(message, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print(f"\r{' ' * len(message)}", end="\r", file=sys.stderr, flush=True)


def _refuse(left: Sequence[str], options: argparse.Namespace) -> None:
    """Explains arguments that are left over: unknown options, or words of a text without quotes."""
    for word in left:
        if word.startswith("-"):
            name = word.partition("=")[0]
            known = [f"--{option}" for option in vars(options) if option not in ("command", "text")]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            remedy = f"Did you mean `{near[0]}`?" if near else f"See `hf-dynmask {options.command} --help`."
            _stop(f"there is no option `{name}`. {remedy}")
    if options.command == "schedule":
        argument, quoted = "schedule", "linear(0.3, 0.15)"
    else:
        argument, quoted = "text", " ".join(filter(None, [options.text, *left]))
    _stop(f'`{argument}` must be a single argument, but got several. Put it in quotes: "{quoted}".')


def _stop(message: str) -> None:
    print(f"hf-dynmask: error: {message}", file=sys.stderr)
    sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "hf-dynmask", description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="{preview,schedule}", required=True)

    preview = commands.add_parser("preview", help="show the masks of a text in each epoch")
    preview.add_argument("text", nargs="?", help="the text to mask (default: the lines of standard input)")
    preview.add_argument("--file", type=Path, help="a file with one text in each line")
    preview.add_argument(
        "--max_texts", type=int, default=10, help="show at most this many lines (default: %(default)s)"
    )
    preview.add_argument("--tokenizer", help="a name on the hub or a folder (default: a toy made from the text)")
    preview.add_argument("--strategy", default="token", help="such as whole_word, or span(fixed_lengths(3))")
    rate = preview.add_mutually_exclusive_group()
    rate.add_argument(
        "--rate",
        default="0.15",
        help="the fraction of maskable tokens to mask, or a distribution such as uniform_rate(0.1, 1.0) "
        "(default: %(default)s)",
    )
    rate.add_argument(
        "--schedule",
        help="a schedule such as linear(0.3, 0.15) over the epochs shown; each epoch has the rate at its start",
    )
    preview.add_argument("--epochs", type=int, default=4, help="the number of epochs (default: %(default)s)")
    preview.add_argument("--num_mask_patterns", type=int, help="how many masks take turns (default: always new masks)")
    preview.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")

    schedule = commands.add_parser("schedule", help="show a mask rate over the course of training")
    schedule.add_argument("schedule", help="such as cosine(0.3, 0.15)")
    schedule.add_argument(
        "--steps", type=int, default=1000, help="the number of optimizer steps (default: %(default)s)"
    )
    schedule.add_argument("--out", type=Path, help="an image file for the curve, such as curve.png")
    return parser
