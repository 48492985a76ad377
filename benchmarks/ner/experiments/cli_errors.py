"""Reports errors in arguments and data: one line and exit status 2, or a warning."""

import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

from accelerate import PartialState
from accelerate.utils import gather_object

from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.distributed import exit_all_ranks

Made = TypeVar("Made")
USER_ERRORS = (ValueError, OSError)  # invalid or unreadable input; other errors are bugs and keep their traceback


def prepare_on_all_ranks(program: str, prepare: Callable[[], Made]) -> Made:
    """Calls `prepare` on all processes and returns its value on this one; a collective call.

    If it raises an error on any process, the first process prints the error and all processes exit. The launcher stops
    none of them before that.
    """
    made: list[Made] = []
    errors: list[str] = []
    try:
        made.append(prepare())
    except USER_ERRORS as error:
        errors.append(str(error))
    if errors := gather_object(errors):
        if PartialState().is_main_process:
            print_message(program, "error", errors[0])
        exit_all_ranks(2)
    return made[0]


def reject_unknown_arguments(words: list[str]) -> None:
    """Raises `ValueError` for arguments that the parser does not know."""
    if words:
        raise ValueError(
            f"arguments must be among those that --help lists; got {' '.join(words)}; correct or remove them"
        )


def exit_with_error(program: str, message: str) -> NoReturn:
    """Prints an error and exits a program of one process."""
    print_message(program, "error", message)
    sys.exit(2)


def print_message(program: str, kind: str, message: str) -> None:
    print(f"{program}: {kind}: {printable(' '.join(message.split()))}", file=sys.stderr)
