"""Parses a command line into a dataclass of arguments, like `HfArgumentParser` but without importing transformers."""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import MISSING, fields
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from benchmarks.ner.experiments.harness_arguments import HarnessArguments
from benchmarks.ner.training.presets import FOLDER, arms_help

BOOLEANS = {
    **dict.fromkeys(("true", "yes", "t", "y", "1"), True),
    **dict.fromkeys(("false", "no", "f", "n", "0"), False),
}


def parse_arguments(program: str, words: Sequence[str] | None = None) -> tuple[HarnessArguments, list[str]]:
    """Returns the arguments of the harness, and the words that belong to no argument.

    If `words` is None, they are those of the command line of this process.

    Prints the help and exits with status 0, or one line on a wrong value and exits with status 2.
    """
    parser = dataclass_parser(HarnessArguments, program, HarnessArguments.__doc__)
    parser.epilog = f"arms, each a file NAME.yaml in {FOLDER}:\n{arms_help()}"
    namespace, unknown = parser.parse_known_args(words)
    return HarnessArguments(**vars(namespace)), unknown


def dataclass_parser(arguments: type, program: str, description: str | None) -> ArgumentParser:
    """Returns a parser with an option `--name` for each field, whose metadata have its `help`; all need a default.

    Lists take one word or more. A boolean takes a word such as "false"; without one, it is true. Options cannot be
    abbreviated: a further option would change what an abbreviation means.
    """
    parser = ArgumentParser(program, description=description, formatter_class=_Help, allow_abbrev=False)
    kinds = get_type_hints(arguments)
    for field in fields(arguments):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        names = dict.fromkeys([f"--{field.name}", f"--{field.name.replace('_', '-')}"])
        parser.add_argument(*names, default=default, help=field.metadata["help"], **_words(kinds[field.name]))
    return parser


class _Help(ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter):
    """Shows defaults, and keeps the lines of the list of arms."""


def _words(kind: Any) -> dict[str, Any]:
    """Returns how many words an option of a type takes, and the type of each."""
    if kind is bool:
        return {"type": _boolean, "nargs": "?", "const": True}
    if get_origin(kind) is list:
        return {"type": get_args(kind)[0], "nargs": "+"}
    (value,) = {*get_args(kind)} - {NoneType} or {kind}
    return {"type": value}


def _boolean(word: str) -> bool:
    if word.lower() not in BOOLEANS:
        raise ArgumentTypeError(f"must be true or false, but got {word!r}")
    return BOOLEANS[word.lower()]
