"""What a user is told of their arguments and data: an error on one line with exit status 2, or a warning."""

import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

from accelerate import PartialState
from accelerate.utils import gather_object

from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.distributed import leave

Made = TypeVar("Made")
USERS = (ValueError, OSError)  # what is refused, or cannot be read; all else is ours, and keeps its traceback


def prepared(program: str, prepare: Callable[[], Made]) -> Made:
    """What `prepare` returns on this process, once it has on all of them; a collective call.

    Where one of them cannot, the first process prints why, and all end: none is ended by the launcher before that.
    """
    made: list[Made] = []
    errors: list[str] = []
    try:
        made.append(prepare())
    except USERS as error:
        errors.append(str(error))
    if errors := gather_object(errors):
        if PartialState().is_main_process:
            tell(program, "error", errors[0])
        leave(2)
    return made[0]


def refuse_unknown(words: list[str]) -> None:
    """Raises `ValueError` for what is left of a command line."""
    if words:
        raise ValueError(f"arguments must be among those that --help lists; got {' '.join(words)}; mend or remove it")


def refuse(program: str, message: str) -> NoReturn:
    """Ends a program of one process."""
    tell(program, "error", message)
    sys.exit(2)


def tell(program: str, kind: str, message: str) -> None:
    print(f"{program}: {kind}: {printable(' '.join(message.split()))}", file=sys.stderr)
