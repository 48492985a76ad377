"""What a user is told of their arguments and data: an error on one line with exit status 2, or a warning."""

import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

from accelerate import PartialState
from accelerate.utils import gather_object

from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.distributed import exit_all_ranks

Made = TypeVar("Made")
USER_ERRORS = (ValueError, OSError)  # what is refused, or cannot be read; all else is ours, and keeps its traceback


def prepare_on_all_ranks(program: str, prepare: Callable[[], Made]) -> Made:
    """What `prepare` returns on this process, once it has on all of them; a collective call.

    Where one of them cannot, the first process prints why, and all end: none is ended by the launcher before that.
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
    """Raises `ValueError` for what is left of a command line."""
    if words:
        raise ValueError(f"arguments must be among those that --help lists; got {' '.join(words)}; mend or remove it")


def exit_with_error(program: str, message: str) -> NoReturn:
    """Ends a program of one process."""
    print_message(program, "error", message)
    sys.exit(2)


def print_message(program: str, kind: str, message: str) -> None:
    print(f"{program}: {kind}: {printable(' '.join(message.split()))}", file=sys.stderr)
