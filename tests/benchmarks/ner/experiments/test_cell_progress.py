"""Whoever waits for cells is told how far they are, in a terminal and elsewhere."""

from __future__ import annotations

import io
import re

from rich.console import Console

from benchmarks.ner.experiments import cell_progress
from benchmarks.ner.experiments.cell_progress import CellProgress


def _printed(monkeypatch, console: Console, seconds_a_call: float) -> list[str]:
    now = iter(n * seconds_a_call for n in range(1_000))
    monkeypatch.setattr(cell_progress.time, "monotonic", lambda: next(now))
    with CellProgress(console, 2) as progress:
        for number, name in enumerate(("static seed 0", "dynamic seed 0")):
            progress.start(number, name)
            for done in range(1, 11):
                progress.advance(done / 10)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_pipe_has_a_line_from_time_to_time(monkeypatch) -> None:
    lines = _printed(monkeypatch, Console(file=io.StringIO(), width=80), seconds_a_call=8)
    assert lines[:3] == [
        "  1/2 static seed 0         begins",
        "  1/2 static seed 0         40%",
        "  1/2 static seed 0         80%",
    ]
    assert lines[3] == "  2/2 dynamic seed 0        begins"
    assert len(lines) == 6


def test_a_terminal_has_a_bar(monkeypatch) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    assert not any("begins" in line for line in _printed(monkeypatch, console, seconds_a_call=8))
    shown = console.file.getvalue()
    assert "2/2 dynamic seed 0" in shown
    assert re.search(r"elapsed .*\d:\d\d:\d\d.* left .*:", shown)
