"""Two ranks train on the bound of masked diffusion as one process does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.diffusion_training import trained

ROOT = Path(__file__).parents[2]


def test_two_ranks_are_as_one_with_the_same_global_batch(wordpiece, tmp_path) -> None:
    """Their batches have different numbers of tokens."""
    wordpiece.save_pretrained(tmp_path)
    config = ROOT / "benchmarks" / "ner" / "config" / "launch" / "cpu_2_fp32.yaml"
    script = ROOT / "tests" / "support" / "diffusion_training.py"
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--config_file", config, script, tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("TRAINED ")]
    found, expected = json.loads(line.removeprefix("TRAINED ")), trained(str(tmp_path), batch_size=4)
    assert found.pop("ranks") == 2
    assert len(expected["loss"]) == 4
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name
