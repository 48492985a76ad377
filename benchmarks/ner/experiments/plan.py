"""Plans what a sweep does with each cell of a grid: run it, skip it, or keep its finished result."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.ner.data.unseen_entity_types import unseen_types
from benchmarks.ner.experiments.argument_checks import file_format, make_budget
from benchmarks.ner.experiments.arguments import load_task, with_text
from benchmarks.ner.experiments.base import Base, base_folder, is_saved
from benchmarks.ner.experiments.cell import Task, configuration
from benchmarks.ner.experiments.cli_errors import print_message
from benchmarks.ner.experiments.grid import Grid, GridCell
from benchmarks.ner.experiments.harness_arguments import HarnessArguments, to_command_line
from benchmarks.ner.experiments.launch import parse_launch
from benchmarks.ner.experiments.launch_configs import unsupported_reason
from benchmarks.ner.experiments.result import result_path, run_id
from benchmarks.ner.experiments.result_reader import RejectedResult, read_result
from benchmarks.ner.experiments.sweep_arguments import PROGRAM, SweepArguments
from benchmarks.ner.training.arms import load_arm

LAUNCHER = [sys.executable, "-m", "accelerate.commands.launch", "--quiet"]
HARNESS = ["-m", "benchmarks.ner"]


@dataclass(frozen=True)
class PlannedCell:
    """A cell with its configuration, the path of its result, the command that starts it, and its continuations."""

    cell: GridCell
    config: dict[str, Any]
    path: Path
    command: list[str]
    continuations: "list[PlannedCell]" = field(default_factory=list)


def plan_cells(grid: Grid, arguments: SweepArguments, folder: Path) -> list[PlannedCell]:
    """Plans the command and the result path of each cell; writes launch configs to `folder`."""
    tasks: dict[tuple, Task] = {}  # loading data and training a tokenizer are the slow parts of planning
    launches: dict[str, dict[str, Any]] = {}
    planned: dict[int, PlannedCell] = {}  # by the id of the cell; a base precedes the cells that begin with it
    for number, cell in enumerate(_of_shard(grid.cells, arguments)):
        own, name = cell.arguments, cell.launch.name
        launch = [*LAUNCHER, "--config_file", str(folder / f"{name}.yaml"), *_machines(arguments, number), *HARNESS]
        if name not in launches:
            cell.launch.write(folder)
            launches[name] = {**parse_launch(launch, os.environ), **({"tf32": True} if own.tf32 else {})}
        own = _with_base(own, planned[id(cell.base)]) if cell.base else own
        task = _load_text(own, launches[name], tasks)
        task = replace(task, requested=launches[name], budget=make_budget(own), study=own.study)
        if cell.base:
            task = replace(task, base=Base(Path(str(own.base)), run_id(planned[id(cell.base)].config)))
        (arm,), (seed,) = own.arms, own.seeds
        config = configuration(task, load_arm(arm), seed)
        path = result_path(Path(own.output_dir), arm, seed, run_id(config))
        command = [*launch, *to_command_line(replace(own, retry_failed=True, own_machine=arguments.own_machine))]
        planned[id(cell)] = PlannedCell(cell, config, path, command)
        if cell.base:
            planned[id(cell.base)].continuations.append(planned[id(cell)])
    return list(planned.values())


def _of_shard(cells: Sequence[GridCell], arguments: SweepArguments) -> list[GridCell]:
    return [cell for cell in cells if cell.shard_key % arguments.num_shards == arguments.shard]


def _with_base(own: HarnessArguments, base: PlannedCell) -> HarnessArguments:
    return replace(own, base=str(base_folder(Path(own.output_dir), base.path.stem)))


def _load_text(own: HarnessArguments, requested: dict[str, Any], loaded: dict[tuple, Task]) -> Task:
    """Returns the task of a cell with its text; `loaded` has the tasks of earlier cells."""
    names = (own.model, own.dataset, own.train_file, own.validation_file, own.test_file, own.dataset_name)
    files = (*names, file_format(own))
    if files not in loaded:
        loaded[files] = _load_task(own, requested)
    text = (*files, *own.mlm_train_file, own.split_seed)
    if text not in loaded:
        loaded[text] = with_text(loaded[files], own)
    return loaded[text]


def action(planned: PlannedCell) -> str:
    """Returns the action for a cell: "run", "finished", or "skipped: " and the reason."""
    if successful_result(planned):
        return "finished"
    reason = unsupported_reason(planned.config["launch"])
    return f"skipped: {reason}" if reason else "run"


def _machines(arguments: SweepArguments, number: int) -> list[str]:
    """Returns the flags for several machines. Each cell has its own port, so that cells do not interfere."""
    if arguments.num_machines == 1:
        return []
    flags = {
        "num_machines": arguments.num_machines,
        "machine_rank": arguments.machine_rank,
        "main_process_ip": arguments.main_process_ip,
        "main_process_port": arguments.main_process_port + number,
    }
    return [word for name, value in flags.items() for word in (f"--{name}", str(value))]


def _load_task(arguments: HarnessArguments, requested: dict[str, Any]) -> Task:
    try:
        task = load_task(arguments, requested, use_cpu=True, num_processes=1)
    except (OSError, ValueError) as error:
        rule = "`datasets` and `models` must be names or paths that load without errors"
        got = f"{arguments.train_file or arguments.dataset!r} and {arguments.model!r}: {error}"
        raise ValueError(f"{rule}, but got {got}. Correct the name, or download it first.") from error
    if unseen := unseen_types(task.dataset["name"], task.data):
        print_message(PROGRAM, "warning", unseen)
    return task


def successful_result(planned: PlannedCell) -> dict[str, Any] | None:
    """Returns the result of a cell, or None if it has to run: also if a continuation has to, without the checkpoint."""
    result, own = stored_result(planned), planned.cell.arguments
    is_lost = own.save_model and not is_saved(base_folder(Path(own.output_dir), planned.path.stem))
    if is_lost and any(successful_result(each) is None for each in planned.continuations):
        return None
    return result if result and result["status"] == "ok" else None


def stored_result(planned: PlannedCell) -> dict[str, Any] | None:
    """Returns the result of a cell with any status, or None if there is no valid one."""
    try:
        return read_result(planned.path, planned.config)
    except (FileNotFoundError, RejectedResult):
        return None
