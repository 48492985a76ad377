"""The report of a folder of results, printed and written: `python -m benchmarks.ner.report DIR`."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.ner.experiments.cli_errors import refuse
from benchmarks.ner.experiments.result import read_results
from benchmarks.ner.report.blocks import Block, Picture, markdown, terminal
from benchmarks.ner.report.document import TITLE, report
from benchmarks.ner.report.html_page import page

PROGRAM = "python -m benchmarks.ner.report"


def main() -> None:
    """Prints the report of a folder of results, and writes it as Markdown and as one HTML page, with its pictures."""
    parser = argparse.ArgumentParser(PROGRAM, description=main.__doc__)
    parser.add_argument("directory", type=Path, help="a folder of result files")
    parser.add_argument("--output_dir", type=Path, help="where the report goes, by default DIRECTORY/report")
    arguments = parser.parse_args()
    folder = arguments.output_dir or arguments.directory / "report"
    try:
        blocks = write_report(arguments.directory, folder)
    except OSError as error:
        if not arguments.directory.is_dir():
            refuse(PROGRAM, str(error))
        refuse(PROGRAM, f"output_dir must be a folder that can be written to; got {folder}: {error}; name another one")
    console = Console(emoji=False)
    console.print(terminal(blocks))
    console.print(f"Report: {folder.resolve() / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def write_report(directory: Path, folder: Path) -> Sequence[Block]:
    """Writes `report.md`, `report.html` and the pictures of a folder of results into another, and returns the blocks.

    Raises `NotADirectoryError` when there is no such folder of results, `OSError` when the other cannot be written to.
    """
    results, rejected = read_results(directory)
    folder.mkdir(parents=True, exist_ok=True)
    blocks = report(results, rejected)
    for picture in (block for block in blocks if isinstance(block, Picture)):
        picture.draw(folder / picture.file)
    text = markdown(blocks, results=f"{Path(os.path.relpath(directory, folder)).as_posix()}/")
    (folder / "report.md").write_text(text, encoding="utf-8")
    (folder / "report.html").write_text(page(TITLE, text, folder), encoding="utf-8")
    return blocks


if __name__ == "__main__":
    main()
