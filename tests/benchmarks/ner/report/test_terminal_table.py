"""Tables in a terminal keep their words whole where they fit."""

from __future__ import annotations

import io

from rich.console import Console

from benchmarks.ner.report.terminal_table import TerminalTable


def printed(table: TerminalTable, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    return console.file.getvalue().splitlines()


def test_words_are_not_cut_beside_a_long_text() -> None:
    reason = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB on a device of 7.79 GiB"
    file = "dynamic-seed1-313ab2fbc3c5.json"
    lines = printed(TerminalTable("", ("run", "file", "reason"), [("wnut17, tiny, seed 1", file, reason)], True), 80)
    assert max(map(len, lines)) <= 80
    words = {word for line in lines for word in line.split()}
    assert {file, *reason.split()} <= words


def test_a_word_that_does_not_fit_is_folded_not_cropped() -> None:
    lines = printed(TerminalTable("", ("arm", "x", "y"), [("a" * 60, "b" * 60, "c" * 60)], False), 40)
    assert max(map(len, lines)) <= 40
    assert [sum(line.count(letter) for line in lines[3:]) for letter in "abc"] == [60, 60, 60]


def test_a_wide_terminal_has_one_line_a_row() -> None:
    lines = printed(TerminalTable("", ("run", "reason"), [("a b c", "no GPU " * 12)], True), 200)
    assert sum("no GPU" in line for line in lines) == 1
