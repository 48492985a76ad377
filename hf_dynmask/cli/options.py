"""Reads the arguments of the command, and checks all that can be checked without an import of a large library."""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from hf_dynmask.cli.parser import make_parser

_INTEGERS = {  # the least value, and the remedy
    "max_texts": (1, "Pass the number of lines to show."),
    "epochs": (1, "Pass the number of epochs to show."),
    "min_masked": (0, "Pass 0 to allow masks without a label."),
    "num_mask_patterns": (1, "Leave it out for a new mask in each epoch."),
    "seed": (None, "Pass 0, for example."),
    "steps": (1, "Pass the number of optimizer steps of the whole training."),
}


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of a command.

    Raises:
        ValueError: if an argument is unknown or missing, excludes another one, or is no integer where it must be one.
    """
    options, left = make_parser().parse_known_args(arguments)
    if left:
        _refuse(left, options)
    if options.command is None:
        raise ValueError("Pass a command, `preview` or `schedule`. See `hf-dynmask --help`.")
    for name in _INTEGERS.keys() & vars(options).keys():
        setattr(options, name, _integer(getattr(options, name), name))
    (_check_schedule if options.command == "schedule" else _check_preview)(options)
    return options


def _refuse(left: Sequence[str], options: argparse.Namespace) -> None:
    """Explains arguments that are left over: unknown options, or words of a text without quotes."""
    for word in left:
        if word.startswith("-"):
            name = word.partition("=")[0]
            known = [f"--{option}" for option in vars(options) if option not in ("command", "text")]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            command = " ".join(filter(None, ["hf-dynmask", options.command]))
            remedy = f"Did you mean `{near[0]}`?" if near else f"See `{command} --help`."
            raise ValueError(f"there is no option `{name}`. {remedy}")
    if options.command == "schedule":
        argument, quoted = "schedule", "linear(0.3, 0.15)"
    else:
        argument, quoted = "text", " ".join(filter(None, [options.text, *left]))
    raise ValueError(f'`{argument}` must be a single argument, but got several. Put it in quotes: "{quoted}".')


def _integer(text: str | None, name: str) -> int | None:
    """The integer in a text; None for None."""
    if text is None:
        return None
    least, remedy = _INTEGERS[name]
    rule = "an integer" if least is None else f"an integer of at least {least}"
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"`--{name}` must be {rule}, but got {text!r}. {remedy}") from None
    if least is not None and value < least:
        raise ValueError(f"`--{name}` must be {rule}, but got {value}. {remedy}")
    return value


def _check_preview(options: argparse.Namespace) -> None:
    for one, other in (("text", "file"), ("rate", "schedule")):
        if getattr(options, one) is not None and getattr(options, other) is not None:
            one = one if one == "text" else f"--{one}"
            raise ValueError(f"`{one}` and `--{other}` exclude each other. Pass one of them.")
    if options.rate is None:
        options.rate = "0.15"


def _check_schedule(options: argparse.Namespace) -> None:
    if options.schedule is None:
        raise ValueError('Pass `schedule` in quotes, such as "cosine(0.3, 0.15)".')
    out = options.out
    if out is not None and (os.path.isdir(out) or not Path(out).suffix.strip(".") or out.endswith(("/", os.sep))):
        raise ValueError(
            f"`--out` must be the name of an image file, but got {out!r}. Pass a name with a suffix, such as curve.png."
        )
