"""Kills processes together with all their descendants, in whatever sessions and groups these are.

The workers of torchrun are in sessions of their own and outlive a launcher that is killed. So each process is marked
by an environment variable, which its descendants inherit.
"""

import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "HF_DYNMASK_SWEEP"
ATTEMPTS = 20  # a process that waits for a broken disk cannot be killed, so the attempts are limited
LAUNCHERS = ("torch/distributed/elastic", "accelerate/commands/launch.py", "torch/distributed/launcher")


def process_mark(output_dir: Path) -> str:
    """Returns the mark of all processes that this process starts for a folder."""
    return f"{os.getpid()} {output_dir.resolve()}"


def run_and_clean_up(command: Sequence[str], mark: str, log: Path, seconds: float) -> int | None:
    """Runs a command with its output in `log`; returns its exit status, or None if it exceeds `seconds`.

    No process of the command is running when this function returns or raises.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only the sweep, which then kills its children
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            kill_marked(mark.__eq__)
            process.wait()


def kill_marked(belongs: Callable[[str], bool]) -> int:
    """Kills all other processes whose mark `belongs`; returns their number."""
    ended = set()
    for _ in range(ATTEMPTS):
        found = [process for process in psutil.process_iter() if belongs(_mark(process)) and process.pid != os.getpid()]
        if not found:
            break
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=3)
        ended |= {process.pid for process in found}
    return len(ended)


def kill_orphans(output_dir: Path) -> int:
    """Kills the processes that a killed sweep into the same folder left running; returns their number."""
    folder = str(output_dir.resolve())

    def left_behind(mark: str) -> bool:
        pid, _, marked_folder = mark.partition(" ")
        return marked_folder == folder and pid.isdecimal() and not psutil.pid_exists(int(pid))

    return kill_marked(left_behind)


def last_lines(log: Path, number: int = 5) -> str:
    """Returns the last lines of a script's output on one line, without the output of its launcher."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    launcher_line = next(
        (index for index, line in enumerate(lines) if any(name in line for name in LAUNCHERS)),
        len(lines),
    )
    return " | ".join(lines[:launcher_line][-number:] or lines[-number:])


def _mark(process: psutil.Process) -> str:
    try:
        return process.environ().get(MARK, "")
    except (psutil.Error, OSError):  # ended, or of another user
        return ""
