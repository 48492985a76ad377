"""Wrong arguments: each command is refused in one line, which names the argument, the rule and the remedy."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from hf_dynmask.cli.expressions import STRATEGIES
from hf_dynmask.cli.main import main

TEXT = "The gardener waters unbelievable flowers, while the cat sat on a mat."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "error: Pass a command, `preview` or `schedule`. See `hf-dynmask --help`.\n"),
        (["--bogus"], "error: there is no option `--bogus`. See `hf-dynmask --help`.\n"),
        (["spam"], "error: the command must be `preview` or `schedule`, but got 'spam'. See `hf-dynmask --help`.\n"),
        (["schedule"], 'error: Pass `schedule` in quotes, such as "cosine(0.3, 0.15)".\n'),
        (["schedule", "--bogus"], "error: there is no option `--bogus`. See `hf-dynmask schedule --help`.\n"),
        (
            ["schedule", "0.2", "--steps", "1e4"],
            "`--steps` must be an integer of at least 1, but got '1e4'. Pass the ",
        ),
        (["preview", TEXT, "--seed", "x"], "`--seed` must be an integer, but got 'x'. Pass 0, for example.\n"),
        (["preview", TEXT, "--epochs", "many"], "`--epochs` must be an integer of at least 1, but got 'many'. Pass "),
        (["preview", TEXT, "--rate"], "`--rate` must have a value, but got none. See `hf-dynmask preview --help`.\n"),
        (
            ["preview", TEXT, "--rate", "0.2", "--schedule", "0.3"],
            "`--rate` and `--schedule` exclude each other. Pass one of them.\n",
        ),
        (
            ["preview", TEXT, "--s", "1"],
            "--s could match --strategy, --schedule, --seed. See `hf-dynmask preview ",
        ),
        (["preview", TEXT, "--help=1"], "ignored explicit argument '1'. See `hf-dynmask preview --help`.\n"),
    ],
)
def test_arguments_that_the_parser_refuses(refused, arguments, said) -> None:
    assert said in refused(*arguments)


@pytest.mark.parametrize("name", ["", ".", "noext", "noext/", "folder", "folder.png", "folder.png/", "new.png/"])
def test_a_curve_needs_the_name_of_an_image(refused, tmp_path, monkeypatch, name) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "folder.png"):
        (tmp_path / folder).mkdir()
    said = refused("schedule", "0.2", "--out", name)
    assert f"`--out` must be the name of an image file, but got {name!r}. Pass a name with a suffix, such as " in said
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "folder.png"]


def test_a_text_in_another_encoding_is_named() -> None:
    command = [os.fsencode(sys.executable), b"-m", b"hf_dynmask.cli", b"preview", b"caf\xe9"]
    done = subprocess.run(command, env={**os.environ, "PYTHONUTF8": "1"}, capture_output=True, text=True)
    said = "hf-dynmask: error: `text` must be text in utf-8, but is not. Save it as UTF-8, and pass `--file`.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["", "--epochs", 1], "`text` must contain more than whitespace, but contains no text."),
        (["the", "gardener"], '`text` must be a single argument, but got several. Put it in quotes: "the gardener".'),
        (["the", "--epochs", 1, "gardener"], 'Put it in quotes: "the gardener".'),
        ([TEXT, "--epochs", 0], "`--epochs` must be an integer of at least 1, but got 0."),
        ([TEXT, "--max_texts", 0], "`--max_texts` must be an integer of at least 1, but got 0."),
        ([TEXT, "--rate", 15], "`--rate` must be a number between 0 and 1, but got 15. Pass 0.15 for 15 %."),
        ([TEXT, "--rate", 30], "but got 30. Pass 0.3 for 30 %.\n"),
        ([TEXT, "--rate", "15%"], "but got '15%': rates are fractions, such as 0.15 for 15 %.\n"),
        ([TEXT, "--rate", "nan"], "there is no 'nan', only uniform_rate, truncated_normal_rate and cosine_rate.\n"),
        ([TEXT, "--rate", -1], "`--rate` must be a number between 0 and 1, but got -1. Pass 0.15 for 15 %.\n"),
        ([TEXT, "--rate", "uniform_rat(0, 1)"], "there is no 'uniform_rat'. Did you mean 'uniform_rate'?\n"),
        ([TEXT, "--rate", "linear(0.3, 0.1)"], "but got 'linear(0.3, 0.1)'. Pass it as `--schedule`.\n"),
        (
            [TEXT, "--strategy", "spam"],
            "does not accept 'spam': there is no 'spam'. Did you mean 'span'?\n",
        ),
        ([TEXT, "--strategy", "whole-word"], "there is no 'whole-word'. Did you mean 'whole_word'?\n"),
        (
            [TEXT, "--strategy", "xyz"],
            "there is no 'xyz', only token, whole_word, span, ngram, position and mixture.\n",
        ),
        ([TEXT, "--strategy", "position(prefix)"], ": a word in parentheses needs quotes, 'prefix'.\n"),
        ([TEXT, "--strategy", "span(fixed_length(3))"], "there is no 'fixed_length'. Did you mean 'fixed_lengths'?\n"),
        ([TEXT, "--strategy", "span(fixed_lengths(3)"], "'(' was never closed.\n"),
        ([TEXT, "--strategy", "entity"], "but got 'entity', which needs tags, a model or weights."),
        ([TEXT, "--strategy", "entity(0.5)"], "but got 'entity(0.5)', which needs tags, a model or weights."),
        ([TEXT, "--schedule", ""], "`--schedule` must be a schedule such as `linear(0.3, 0.15)`, but got ''"),
        ([TEXT, "--schedule", "15"], "`--schedule` must be a number between 0 and 1, but got 15. Pass 0.15 for 15 %"),
        ([TEXT, "--schedule", "linear(2, 0.1)"], "Did you mean `linear(0.02, 0.1)`?\n"),
        ([TEXT, "--schedule", "linear(-2, 0.1)"], "`start` must be a number between 0 and 1, but got -2."),
        ([TEXT, "--min_masked", -1], "but got -1. Pass 0 to allow masks without a label.\n"),
        ([TEXT, "--num_mask_patterns", 0], "but got 0. Leave it out for a new mask in each epoch.\n"),
        ([TEXT, "--max-texts", 3], "error: there is no option `--max-texts`. Did you mean `--max_texts`?\n"),
        ([TEXT, "--spam=1"], "there is no option `--spam`. See `hf-dynmask preview --help`.\n"),
        (["--text", TEXT], "there is no option `--text`. See `hf-dynmask preview --help`.\n"),
        ([TEXT, "--file", "corpus.txt"], "`text` and `--file` exclude each other."),
        (["--file", "nowhere.txt"], "`--file` must be a text file, but 'nowhere.txt' is unreadable: No such file"),
        (["--file", "."], "`--file` must be a text file, but '.' is unreadable: "),
    ],
)
def test_a_wrong_argument_gives_one_line(refused, arguments, said) -> None:
    assert said in refused("preview", *arguments)


def test_a_text_is_needed(refused, tmp_path, monkeypatch) -> None:
    (tmp_path / "blank.txt").write_text("\n \n", encoding="utf-8")
    assert "blank.txt' must contain more than whitespace, but " in refused("preview", "--file", tmp_path / "blank.txt")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "standard input must contain more than whitespace, but contains no text." in refused("preview")


def test_texts_are_utf8(refused, tmp_path, monkeypatch) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    said = refused("preview", "--file", tmp_path / "picture.png")
    assert "picture.png' must be text in utf-8, but is not. Save it as UTF-8." in said
    with open(tmp_path / "picture.png", encoding="utf-8", errors="surrogateescape") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert "standard input must be text in utf-8, but is not." in refused("preview")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cosne(0.3, 0.1)"], "there is no 'cosne'. Did you mean 'cosine'?\n"),
        (["linear(0.3)"], "but got 'linear(0.3)': `linear(start, end)`, missing a required argument: 'end'.\n"),
        (["linear"], "but got 'linear': `linear(start, end)`, missing a required argument: 'start'.\n"),
        (["linear", "0.3"], "`schedule` must be a single argument, but got several. Put it in quotes: "),
        (
            ["linear(30, 15)"],
            "`schedule` does not accept 'linear(30, 15)': rates are fractions, such as 0.15 for ",
        ),
        (["linear(30, 15)"], "Did you mean `linear(0.3, 0.15)`?\n"),
        (["polynomial(30, end=15, power=2)"], "Did you mean `polynomial(0.3, end=0.15, power=2)`?\n"),
        (["with_warmup(step([30, 5], [0.5]), 0.1)"], "Did you mean `step([0.3, 0.05], [0.5])`?\n"),
        (["linear(300, 15)"], "`start` must be a number between 0 and 1, but got 300."),
        (["linear(0.3 0.1)"], "Perhaps you forgot a comma?\n"),
        (["lnear(0.3, 0.1)"], "there is no 'lnear'. Did you mean 'linear'?\n"),
        (["linear(0.3, 0.1)", "--steps", 0], "`--steps` must be an integer of at least 1, but got 0."),
        (
            ["linear(0.3, 0.1)", "--out", "curve.spam"],
            "`--out` must be an image file, but 'curve.spam' cannot be written: ",
        ),
        (["linear(0.3, 0.1)", "--out", "nowhere/curve.png"], "'nowhere/curve.png' cannot be written: No such"),
    ],
)
def test_a_schedule_that_cannot_be_drawn(refused, arguments, said) -> None:
    assert said in refused("schedule", *arguments)


def test_the_help_names_all_strategies(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["preview", "--help"])
    words = capsys.readouterr().out.split("--strategy")[2].split("--rate")[0].split()
    assert [word.strip(",") for word in words if word.strip(",") in STRATEGIES] == list(STRATEGIES)
