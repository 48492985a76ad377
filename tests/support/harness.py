"""Starts the harness as users do, on a minimal corpus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.ner.data.synthetic import embedded_corpus
from support.unprivileged import OBEDIENT

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "benchmarks" / "ner" / "config" / "launch" / "cpu_1_fp32.yaml"
SHORT = ["--mlm_epochs", "1", "--ner_epochs", "1", "--mlm_batch_size", "4"]


def corpus(folder: Path) -> list[str]:
    """Writes a corpus of a few sentences to `folder`; returns the arguments that name it."""
    arguments = []
    for name, split in embedded_corpus(sizes={"train": 24, "validation": 8, "test": 8}).items():
        path = folder / f"{name}.json"
        path.write_text("\n".join(json.dumps(row) for row in split), encoding="utf-8")
        arguments += [f"--{name}_file", str(path)]
    return arguments


def start(output_dir: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Starts the launcher in its own process group. It obeys file permissions even if root starts it."""
    return subprocess.Popen(
        [
            *OBEDIENT,
            *(sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(CONFIG)),
            *("-m", "benchmarks.ner", "--output_dir", str(output_dir), *SHORT, *arguments),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Returns the exit status, and the output on one line."""
    output, _ = process.communicate(timeout=600)
    return process.returncode, " ".join(output.split())
