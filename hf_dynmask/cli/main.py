"""`hf-dynmask preview` shows masks; `hf-dynmask schedule` shows a mask rate over the course of training."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hf_dynmask.cli.options import read_options
from hf_dynmask.cli.texts import read_texts


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command. Wrong arguments and unreadable files give one line on stderr, and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # characters that the terminal cannot show
    try:
        options = read_options(arguments)
        (_show_schedule if options.command == "schedule" else _show_preview)(options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("rich", "matplotlib"):
            raise
        _stop(f'{error.name} is not installed. Install it with `pip install "hf-dynmask[cli]"`.')
    except (ValueError, OSError) as error:
        _stop(" ".join(str(error).split()))
    except KeyboardInterrupt:
        sys.exit(130)


def _show_schedule(options: argparse.Namespace) -> None:
    from hf_dynmask.cli.schedule_chart import show_schedule

    show_schedule(options.schedule, options.steps, options.out)


def _show_preview(options: argparse.Namespace) -> None:
    """Shows masks. A library is imported after the checks that do without it."""
    texts, more = read_texts(options)
    from hf_dynmask.cli.expressions import rate_from, schedule_from, strategy_from

    rate = rate_from(options.rate) if options.schedule is None else schedule_from(options.schedule, "--schedule")
    strategy = strategy_from(options.strategy)
    for library in ("HF_HUB", "TRANSFORMERS"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")  # no advice, and no line for each retry of a download
    with _loading("transformers"):
        from hf_dynmask.cli.preview import collator_of, show_preview
        from hf_dynmask.cli.tokenizers import read_tokenizer
    with _loading(options.tokenizer):
        tokenizer = read_tokenizer(options.tokenizer, texts)
    show_preview(options, texts, more, collator_of(options, tokenizer, rate, strategy))


@contextmanager
def _loading(name: str | None) -> Iterator[None]:
    """Says in a terminal that loading takes seconds, for as long as it takes."""
    message = f"hf-dynmask: loading {name} ..."
    if name is None or not sys.stderr.isatty():
        yield
        return
    print(message, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print(f"\r{' ' * len(message)}", end="\r", file=sys.stderr, flush=True)


def _stop(message: str) -> None:
    print(f"hf-dynmask: error: {message}", file=sys.stderr)
    sys.exit(2)
