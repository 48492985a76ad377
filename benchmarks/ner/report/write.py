"""Writes the files of a report: Markdown, one HTML page, and figures."""

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ner.experiments.result_reader import read_results
from benchmarks.ner.report.blocks import Block, Figure, markdown
from benchmarks.ner.report.document import TITLE, report
from benchmarks.ner.report.html_page import to_html


def write_report(directory: Path, folder: Path) -> Sequence[Block]:
    """Writes `report.md`, `report.html` and figures of the results in `directory` to `folder`; returns the blocks.

    Raises `NotADirectoryError` if `directory` does not exist, `OSError` if `folder` is not writable.
    """
    results, rejected = read_results(directory)
    folder.mkdir(parents=True, exist_ok=True)
    blocks = report(results, rejected)
    for figure in (block for block in blocks if isinstance(block, Figure)):
        figure.draw(folder / figure.file)
    text = markdown(blocks, results=f"{Path(os.path.relpath(directory, folder)).as_posix()}/")
    (folder / "report.md").write_text(text, encoding="utf-8")
    (folder / "report.html").write_text(to_html(TITLE, text, folder), encoding="utf-8")
    return blocks
