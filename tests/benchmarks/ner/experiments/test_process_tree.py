"""Nothing of a process that was ended is left running."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from benchmarks.ner.experiments.process_tree import MARK, kill_marked, kill_orphans, last_lines, run_and_clean_up

NO_PROCESS = 2**22 + 1  # above the largest pid that there is

FAMILY = """
import os, subprocess, sys, time
code = "import os, time; print(os.getpid(), flush=True); time.sleep(1000)"
subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
time.sleep(1000)
"""
SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a marked command; all are ended after the test, and what they started where it has the test's folder."""
    started = []

    def start(mark: str, *command: str) -> subprocess.Popen[str]:
        environment = {**os.environ, MARK: mark}
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    kill_marked(lambda mark: str(tmp_path) in mark)
    for process in started:
        process.kill()
        process.communicate()


def running(pid: int) -> bool:
    """Not ended, nor ended and waiting for its parent to ask how."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_a_process_started_is_ended_with_it_also_in_a_session_of_its_own(tmp_path, start) -> None:
    family, other = start(str(tmp_path), sys.executable, "-c", FAMILY), start(f"{tmp_path} other", *SLEEP)
    grandchild = int(family.stdout.readline())
    assert kill_marked(str(tmp_path).__eq__) == 2
    assert not running(grandchild)
    assert not running(family.pid)
    assert running(other.pid)


def test_what_a_launcher_that_is_gone_has_left_is_ended(tmp_path, start) -> None:
    family = start(str(tmp_path), sys.executable, "-c", FAMILY)
    grandchild = int(family.stdout.readline())
    family.kill()
    family.wait()
    assert running(grandchild)
    assert kill_marked(str(tmp_path).__eq__) == 1
    assert not running(grandchild)


def test_only_a_sweep_that_is_gone_leaves_orphans(tmp_path, start) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    orphan = start(f"{NO_PROCESS} {here}", *SLEEP)
    others = [start(f"{os.getpid()} {here}", *SLEEP), start(f"{NO_PROCESS} {there}", *SLEEP)]
    assert kill_orphans(here) == 1
    assert not running(orphan.pid)
    assert all(running(process.pid) for process in others)


def test_a_command_over_its_limit_is_ended(tmp_path) -> None:
    assert run_and_clean_up(SLEEP, str(tmp_path), tmp_path / "log", 0.01) is None
    assert kill_marked(str(tmp_path).__eq__) == 0


@pytest.mark.parametrize("status", [0, 3])
def test_a_command_has_its_status_and_its_output(tmp_path, status) -> None:
    script = f"import sys; print('out'); sys.stdout.flush(); sys.exit({status} and 'err' and {status})"
    assert run_and_clean_up([sys.executable, "-c", script], str(tmp_path), tmp_path / "new" / "log", 100) == status
    assert (tmp_path / "new" / "log").read_text() == "out\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a\n\n b \nValueError: c\n", "a | b | ValueError: c"),
        ("\n".join("abcdefgh"), "d | e | f | g | h"),
        ("ValueError: c\nE1 torch/distributed/elastic/multiprocessing/api.py] failed\nmore", "ValueError: c"),
        ("W1 torch/distributed/elastic/agent: only this", "W1 torch/distributed/elastic/agent: only this"),
    ],
)
def test_the_last_lines_are_the_scripts_own(tmp_path, text, expected) -> None:
    (tmp_path / "log").write_text(text)
    assert last_lines(tmp_path / "log") == expected
