"""Checks the values of arguments. Nothing heavy is imported, so that wrong values are reported at once."""

from pathlib import Path

from benchmarks.ner.data.file_format import FileFormat, check_format
from benchmarks.ner.experiments.harness_arguments import HarnessArguments
from benchmarks.ner.training.budget import Budget, check_budget
from benchmarks.ner.training.presets import preset

SEEDS = range(2**32)


def check_values(arguments: HarnessArguments) -> None:
    """Raises `ValueError` for values that are invalid in every launch."""
    for name in arguments.arms:
        preset(name)
    check_budget(make_budget(arguments), num_processes=1)
    check_format(file_format(arguments))
    for name, seed in [*(("seeds", seed) for seed in arguments.seeds), ("split_seed", arguments.split_seed)]:
        if seed not in SEEDS:
            raise ValueError(f"`{name}` must be integers from 0 to 2^32 - 1, but got {seed}. Change it.")
    for name in ("train_file", "validation_file", "test_file"):
        file = getattr(arguments, name)
        if file is not None and not Path(file).is_file():
            raise ValueError(f"`{name}` must be a file, but there is none at {file!r}. Check the path.")


def make_budget(arguments: HarnessArguments) -> Budget:
    return Budget(**{name: getattr(arguments, name) for name in Budget.__dataclass_fields__})


def file_format(arguments: HarnessArguments) -> FileFormat:
    return FileFormat(**{name: getattr(arguments, name) for name in FileFormat.__dataclass_fields__})
