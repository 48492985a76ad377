"""Runs the cells of a grid in new processes, prints their results and writes the report."""

import signal
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import datasets
from rich.console import Console
from rich.text import Text

from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.cell_process import run_cell_process
from benchmarks.ner.experiments.cli_errors import STOPPED, USER_ERRORS, error_text, exit_with_error
from benchmarks.ner.experiments.grid import Grid, read_grid
from benchmarks.ner.experiments.plan import PlannedCell, action, plan_cells, successful_result
from benchmarks.ner.experiments.process_tree import kill_marked, kill_orphans, process_mark
from benchmarks.ner.experiments.result_reader import RejectedResult, load, read_result
from benchmarks.ner.experiments.storage import check_writable, rename_rejected
from benchmarks.ner.experiments.study import is_study, read_study
from benchmarks.ner.experiments.sweep_arguments import SweepArguments
from benchmarks.ner.report.blocks import terminal
from benchmarks.ner.report.status_tables import overview
from benchmarks.ner.report.write import write_report

STOPS = (signal.SIGINT, signal.SIGTERM)


def run_sweep(program: str, path: Path, arguments: SweepArguments) -> NoReturn:
    """Runs the cells of a grid that are not finished, prints the results, and exits."""
    for stop in STOPS:  # even if SIGINT is ignored, as for background jobs of a shell
        signal.signal(stop, signal.default_int_handler)
    datasets.disable_progress_bars()
    console = Console(emoji=False)
    try:
        with TemporaryDirectory(prefix="hf_dynmask-launch-") as folder:
            try:
                grid = _read(path, arguments.output_dir)
                cells = plan_cells(grid, arguments, Path(folder))
                if not arguments.dry_run:
                    check_writable(Path(arguments.output_dir))
            except USER_ERRORS as error:
                exit_with_error(program, error_text(error))
            sys.exit(dry_run(cells) if arguments.dry_run else sweep(cells, grid, arguments, console))
    except KeyboardInterrupt:
        sys.exit(STOPPED)


def _read(path: Path, output_dir: str) -> Grid:
    return read_study(path, output_dir).grid if is_study(path) else read_grid(path, output_dir)


def sweep(cells: Sequence[PlannedCell], grid: Grid, arguments: SweepArguments, console: Console) -> int:
    """Runs cells, prints their results and writes the report; returns the exit status."""
    output_dir = Path(arguments.output_dir)
    if left := kill_orphans(output_dir):
        _print(console, f"Killed {left} processes of an earlier sweep that was killed.")
    try:
        _run_all(cells, grid, arguments, console)
    except KeyboardInterrupt:
        for stop in STOPS:  # kill all started processes, even if Ctrl-C is pressed again
            signal.signal(stop, signal.SIG_IGN)
        kill_marked(process_mark(output_dir).__eq__)
        done = sum(successful_result(cell) is not None for cell in cells)
        _print(console, f"Stopped: {done} of {len(cells)} cells are finished. Run the same command again to continue.")
        return STOPPED
    paths = dict.fromkeys(cell.path for cell in cells)  # two names of one dataset share a result
    results = [load(path) for path in paths if path.exists()]  # results may not be visible on a further machine yet
    console.print(terminal(overview(results)))
    _print(console, f"Results: {output_dir.resolve()}")
    if arguments.machine_rank == 0:
        _print(console, _report(output_dir))
    return int(any(result["status"] == "failed" for result in results))


def _report(output_dir: Path) -> str:
    """Writes the report of all results in the folder; returns its location, or why there is none."""
    page = output_dir / "report" / "report.html"
    try:
        write_report(output_dir, page.parent)
    except OSError as error:
        return (
            f"No report: {error}; run `python -m benchmarks.ner.report {output_dir} --output_dir` with another folder."
        )
    return f"Report: {page.resolve()}"


def dry_run(cells: Sequence[PlannedCell]) -> int:
    """Prints the action for each cell; returns the exit status."""
    for number, cell in enumerate(cells, 1):
        print(printable(f"{number:>3}/{len(cells)} {cell.cell}: {action(cell)}"))
    return 0


def _run_all(cells: Sequence[PlannedCell], grid: Grid, arguments: SweepArguments, console: Console) -> None:
    actions = [action(cell) for cell in cells]
    ahead, seconds = actions.count("run"), list[float]()
    for number, cell in enumerate(cells, 1):
        result = successful_result(cell)
        known, started = result is not None, time.monotonic()
        if not known:
            _rename_rejected(cell, console)
            result = run_cell_process(cell, grid, arguments)
        if actions[number - 1] == "run":
            ahead -= 1
            seconds += [] if known else [time.monotonic() - started]
        outcome = "finished before" if known else _outcome(result)
        _print(console, f"{number:>3}/{len(cells)} {cell.cell}: {outcome}; {remaining_time(seconds, ahead)}")


def remaining_time(seconds: Sequence[float], ahead: int) -> str:
    """Estimates the remaining time, in words, from the mean time of the cells so far."""
    if not ahead:
        return "nothing left to run"
    if not seconds:
        return f"{ahead} left to run"
    left = statistics.mean(seconds) * ahead
    return f"about {left:.0f} s left" if left < 100 else f"about {left / 60:.0f} min left"


def _outcome(result: dict[str, Any] | None) -> str:
    if result is None:
        return "done, but its result is not visible yet"
    if result["status"] == "ok" and result.get("study") is not None:
        return f"ok, {result['time']['seconds']:.0f} s"  # no number is shown before a look
    if result["status"] == "ok":
        f1 = result["quality"]["test_f1"]
        scores = [f"MLM loss {result['mlm']['eval_loss']:.3f}", *([] if f1 is None else [f"test F1 {100 * f1:.2f}"])]
        return f"ok, {', '.join(scores)}, {result['time']['seconds']:.0f} s"
    return f"{result['status']}: {result['reason']}"


def _rename_rejected(planned: PlannedCell, console: Console) -> None:
    """Renames a file that has the name of a cell's result but is rejected."""
    try:
        read_result(planned.path, planned.config)
    except FileNotFoundError:
        return
    except RejectedResult as error:
        if renamed := rename_rejected(planned.path):
            _print(console, f"rejected {planned.path.name}: {error}; renamed to {renamed.name}")


def _print(console: Console, text: str) -> None:
    console.print(Text(printable(text)), soft_wrap=True)
