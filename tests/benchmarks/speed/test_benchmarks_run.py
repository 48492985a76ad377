"""The benchmarks of collators and rates still run, each function once, as `tox -e bench` takes too long for CI."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.harness import ROOT

FILES = ("bench_collator", "bench_lengths", "bench_rates", "bench_strategies")
LARGE = ("128-512", "32-2048", "memory", "4096", "8192")


@pytest.mark.extended
@pytest.mark.parametrize("file", FILES)
def test_each_function_runs_once(file) -> None:
    chosen = " and ".join(f"not {each}" for each in LARGE)
    command = (f"benchmarks/speed/{file}.py", "-o", "python_files=bench_*.py", "--benchmark-disable", "-k", chosen)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
