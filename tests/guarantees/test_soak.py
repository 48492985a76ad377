"""Memory stays flat through many batches, and nothing is left of a loader that is gone, also after Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
WARM_UP = 2  # epochs of 1000 batches
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def tokenizer(wordpiece, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    wordpiece.save_pretrained(folder)
    return str(folder)


def _start(tokenizer: str, batches: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "support" / "soak.py"), tokenizer, str(batches)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_memory_is_flat_and_nothing_is_left(tokenizer, stress, report_figure) -> None:
    batches = 200_000 if stress else 4_000
    output, errors = (process := _start(tokenizer, batches)).communicate(timeout=3000)
    assert process.returncode == 0, errors
    assert "leaked" not in errors, "multiprocessing's resource tracker tells of semaphores and segments"
    seen = json.loads(output)
    assert seen["left"] == {"files": 0, "processes": 0, "segments": []}
    warm, *later = seen["resident"][WARM_UP - 1 :]
    growth = max(later) - warm
    assert growth < 5 * MEGABYTE
    report_figure("soak", f"{batches:,} batches, resident memory {growth / MEGABYTE:+.1f} MB at most after warm-up")


def test_nothing_is_left_after_ctrl_c(tokenizer, stress, report_figure) -> None:
    times = 10 if stress else 2
    for number in range(times):
        process = _start(tokenizer, 10**9)
        assert "EPOCH" in process.stderr.readline()
        time.sleep(number * 0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        _, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGINT, errors
        assert "KeyboardInterrupt" in errors
        assert "leaked" not in errors
        assert not _left_of(process.pid), "a process is left"
        assert not list(Path("/dev/shm").glob(f"torch_{process.pid}_*"))
    report_figure("Ctrl-C", f"{times} times, no process, file, segment or semaphore left")


def _left_of(session: int) -> list[psutil.Process]:
    """Its processes that do not end: a fork server does so after the program, and waits as a zombie to be reaped."""
    deadline = time.monotonic() + 20
    while (left := [one for one in psutil.process_iter() if _runs_in(session, one)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _runs_in(session: int, process: psutil.Process) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
