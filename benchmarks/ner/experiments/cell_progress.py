"""Shows how far the cells are: as a bar in a terminal, and elsewhere as a line from time to time."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 30


class CellProgress:
    """The progress of several cells, which is shown while the context is entered."""

    def __init__(self, console: Console, cells: int) -> None:
        elapsed = (TextColumn("elapsed"), TimeElapsedColumn())
        left = (TextColumn("left"), TimeRemainingColumn())
        columns = (TextColumn("{task.description:<24}"), BarColumn(bar_width=20), *elapsed, *left)  # 80 wide
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=cells)
        self._console, self._cells = console, cells
        self._number, self._name, self._printed = 0, "", 0.0

    def __enter__(self) -> "CellProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def start(self, number: int, name: str) -> None:
        """Begins the cell of this number, from 0."""
        self._number, self._name = number, name
        self._bar.update(self._task, description=f"{number + 1}/{self._cells} {name}", completed=number)
        self._print("begins")

    def advance(self, done: float) -> None:
        """Shows that this part of the cell, from 0 to 1, is done."""
        self._bar.update(self._task, completed=self._number + done)
        if time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES:
            self._print(f"{done:.0%}")

    def _print(self, state: str) -> None:
        if not self._console.is_terminal:
            text = f"{self._number + 1:>3}/{self._cells} {self._name:<21} {state}"
            self._console.print(text, highlight=False, soft_wrap=True)
        self._printed = time.monotonic()
