"""All processes prepare a run; an error of one ends all of them."""

import pytest

from benchmarks.ner.experiments import preparation
from benchmarks.ner.experiments.preparation import prepare_on_all_ranks


def raises(error):
    raise error


@pytest.fixture
def ended(monkeypatch):
    """Raises the exit status: real processes leave the interpreter without an exception."""
    monkeypatch.setattr(preparation, "exit_all_ranks", lambda status: raises(SystemExit(status)))


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
    monkeypatch.setattr(preparation, "gather_object", lambda own: [*own, "no such file"])
    with pytest.raises(SystemExit):
        prepare_on_all_ranks("run.py", lambda: 3)
    assert capsys.readouterr().err == "run.py: error: no such file\n"


def test_further_processes_say_nothing(ended, monkeypatch, capsys) -> None:
    monkeypatch.setattr(preparation, "PartialState", lambda: type("Second", (), {"is_main_process": False}))
    with pytest.raises(SystemExit):
        prepare_on_all_ranks("run.py", lambda: raises(ValueError("told by the first")))
    assert capsys.readouterr().err == ""
