"""Runs a cell of a sweep in new processes, and saves a result even if it fails or is skipped."""

import time
from pathlib import Path
from typing import Any

from benchmarks.ner.experiments.environment import environment
from benchmarks.ner.experiments.grid import Grid
from benchmarks.ner.experiments.launch_configs import unsupported_reason
from benchmarks.ner.experiments.plan import PlannedCell, stored_result
from benchmarks.ner.experiments.process_tree import last_lines, process_mark, run_and_clean_up
from benchmarks.ner.experiments.result import run_id
from benchmarks.ner.experiments.storage import save_result
from benchmarks.ner.experiments.sweep_arguments import SweepArguments


def run_cell_process(planned: PlannedCell, grid: Grid, arguments: SweepArguments) -> dict[str, Any] | None:
    """Runs a cell unless this machine does not support it; returns its result.

    Returns None on a further machine if machine 0 has a result that is not visible yet."""
    started, before = time.time(), stored_result(planned)
    reason = unsupported_reason(planned.config["launch"])
    if reason:
        if before and before["status"] == "failed":
            return before  # from a machine that supports it
        return _save_unmeasured(planned, "skipped", reason, started, arguments)
    log = Path(arguments.output_dir) / "logs" / f"{planned.path.stem}.{arguments.machine_rank}.log"
    status = run_and_clean_up(planned.command, process_mark(Path(arguments.output_dir)), log, grid.time_limit)
    after = stored_result(planned)
    if after and after != before:
        return after
    if status == 0 and arguments.machine_rank:
        return None
    reason = "time limit" if status is None else f"ended with status {status} without a result: {last_lines(log)}"
    return _save_unmeasured(planned, "failed", reason, started, arguments)


def _save_unmeasured(
    planned: PlannedCell, status: str, reason: str, started: float, arguments: SweepArguments
) -> dict[str, Any]:
    """Returns the result of a cell without measurements: its configuration, status and reason. Machine 0 saves it."""
    result = {
        **planned.config,
        "run_id": run_id(planned.config),
        "launch": {"requested": planned.config["launch"], "observed": None},
        **{"status": status, "reason": reason},
        **{"mlm": {"eval_loss": None}, "quality": dict.fromkeys(("dev_f1", "test_f1", "test_accuracy"))},
        **{name: {"mlm": None, "ner": None} for name in ("speed", "memory")},
        "env": environment(),
        "time": {"started": started, "seconds": time.time() - started},
    }
    before = stored_result(planned)
    if arguments.machine_rank == 0 and not (before and before["status"] == "ok"):  # measurements are never replaced
        save_result(planned.path, result)
    return result
