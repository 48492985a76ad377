"""Reports errors in arguments and data, by one line and exit status 2; warnings; and what a command does.

Nothing heavy is imported, so that they are reported at once.
"""

import os
import sys
from typing import NoReturn

from benchmarks.ner.data.display import printable

USER_ERRORS = (ValueError, OSError)  # invalid or unreadable input; other errors are bugs and keep their traceback


def reject_unknown_arguments(program: str, words: list[str]) -> None:
    """Exits with an error if there are arguments that the parser does not know."""
    if words:
        rule = "arguments must be among those that --help lists"
        exit_with_error(program, f"{rule}; got {' '.join(words)}; correct or remove them")


def exit_with_error(program: str, message: str) -> NoReturn:
    """Prints an error and exits. In a launch, each process prints it: the launcher stops the others after the first."""
    print_message(program, "error", message)
    sys.exit(2)


def print_start(program: str, action: str) -> None:
    """Says, once for all processes of a launch, what takes the first seconds of a command."""
    if os.environ.get("RANK", "0") == "0":
        print(f"{program}: {action} ...", file=sys.stderr, flush=True)


def print_message(program: str, kind: str, message: str) -> None:
    print(f"{program}: {kind}: {printable(' '.join(message.split()))}", file=sys.stderr)
