"""Prepares a run on all processes: an error of one ends all of them, with one line."""

from collections.abc import Callable
from typing import TypeVar

from accelerate import PartialState
from accelerate.utils import gather_object

from benchmarks.ner.experiments.cli_errors import USER_ERRORS, error_text, print_message
from benchmarks.ner.experiments.distributed import exit_all_ranks

Made = TypeVar("Made")


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
        errors.append(error_text(error))
    if errors := gather_object(errors):
        if PartialState().is_main_process:
            print_message(program, "error", errors[0])
        exit_all_ranks(2)
    return made[0]
