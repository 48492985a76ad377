"""Reports errors in arguments and data, by one line and exit status 2; warnings; and what a command does.

Nothing heavy is imported, so that they are reported at once.
"""

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn

from benchmarks.ner.data.display import printable

STOPPED = 130  # exit status after Ctrl-C
USER_ERRORS = (ValueError, OSError)  # invalid or unreadable input; other errors are bugs and keep their traceback


def reject_unknown_arguments(program: str, words: list[str], known: Sequence[str]) -> None:
    """Exits with an error if there are arguments that the parser does not know.

    Args:
        known: the names of the options, of which the error suggests the ones that are similar.
    """
    if words:
        rule = "arguments must be among those that --help lists"
        similar = dict.fromkeys(option for word in words for option in _similar(word, known))
        question = f" (did you mean {' or '.join(similar)}?)" if similar else ""
        exit_with_error(program, f"{rule}; got {' '.join(words)}{question}; correct or remove them")


def error_text(error: Exception) -> str:
    """Returns an error without the number that Python puts in front of those of files."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _similar(word: str, known: Sequence[str]) -> list[str]:
    if not word.startswith("--"):
        return []
    name = word[2:].split("=")[0].replace("-", "_")
    return [f"--{option}" for option in get_close_matches(name, known)]


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
