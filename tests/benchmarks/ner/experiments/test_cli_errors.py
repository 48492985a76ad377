"""Errors in arguments and data are reported on one line, before anything is trained."""

import os
import subprocess
import sys

import pytest
from support.harness import ROOT

from benchmarks.ner.experiments.cli_errors import print_start, reject_unknown_arguments


def test_the_harness_says_one_line_and_ends_with_status_2(tmp_path) -> None:
    (tmp_path / "train.txt").write_text("Ann I-PER\n")
    files = [f"--{name}_file={tmp_path / 'train.txt'}" for name in ("train", "validation", "test")]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ner", *files, "--output_dir", str(tmp_path / "runs")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    start, line = done.stderr.splitlines()
    assert start == "python -m benchmarks.ner: importing torch, transformers and datasets ..."
    assert line.startswith(f"python -m benchmarks.ner: error: {tmp_path / 'train.txt'}:1: in IOB2 I-PER must follow")


def test_words_that_are_no_arguments_are_refused(capsys) -> None:
    reject_unknown_arguments("program", [])
    with pytest.raises(SystemExit, match="2"):
        reject_unknown_arguments("program", ["--epochs", "3"])
    rule = "arguments must be among those that --help lists; got --epochs 3; correct or remove them"
    assert capsys.readouterr().err == f"program: error: {rule}\n"


def test_what_a_command_does_is_said_once_in_a_launch(monkeypatch, capsys) -> None:
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        print_start("program", "importing")
    assert capsys.readouterr().err == "program: importing ...\n"
