"""Commands answer `--help` and wrong arguments before they import anything heavy, and say what they wait for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
HEAVY = {"accelerate", "datasets", "matplotlib", "numpy", "torch", "transformers"}
WITHOUT_RESULT = {
    "ner": ["--help", "--epochs 3", "--seeds one", "--arms", "--arms statik", "--ner_epochs -1", "--train_file no.txt"],
    "ner.sweep": ["--help", "", "grid.yaml --epochs 3", "grid.yaml --shard one"],
    "ner.report": ["--help", "", "runs --epochs 3"],
}
PROGRAM = """
import runpy, sys
module, *sys.argv[1:] = sys.argv[1:]
try:
    runpy.run_module(f"benchmarks.{module}", run_name="__main__")
except SystemExit as end:
    print("status", end.code, sorted(set(sys.modules) & HEAVY))
"""


@pytest.mark.parametrize(
    ("module", "words"), [(module, words) for module, several in WITHOUT_RESULT.items() for words in several]
)
def test_nothing_heavy_is_imported_for(module, words) -> None:
    program = f"HEAVY = {HEAVY}{PROGRAM}"
    command = [sys.executable, "-c", program, module, *words.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    status = 0 if words == "--help" else 2
    assert done.stdout.splitlines()[-1] == f"status {status} []"
    assert (f"usage: python -m benchmarks.{module} " in done.stdout) == (status == 0)
    assert ("error: " in done.stderr) == (status == 2)


@pytest.mark.parametrize("module", ["ner.sweep", "ner.report"])
def test_a_command_says_what_it_waits_for(module, tmp_path) -> None:
    command = [sys.executable, "-m", f"benchmarks.{module}", str(tmp_path / "missing")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    first, error = done.stderr.splitlines()
    assert done.returncode == 2
    assert first.startswith(f"python -m benchmarks.{module}: importing ")
    assert error.startswith(f"python -m benchmarks.{module}: error: ")
