"""Reads a grid of cells from a YAML file, and checks it before anything runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.ner.data.file_format import FileFormat, check_format
from benchmarks.ner.experiments.harness_arguments import HarnessArguments, dataset_name
from benchmarks.ner.experiments.launch_configs import LAUNCH_OPTIONS, Launch, combine_launches, load_launch
from benchmarks.ner.experiments.yaml_checks import (
    is_number,
    is_seed,
    is_string,
    is_string_or_mapping,
    list_of,
    mapping,
    read_yaml,
    reject,
)
from benchmarks.ner.training.arms import load_arm
from benchmarks.ner.training.budget import LEARNING_FIELDS, Budget, violated_rule
from benchmarks.ner.training.seeds import SEED_RULE

KEYS = ("arms", "seeds", "datasets", "models", "launches", "workers", "time_limit", "arguments")
DEFAULTS = {"datasets": ["embedded"], "models": ["tiny"], "workers": [0], "time_limit": 3600, "arguments": {}}
FILES = ("train_file", "validation_file", "test_file")
FORMAT = tuple(FileFormat.__dataclass_fields__)
WORKERS = {
    0: {"dataloader_num_workers": 0},
    2: {"dataloader_num_workers": 2},
    "2 persistent": {"dataloader_num_workers": 2, "dataloader_persistent_workers": True},
}


@dataclass(frozen=True)
class GridCell:
    """One arm, one seed, one launch; `arguments` are the arguments of the harness for this cell.

    Sweeps with different shards run cells with different values of `shard_key`. The cell begins with the checkpoint of
    the cell `base`, if there is one.
    """

    launch: Launch
    arguments: HarnessArguments
    workers: int | str
    shard_key: int
    base: "GridCell | None" = None

    def __str__(self) -> str:
        arguments = self.arguments
        workers = f", {self.workers} workers" if self.workers else ""
        base = f", from seed {self.base.arguments.seeds[0]}" if self.base else ""
        return (
            f"{arguments.arms[0]}, seed {arguments.seeds[0]}, {dataset_name(arguments)}, "
            f"{Path(arguments.model).name}, {self.launch}{workers}{base}"
        )


@dataclass(frozen=True)
class Grid:
    """The unique cells, and the time limit of a cell in seconds."""

    cells: list[GridCell]
    time_limit: float


def read_grid(path: Path, output_dir: str = "runs") -> Grid:
    """Reads the grid in a file; its cells are sorted by launch, then by seed.

    Raises `ValueError` for an invalid grid; the message names the key, the rule, the value and the remedy.
    """
    return read_yaml(path, lambda asked: parse_grid(asked, output_dir))


def parse_grid(asked: Any, output_dir: str) -> Grid:
    """Builds the grid of a mapping with keys in `KEYS`."""
    asked = {**DEFAULTS, **mapping("the grid", asked, KEYS)}
    if absent := [key for key in ("arms", "seeds", "launches") if key not in asked]:
        raise ValueError(f"the grid must have arms, seeds and launches, but lacks {' and '.join(absent)}. Add it.")
    arms = [load_arm(name).name for name in list_of("arms", asked["arms"], is_string, "strings")]
    seeds = list_of("seeds", asked["seeds"], is_seed, SEED_RULE)
    sources = list_of("datasets", asked["datasets"], is_string_or_mapping, "names or mappings")
    models = list_of("models", asked["models"], is_string, "strings")
    entries = list_of("launches", asked["launches"], is_string_or_mapping, "names of files or mappings")
    launches = _unique_launches(launch for entry in entries for launch in _launches(entry))
    workers = list_of("workers", asked["workers"], _is_workers, f"of {', '.join(map(str, WORKERS))}")
    if not is_number(asked["time_limit"]) or asked["time_limit"] <= 0:
        reject("time_limit", "a number of seconds > 0", asked["time_limit"], "Pass the seconds that a cell may take.")
    budget = budget_arguments("arguments", asked["arguments"])
    combined = product(launches, map(dataset_files, sources), models, workers, enumerate(seeds), arms)
    cells = []
    for launch, dataset, model, number, (index, seed), arm in combined:
        own: dict[str, Any] = {"arms": [arm], "seeds": [seed], "model": model, "tf32": launch.tf32}
        own |= {"output_dir": output_dir, **dataset, **WORKERS[number], **budget}
        cells.append(GridCell(launch, HarnessArguments(**own), number, index))
    return Grid(cells, asked["time_limit"])


def _unique_launches(launches: Iterator[Launch]) -> list[Launch]:
    """Returns unique launches. Results identify a launch by the name of its file, so names must be unique."""
    found: dict[str, Launch] = {}
    for launch in launches:
        if launch != found.setdefault(launch.name, launch):
            reject("launches", "files with different names", f"two {launch.name}.yaml", "Rename one of them.")
    return list(found.values())


def _launches(entry: Any) -> Iterator[Launch]:
    if isinstance(entry, str):
        yield load_launch(entry)
        return
    asked = mapping("launches", entry, tuple(LAUNCH_OPTIONS))
    choices = {}
    for key, (allowed, default, rule) in LAUNCH_OPTIONS.items():
        value = asked.get(key, default)
        choices[key] = list_of(f"launches: {key}", value if isinstance(value, list) else [value], allowed, rule)
    yield from combine_launches(choices)


def dataset_files(entry: Any) -> dict[str, str]:
    """Returns the arguments of a dataset: a name, or a mapping that has `dataset` or files, and their format."""
    if isinstance(entry, str):
        return {"dataset": entry}
    for key, value in mapping("datasets", entry, ("dataset", *FILES, "dataset_name", *FORMAT)).items():
        if not is_string(value):
            reject(f"datasets: {key}", "a string", value, "Quote it.")
    absent = [name for name in FILES if name not in entry]
    if len(absent) != (3 if "dataset" in entry else 0):
        remedy = "Remove it or the files." if "dataset" in entry else f"Add {', '.join(absent)}."
        reject("datasets", f"a name, or have `dataset` or all of {', '.join(FILES)}", entry, remedy)
    check_format(FileFormat(**{name: value for name, value in entry.items() if name in FORMAT}))
    return entry


def budget_arguments(key: str, asked: Any) -> dict[str, float]:
    for name, value in mapping(key, asked, LEARNING_FIELDS).items():
        if rule := violated_rule(name, value):
            reject(f"{key}: {name}", rule, value, "Change it.")
    kinds = Budget.__annotations__
    return {name: kinds[name](value) for name, value in asked.items()}  # like the parser of the harness: 1 epoch is 1.0


def _is_workers(value: Any) -> bool:
    return type(value) in (int, str) and value in WORKERS
