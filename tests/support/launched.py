"""Starts a script on several ranks, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def launched(processes: int, script: str, *arguments: str, timeout: int = 200) -> str:
    """What `accelerate launch` prints for a script of the tests, on CPU processes; the script must succeed."""
    config = ROOT / "benchmarks" / "ner" / "config" / "launch" / f"cpu_{processes}_fp32.yaml"
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
    done = subprocess.run(
        [*command, str(ROOT / "tests" / script), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
