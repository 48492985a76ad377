"""Copies the pages of the site, and the files that they show, into a folder of their own.

Their links lead somewhere on GitHub because the pages lie among the files of the repository. A generator that reads the
repository itself would also walk through virtual environments and runs, and takes minutes or does not end.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

FOLDERS = ("benchmarks", "docs", "examples", "hf_dynmask")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "models")  # models are the checkpoints of a study
TOOLS = "docs/*.py"


def copy_pages(repository: Path, pages: Path) -> None:
    """Replaces the folder `pages`."""
    shutil.rmtree(pages, ignore_errors=True)
    for name in FOLDERS:
        shutil.copytree(repository / name, pages / name, ignore=LEFT_OUT)
    for page in repository.glob("*.md"):
        shutil.copy(page, pages)
    for tool in pages.glob(TOOLS):
        tool.unlink()


if __name__ == "__main__":
    copy_pages(Path.cwd(), Path(sys.argv[1]))
