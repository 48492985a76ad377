"""Imports of a command: help and wrong arguments need no large library, and a schedule none that is slow."""

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
        (["schedule", "0.2", "--steps", "0"], 2),
        (["schedule", "0.2", "--out", "."], 2),
        (["preview", "the", "cat"], 2),
        (["preview", " "], 2),
        (["preview", "the cat", "--spam"], 2),
        (["preview", "the cat", "--epochs", "many"], 2),
        (["preview", "the cat", "--epochs", "0"], 2),
        (["preview", "the cat", "--rate", "0.2", "--schedule", "0.3"], 2),
        (["preview", "--file", "nowhere.txt"], 2),
    ],
)
def test_nothing_large_is_imported(arguments, status) -> None:
    assert imported_by(*arguments) == (status, "imported: []")


@pytest.mark.parametrize(
    "arguments",
    [
        ["schedule", "cosne(0.3, 0.1)"],
        ["preview", "the cat", "--rate", "15"],
        ["preview", "the cat", "--schedule", "spam"],
        ["preview", "the cat", "--strategy", "spam"],
    ],
)
def test_a_wrong_rate_or_strategy_needs_numpy_alone(arguments) -> None:
    status, imported = imported_by(*arguments)
    assert status == 2
    assert "torch" not in imported
    assert "transformers" not in imported


def test_a_chart_needs_neither_torch_nor_transformers() -> None:
    assert imported_by("schedule", "0.2") == (0, "imported: ['numpy', 'rich']")


def test_downloads_are_quiet() -> None:
    """Every retry of an unreachable name would be a line."""
    script = f"{SCRIPT}\nimport logging\nlogging.getLogger('huggingface_hub.file_download').warning('Retrying')"
    done = subprocess.run([sys.executable, "-c", script, "preview", "the cat"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "loaded"), [(["schedule", "0.2"], []), (["preview", "the cat"], ["transformers"])]
)
def test_a_terminal_shows_what_is_being_loaded(capsys, monkeypatch, arguments, loaded) -> None:
    main(arguments)
    quiet = capsys.readouterr()
    assert quiet.err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    main(arguments)
    output, said = capsys.readouterr()
    assert output == quiet.out
    messages = [f"hf-dynmask: loading {name} ..." for name in loaded]
    assert said == "".join(f"{message}\r{' ' * len(message)}\r" for message in messages)


def test_a_terminal_shows_which_tokenizer_is_being_loaded(capsys, monkeypatch, wordpiece, tmp_path) -> None:
    wordpiece.save_pretrained(tmp_path)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    main(["preview", "the cat", "--tokenizer", str(tmp_path)])
    assert f"hf-dynmask: loading {tmp_path} ...\r" in capsys.readouterr().err
