"""What is quick stays quick: help, the version and refused arguments import nothing large."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hf_dynmask.cli.main import main

SCRIPT = """
import sys
from hf_dynmask.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print("imported:", [name for name in ("torch", "transformers", "numpy", "rich") if name in sys.modules])
"""


def imported_by(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["preview", "--help"], 0),
        ([], 2),
        (["schedule"], 2),
        (["preview", "the", "cat"], 2),
        (["preview", "the cat", "--spam"], 2),
        (["preview", "the cat", "--epochs", "many"], 2),
    ],
)
def test_nothing_large_is_imported(arguments, status) -> None:
    assert imported_by(*arguments) == (status, "imported: []")


def test_a_chart_needs_no_transformers() -> None:
    assert imported_by("schedule", "0.2") == (0, "imported: ['torch', 'numpy', 'rich']")


@pytest.mark.parametrize(
    ("arguments", "library"), [(["schedule", "0.2"], "torch"), (["preview", "the cat"], "transformers")]
)
def test_a_terminal_shows_what_is_being_loaded(capsys, monkeypatch, arguments, library) -> None:
    main(arguments)
    quiet = capsys.readouterr()
    assert quiet.err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    main(arguments)
    output, said = capsys.readouterr()
    assert output == quiet.out
    message, blank, end = said.split("\r")
    assert message == f"hf-dynmask: loading {library} ..."
    assert (blank, end) == (" " * len(message), "")
