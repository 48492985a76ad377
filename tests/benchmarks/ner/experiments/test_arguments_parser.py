"""Command lines are read as `HfArgumentParser` reads them, without what takes seconds to import."""

from __future__ import annotations

from dataclasses import fields

import pytest
from transformers import HfArgumentParser

from benchmarks.ner.experiments.arguments_parser import dataclass_parser, parse_arguments
from benchmarks.ner.experiments.harness_arguments import HarnessArguments, to_command_line
from benchmarks.ner.training.presets import arm_names

PROGRAM = "python -m benchmarks.ner"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--arms", "none", "static", "--seeds", "3", "4", "--mlm_train_file", "a[:75%]"],
        ["--mlm-epochs", "0.5", "--train-file", "a b", "--model=tiny", "--mlm_batch_size", "8"],
        ["--tf32", "--save_model", "false", "--own_machine", "Yes", "--retry_failed", "0"],
        ["--epochs", "3", "word"],  # words of no option
    ],
)
def test_a_command_line_is_read_as_by_transformers(words) -> None:
    parser = HfArgumentParser(HarnessArguments)
    assert parse_arguments(PROGRAM, words) == parser.parse_args_into_dataclasses(words, return_remaining_strings=True)


def test_all_arguments_come_back_from_their_command_line() -> None:
    changes = {bool: True, int: 7, float: 0.25, str: "a b", str | None: "-", list[str]: ["x", "y"], list[int]: [5]}
    changed = HarnessArguments(**{field.name: changes[field.type] for field in fields(HarnessArguments)})
    assert parse_arguments(PROGRAM, to_command_line(changed)) == (changed, [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "x"], "argument --seeds: invalid int value: 'x'"),
        (["--mlm_epochs"], "argument --mlm_epochs/--mlm-epochs: expected one argument"),
        (["--tf32", "maybe"], "argument --tf32: must be true or false, but got 'maybe'"),
    ],
)
def test_a_wrong_value_is_named(capsys, words, message) -> None:
    with pytest.raises(SystemExit) as end:
        parse_arguments(PROGRAM, words)
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith(f"{PROGRAM}: error: {message}\n")


def test_the_help_has_every_argument() -> None:
    text = dataclass_parser(HarnessArguments, PROGRAM, "What it does.").format_help()
    assert "What it does." in text
    for field in fields(HarnessArguments):
        assert f"--{field.name}" in text
    assert "'train.txt[:75%]'" in text


def test_the_help_of_the_harness_says_what_each_arm_does(capsys) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(PROGRAM, ["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert "  static            Each example has one mask, the same in each epoch." in lines
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in arm_names())


def test_an_option_cannot_be_abbreviated() -> None:
    assert parse_arguments(PROGRAM, ["--train", "a"]) == (HarnessArguments(), ["--train", "a"])
