"""Errors in arguments and data are reported on one line, before anything is trained."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.harness import ROOT

from benchmarks.ner import __main__ as command
from benchmarks.ner.experiments.cli_errors import error_text, print_start, reject_unknown_arguments

KNOWN = ("mlm_epochs", "ner_epochs", "train_file", "mlm_train_file")


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
    reject_unknown_arguments("program", [], KNOWN)
    with pytest.raises(SystemExit, match="2"):
        reject_unknown_arguments("program", ["--lr", "3"], KNOWN)
    rule = "arguments must be among those that --help lists; got --lr 3; correct or remove them"
    assert capsys.readouterr().err == f"program: error: {rule}\n"


@pytest.mark.parametrize(
    ("words", "similar"),
    [
        (["--epochs", "3"], "--ner_epochs or --mlm_epochs"),
        (["--train", "train_file"], "--train_file"),
        (["--ner-epoch=3"], "--ner_epochs or --mlm_epochs"),
    ],
)
def test_similar_arguments_are_suggested(capsys, words, similar) -> None:
    with pytest.raises(SystemExit):
        reject_unknown_arguments("program", words, KNOWN)
    assert f"got {' '.join(words)} (did you mean {similar}?); correct" in capsys.readouterr().err


def test_an_error_of_a_file_has_no_number() -> None:
    with pytest.raises(OSError, match="Errno") as missing:
        Path("/no/file").read_text()
    assert error_text(missing.value) == "/no/file: No such file or directory"
    assert error_text(ValueError("wrong")) == "wrong"


def test_ctrl_c_ends_with_one_line(monkeypatch, capsys) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "check_values", stop)
    monkeypatch.setattr(sys, "argv", ["ner"])
    with pytest.raises(SystemExit, match="130"):
        command.main()
    assert capsys.readouterr().err == "stopped; finished runs are kept, and the same command continues\n"


def test_what_a_command_does_is_said_once_in_a_launch(monkeypatch, capsys) -> None:
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        print_start("program", "importing")
    assert capsys.readouterr().err == "program: importing ...\n"
