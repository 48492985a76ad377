"""Checks the values of arguments. Nothing heavy is imported, so that wrong values are reported at once."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.ner.data.file_format import FileFormat, check_all_files, check_format
from benchmarks.ner.data.text_part import parse_part
from benchmarks.ner.experiments.harness_arguments import HarnessArguments
from benchmarks.ner.training.budget import Budget, check_budget
from benchmarks.ner.training.presets import preset
from benchmarks.ner.training.seeds import SEED_RULE, SEEDS


def check_values(arguments: HarnessArguments) -> None:
    """Raises `ValueError` for values that are invalid in every launch."""
    for name in arguments.arms:
        preset(name)
    check_budget(make_budget(arguments), num_processes=1)
    check_format(file_format(arguments))
    for name, seed in [*(("seeds", seed) for seed in arguments.seeds), ("split_seed", arguments.split_seed)]:
        if seed not in SEEDS:
            raise ValueError(f"`{name}` must be {SEED_RULE}, but got {seed}. Change it.")
    for name, values in (("arms", arguments.arms), ("seeds", arguments.seeds)):
        if twice := [value for index, value in enumerate(values) if value in values[:index]]:  # would count twice
            raise ValueError(f"`{name}` must differ from each other, but got {twice[0]!r} twice. Remove one of them.")
    for name, file in _files(arguments):
        if Path(file).is_dir():
            raise ValueError(f"`{name}` must be a file, but {file!r} is a folder. Name a file in it.")
        if not Path(file).is_file():
            raise ValueError(f"`{name}` must be a file, but there is none at {file!r}. Check the path.")
    check_all_files(arguments.train_file, arguments.validation_file, arguments.test_file)
    if arguments.base is not None and not Path(arguments.base).is_dir():
        raise ValueError(f"`base` must be a folder, but there is none at {arguments.base!r}. Check the path.")


def _files(arguments: HarnessArguments) -> Iterator[tuple[str, str]]:
    """Yields the names and the paths of all files that the arguments name."""
    for name in ("train_file", "validation_file", "test_file"):
        if (file := getattr(arguments, name)) is not None:
            yield name, file
    for source in arguments.mlm_train_file:
        yield "mlm_train_file", parse_part(source).file


def make_budget(arguments: HarnessArguments) -> Budget:
    return Budget(**_named(Budget.__dataclass_fields__, arguments))


def file_format(arguments: HarnessArguments) -> FileFormat:
    return FileFormat(**_named(FileFormat.__dataclass_fields__, arguments))


def _named(names: Iterable[str], arguments: HarnessArguments) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in names}
