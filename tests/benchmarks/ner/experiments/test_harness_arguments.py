"""Commands answer `--help` and wrong arguments before they import anything heavy, and say what they wait for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.harness import ROOT

GRID = "benchmarks/ner/config/grids/cpu_smoke.yaml"
HEAVY = {"accelerate", "datasets", "matplotlib", "numpy", "torch", "transformers"}
WITHOUT_RESULT = {
    "ner": [
        *("--help", "--epochs 3", "--seeds one", "--seeds 0 0", "--arms", "--arms statik", "--ner_epochs -1"),
        *("--train_file no.txt", "--mlm_train_file no.txt[:75%]", "--base no"),
    ],
    "ner.sweep": [
        *("--help", "", "grid.yaml --epochs 3", "grid.yaml --shard one", "no.yaml"),
        *(f"{GRID} --shard 7", f"{GRID} --num_shards 0", f"{GRID} --machine_rank 1"),
    ],
    "ner.report": ["--help", "", "runs --epochs 3", "no"],
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


@pytest.mark.parametrize(("module", "words"), [("ner.sweep", "{file}"), ("ner.report", ". --output_dir {file}")])
def test_a_command_says_what_it_waits_for(module, words, tmp_path) -> None:
    """A file that is no grid, and that is no folder, is found only after the wait."""
    (tmp_path / "file").write_text("no grid\n")
    command = [sys.executable, "-m", f"benchmarks.{module}", *words.format(file=tmp_path / "file").split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    first, error = done.stderr.splitlines()
    assert done.returncode == 2
    assert first.startswith(f"python -m benchmarks.{module}: importing ")
    assert error.startswith(f"python -m benchmarks.{module}: error: ")
