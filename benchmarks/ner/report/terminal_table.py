"""A table in a terminal, whose columns share its width such that words are not cut if they fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

NO_PADDING = 0  # more would not fit in 80 columns


@dataclass(frozen=True)
class TerminalTable:
    """Renders a table for `rich`; numbers follow the first column unless all columns are `words`."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        title = Text(self.title, style="bold") if self.title else None
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=NO_PADDING)
        room = options.max_width - len(self.headings) - 1
        for number, (heading, width) in enumerate(zip(self.headings, self._widths(room), strict=True)):
            side: JustifyMethod = "left" if self.words or number == 0 else "right"
            table.add_column(Text(heading), justify=side, overflow="fold", width=width)
        for row in self.rows:
            table.add_row(*map(Text, row))
        yield table

    def _widths(self, room: int) -> list[int]:
        """Returns the width of each column: that of its longest word, and more where cells take the most lines."""
        columns = list(zip(self.headings, *self.rows, strict=True))
        needed = [max(map(cell_len, column)) for column in columns]
        widths = [max(cell_len(word) for cell in column for word in [*cell.split(), "-"]) for column in columns]
        if sum(widths) > room:
            widths = [min(width, max(room // len(widths), 1)) for width in widths]
        for _ in range(room - sum(widths)):
            most_lines = max(range(len(widths)), key=lambda number: needed[number] / widths[number])
            widths[most_lines] += needed[most_lines] > widths[most_lines]
        return widths
