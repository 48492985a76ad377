"""The blocks of a report, and their representation in Markdown and in a terminal."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from rich.console import Group, RenderableType
from rich.text import Text

from benchmarks.ner.report.terminal_table import TerminalTable

ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}  # not every Markdown has backslashes for these
MARKS = re.compile(r"[\\|`*<>\[\]&~$]|(?<![^\W_])_|_(?![^\W_])")  # underscores within words are not markup

OPTION = re.compile(r"(?<![^ (])(--[a-z]\w*)")


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str
    mark: str | None = None  # text in front, in bold, such as a verdict


@dataclass(frozen=True)
class RunLinks:
    """A cell that names the runs of a row: their number in a terminal, a link to each result file elsewhere."""

    text: str
    files: tuple[tuple[str, str], ...]  # label and file name of each run


@dataclass(frozen=True)
class Table:
    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str | RunLinks, ...]]
    words: bool = False  # all columns are text; otherwise numbers follow the first column
    note: str = ""  # below the table: what its columns mean


@dataclass(frozen=True)
class Figure:
    file: str
    alt: str
    draw: Callable[[Path], None] = field(compare=False)  # writes a PNG file


Block = Heading | Paragraph | Table | Figure


def notes_once(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yields the blocks, without the notes of tables that an earlier table has already."""
    seen = {""}
    for block in blocks:
        if isinstance(block, Table) and block.note in seen:
            yield replace(block, note="")
            continue
        if isinstance(block, Table):
            seen.add(block.note)
        yield block


def markdown(blocks: Iterable[Block], results: str | None = "", figures: str = "") -> str:
    """Renders blocks as Markdown; `results` and `figures` are the folders of linked result files and of figures.

    If `results` is None, tables have the number of runs, as in a terminal.
    """
    return "\n\n".join(_block(block, results, figures) for block in blocks) + "\n"


def terminal(blocks: Iterable[Block]) -> Group:
    """Renders blocks for `rich`, without figures."""
    return Group(*(_renderable(block) for block in blocks if not isinstance(block, Figure)))


def _block(block: Block, results: str | None, figures: str) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {escaped(block.text)}"
        case Paragraph():
            return (f"**{escaped(block.mark)}** " if block.mark else "") + _prose(block.text)
        case Figure():
            return f"![{escaped(block.alt)}]({figures}{quote(block.file)})"
        case Table():
            alignment = ["---", *["---" if block.words else "---:"] * (len(block.headings) - 1)]
            rows = [[_cell(cell, results) for cell in row] for row in block.rows]
            lines = [[escaped(heading) for heading in block.headings], alignment, *rows]
            title = [f"**{escaped(block.title)}**", ""] if block.title else []
            note = ["", _prose(block.note)] if block.note else []
            return "\n".join([*title, *(f"| {' | '.join(line)} |" for line in lines), *note])


def _cell(cell: str | RunLinks, folder: str | None) -> str:
    if isinstance(cell, str) or folder is None:
        return escaped(_shown(cell))
    links = (f"[{escaped(label)}]({folder}{quote(file, errors='backslashreplace')})" for label, file in cell.files)
    return " ".join(links) or escaped(cell.text)


def _prose(text: str) -> str:
    """Escapes text, and writes options of a command as code, which is not broken at its hyphens."""
    return OPTION.sub(r"`\1`", escaped(text))


def escaped(text: str) -> str:
    """Escapes text for Markdown, so that names do not become columns or markup."""
    return MARKS.sub(lambda mark: ENTITIES.get(mark[0], f"\\{mark[0]}"), text)


def _shown(cell: str | RunLinks) -> str:
    return cell if isinstance(cell, str) else cell.text


def _renderable(block: Block) -> RenderableType:
    """Renders a block that ends with an empty line."""
    match block:
        case Heading():
            return Text(f"{block.text}\n", style="bold")
        case Table():
            table = TerminalTable(
                block.title, block.headings, [list(map(_shown, row)) for row in block.rows], block.words
            )
            return Group(table, Text(f"{block.note}\n")) if block.note else table
        case Paragraph():
            return Text.assemble((f"{block.mark} ", "bold") if block.mark else "", block.text, "\n")
    raise AssertionError(block)
