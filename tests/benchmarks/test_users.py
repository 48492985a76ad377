"""What users are told of their arguments and data: on one line, before anything is trained."""

import os
import subprocess
import sys

import pytest
from harness import ROOT

from benchmarks.ner.data.encoding import check_encodable
from benchmarks.ner.data.readers import ner_dataset
from benchmarks.ner.data.synthetic import embedded_corpus
from benchmarks.ner.data.unseen_entity_types import unseen_types
from benchmarks.ner.experiments import cli_errors
from benchmarks.ner.experiments.arguments import HarnessArguments, check_arguments, where_to_look
from benchmarks.ner.experiments.cli_errors import prepared, refuse_unknown
from benchmarks.ner.training.models import load_tokenizer


def raises(error):
    raise error


@pytest.fixture
def ended(monkeypatch):
    """What processes end with is raised here, as they end by leaving the interpreter where they are."""
    monkeypatch.setattr(cli_errors, "leave", lambda status: raises(SystemExit(status)))


def test_what_is_prepared_comes_back(ended) -> None:
    assert prepared("run.py", lambda: None) is None
    assert prepared("run.py", lambda: 3) == 3


@pytest.mark.parametrize("error", [ValueError("seeds must\n be 1"), FileNotFoundError("seeds must be 1")])
def test_an_error_of_the_user_is_one_line(ended, capsys, error) -> None:
    with pytest.raises(SystemExit) as end:
        prepared("run.py", lambda: raises(error))
    assert end.value.code == 2
    assert capsys.readouterr().err == "run.py: error: seeds must be 1\n"


def test_an_error_of_ours_keeps_its_traceback(ended) -> None:
    with pytest.raises(TypeError):
        prepared("run.py", lambda: raises(TypeError("ours")))


def test_a_process_ends_with_the_others(ended, monkeypatch, capsys) -> None:
    """The first says what the second, say, on another machine, could not read."""
    monkeypatch.setattr(cli_errors, "gather_object", lambda own: [*own, "no such file"])
    with pytest.raises(SystemExit):
        prepared("run.py", lambda: 3)
    assert capsys.readouterr().err == "run.py: error: no such file\n"


def test_further_processes_say_nothing(ended, monkeypatch, capsys) -> None:
    monkeypatch.setattr(cli_errors, "PartialState", lambda: type("Second", (), {"is_main_process": False}))
    with pytest.raises(SystemExit):
        prepared("run.py", lambda: raises(ValueError("told by the first")))
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


# -- What is refused before anything is trained -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"mlm_batch_size": 15}, r"`mlm_batch_size` must be a multiple of the 2 processes, but got 15: it is the size"),
        ({"ner_batch_size": 0}, r"`ner_batch_size` must be a whole number from 1, but got 0\. Mend it"),
        ({"ner_epochs": -1.0}, r"`ner_epochs` must be a number from 0, but got -1\.0"),
        ({"weight_decay": float("nan")}, r"`weight_decay` must be a number from 0, but got nan"),
        ({"seeds": [0, -1]}, r"`seeds` must be whole numbers from 0 to 2\^32 - 1, but got -1\. Mend it"),
        ({"report_to": ["tensorbord"]}, r"`report_to` must be among .*tensorboard.*, but got 'tensorbord'"),
    ],
)
def test_arguments_that_no_run_can_have_are_refused(asked, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_arguments(HarnessArguments(**asked), num_processes=2)


def test_the_defaults_can_be_run() -> None:
    check_arguments(HarnessArguments(report_to=["tensorboard"]), num_processes=2)


def test_a_run_ends_with_what_to_look_at_and_how() -> None:
    asked = HarnessArguments(output_dir="/the runs", report_to=["tensorboard"])
    results, report, curves = where_to_look(asked)
    assert results == "Results: /the runs"
    assert report == "Report: python -m benchmarks.ner.report '/the runs'"
    assert curves == "Curves: tensorboard --logdir '/the runs/trainer'"
    assert list(where_to_look(HarnessArguments(output_dir="/the runs"))) == [results, report]


def test_words_that_are_no_arguments_are_refused() -> None:
    refuse_unknown([])
    with pytest.raises(ValueError, match="must be among those that --help lists; got --epochs 3; mend or remove it"):
        refuse_unknown(["--epochs", "3"])


def test_lengths_without_room_are_refused_by_the_names_that_users_gave_them() -> None:
    tokenizer = load_tokenizer("tiny", embedded_corpus(sizes={"train": 20})["train"])
    check_encodable(tokenizer, 3, 3)
    for sizes, name in (((2, 3), "mlm_block_size"), ((3, 2), "ner_max_length")):
        with pytest.raises(ValueError, match=f"^{name} must leave room for a subword beside 2 special tokens; got 2;"):
            check_encodable(tokenizer, *sizes)


# -- Types that are not in the training split -------------------------------------------------------------------------


def splits(train, validation, test):
    tags = {"train": train, "validation": validation, "test": test}
    return {name: ner_dataset([["a"] * len(row)], [row]) for name, row in tags.items()}


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ((["B-person"], ["O"], ["B-person", "I-person"]), None),
        ((["B-a", "B-b"], ["B-a"], ["O"]), None),
        (
            (["B-person"], ["O"], ["B-PER"]),
            "mine has entity types in test (PER) that its training split has not (person)",
        ),
        ((["O"], ["B-b", "B-a"], ["B-c"]), "mine has entity types in validation (a, b) and test (c) that its training"),
        ((["O"], ["O"], ["B-a"]), "split has not (none), so no model learns them. Where these are the same types in"),
        ((["O"], ["O"], [f"B-{i}" for i in range(10, 30)]), "(10, 11, 12, 13, 14, 15, 16, 17, 18, 19, ...)"),
    ],
)
def test_types_that_no_model_can_learn_are_named(tags, said) -> None:
    found = unseen_types("mine", splits(*tags))
    assert found is said is None or said in found
