"""Runs every arm with every seed under the launch of this process, and writes a JSON file for each cell."""

from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from rich.console import Console
from rich.text import Text
from transformers.utils import logging

from benchmarks.ner.data.display import printable
from benchmarks.ner.data.encoding import check_encodable
from benchmarks.ner.data.unseen_entity_types import unseen_types
from benchmarks.ner.experiments.arguments import (
    check_launch,
    load_task,
    next_steps,
    stages,
    with_checkpoints,
    with_text,
)
from benchmarks.ner.experiments.base import base_folder, is_saved
from benchmarks.ner.experiments.cell import Task, configuration, run_cell
from benchmarks.ner.experiments.cell_progress import CellProgress
from benchmarks.ner.experiments.cli_errors import print_message
from benchmarks.ner.experiments.distributed import exit_all_ranks
from benchmarks.ner.experiments.harness_arguments import HarnessArguments
from benchmarks.ner.experiments.launch import requested_launch
from benchmarks.ner.experiments.preparation import prepare_on_all_ranks
from benchmarks.ner.experiments.result import result_path, run_id
from benchmarks.ner.experiments.result_reader import RejectedResult, finished_result
from benchmarks.ner.experiments.storage import check_writable, rename_rejected, save_result
from benchmarks.ner.report.blocks import terminal
from benchmarks.ner.report.status_tables import overview
from benchmarks.ner.training.arms import Arm, load_arm

Cells = list[tuple[Arm, int]]


def run_cells(program: str, arguments: HarnessArguments) -> None:
    """Runs the cells that are not finished, prints the results, and exits."""
    requested = {**requested_launch(), **({"tf32": True} if arguments.tf32 else {})}
    torch.set_float32_matmul_precision("high" if arguments.tf32 else "highest")  # fp32 without TF32
    use_cpu = requested["use_cpu"] or not torch.cuda.is_available()
    state = PartialState(cpu=use_cpu)
    console = Console(emoji=False, quiet=not state.is_main_process)
    _silence_libraries()
    task, cells = prepare_on_all_ranks(program, partial(_prepare, arguments, requested, use_cpu))
    if state.is_main_process and (unseen := unseen_types(task.dataset["name"], task.data)):
        print_message(program, "warning", unseen)
    results = _run_all(task, cells, arguments, console)
    if state.is_main_process:
        console.print(terminal(overview(results)))
        for line in next_steps(arguments):
            console.print(Text(printable(line)), soft_wrap=True)
    exit_all_ranks(int(any(result["status"] == "failed" for result in results)))


def _prepare(arguments: HarnessArguments, requested: dict[str, Any], use_cpu: bool) -> tuple[Task, Cells]:
    """Checks arguments and data, so that errors are reported before hours are spent."""
    cells = [(load_arm(arm), seed) for seed in arguments.seeds for arm in arguments.arms]
    state = PartialState()
    check_launch(arguments, state.num_processes)
    if state.is_main_process:  # only this process writes
        check_writable(Path(arguments.output_dir))
    task = load_task(arguments, requested, use_cpu, state.num_processes)
    task = with_checkpoints(with_text(task, arguments), arguments)
    check_encodable(task.tokenizer, task.budget.mlm_block_size, task.budget.ner_max_length)
    return task, cells


def _run_all(task: Task, cells: Cells, arguments: HarnessArguments, console: Console) -> list[dict]:
    results = []
    runs = "1 run:" if len(cells) == 1 else f"{len(cells)} runs, each"
    console.print(f"{runs} {stages(arguments)}", highlight=False, soft_wrap=not console.is_terminal)
    with CellProgress(console, len(cells)) as progress:
        for number, (arm, seed) in enumerate(cells):
            result = _finished_result(task, arm, seed, arguments, console)
            known = result is not None
            if result is None:
                progress.start(number, f"{arm.name} seed {seed}")
                result = run_cell(task, arm, seed, progress.advance)
                _save(result, arguments)
            _print_result(console, result, known, number, len(cells))
            results.append(result)
    return results


def _finished_result(task: Task, arm: Arm, seed: int, arguments: HarnessArguments, console: Console) -> dict | None:
    """Returns the result of a finished cell, or None. The first process reads it and broadcasts it to the others."""
    found: list[dict | None] = [None]
    if PartialState().is_main_process:
        config = configuration(task, arm, seed)
        path = result_path(Path(arguments.output_dir), arm.name, seed, run_id(config))
        try:
            if task.checkpoints is None or is_saved(base_folder(task.checkpoints, path.stem)):
                found = [finished_result(path, config, arguments.retry_failed)]
        except RejectedResult as error:
            renamed = rename_rejected(path)
            outcome = f"renamed to {renamed.name}" if renamed else "another process renamed it"
            console.print(Text(printable(f"rejected {path.name}: {error}; {outcome}"), style="yellow"), soft_wrap=True)
    return broadcast_object_list(found)[0]


def _save(result: dict, arguments: HarnessArguments) -> None:
    if PartialState().is_main_process:
        save_result(
            result_path(Path(arguments.output_dir), result["arm"]["name"], result["seed"], result["run_id"]), result
        )


def _print_result(console: Console, result: dict, known: bool, number: int, cells: int) -> None:
    """Prints one line per cell, even without a progress bar."""
    score, loss, seconds = result["quality"]["test_f1"], result["mlm"]["eval_loss"], result["time"]["seconds"]
    console.print(
        f"{number + 1:>3}/{cells} {result['arm']['name']:<14} seed {result['seed']}  "
        f"test F1 {'-' if score is None else format(100 * score, '5.2f')}  "
        f"MLM loss {'-' if loss is None else format(loss, '.3f')}  {seconds:5.0f} s"
        + ("  (finished before)" if known else ""),
        highlight=False,
        soft_wrap=True,
    )


def _silence_libraries() -> None:
    """Disables the progress bars of datasets and transformers, which would interfere with that of the harness."""
    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    if not PartialState().is_main_process:
        logging.set_verbosity_error()
