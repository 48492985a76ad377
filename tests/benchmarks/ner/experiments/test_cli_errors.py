"""What users are told of their arguments and data: on one line, before anything is trained."""

import os
import subprocess
import sys

import pytest
from support.harness import ROOT

from benchmarks.ner.experiments import cli_errors
from benchmarks.ner.experiments.cli_errors import prepare_on_all_ranks, reject_unknown_arguments


def raises(error):
    raise error


@pytest.fixture
def ended(monkeypatch):
    """What processes end with is raised here, as they end by leaving the interpreter where they are."""
    monkeypatch.setattr(cli_errors, "exit_all_ranks", lambda status: raises(SystemExit(status)))


def test_what_is_prepared_comes_back(ended) -> None:
    assert prepare_on_all_ranks("run.py", lambda: None) is None
    assert prepare_on_all_ranks("run.py", lambda: 3) == 3


@pytest.mark.parametrize("error", [ValueError("seeds must\n be 1"), FileNotFoundError("seeds must be 1")])
def test_an_error_of_the_user_is_one_line(ended, capsys, error) -> None:
    with pytest.raises(SystemExit) as end:
        prepare_on_all_ranks("run.py", lambda: raises(error))
    assert end.value.code == 2
    assert capsys.readouterr().err == "run.py: error: seeds must be 1\n"


def test_an_error_of_ours_keeps_its_traceback(ended) -> None:
    with pytest.raises(TypeError):
        prepare_on_all_ranks("run.py", lambda: raises(TypeError("ours")))


def test_a_process_ends_with_the_others(ended, monkeypatch, capsys) -> None:
    """The first says what the second, say, on another machine, could not read."""
    monkeypatch.setattr(cli_errors, "gather_object", lambda own: [*own, "no such file"])
    with pytest.raises(SystemExit):
        prepare_on_all_ranks("run.py", lambda: 3)
    assert capsys.readouterr().err == "run.py: error: no such file\n"


def test_further_processes_say_nothing(ended, monkeypatch, capsys) -> None:
    monkeypatch.setattr(cli_errors, "PartialState", lambda: type("Second", (), {"is_main_process": False}))
    with pytest.raises(SystemExit):
        prepare_on_all_ranks("run.py", lambda: raises(ValueError("told by the first")))
    assert capsys.readouterr().err == ""


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
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"python -m benchmarks.ner: error: {tmp_path / 'train.txt'}:1: in IOB2 I-PER must follow")


def test_words_that_are_no_arguments_are_refused() -> None:
    reject_unknown_arguments([])
    with pytest.raises(ValueError, match="that --help lists; got --epochs 3; correct or remove them"):
        reject_unknown_arguments(["--epochs", "3"])
