"""The layout of the harness: module names are unique, and each folder begins with what it holds."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from support.harness import ROOT

HARNESS = ROOT / "benchmarks" / "ner"
MODULES = [path for path in HARNESS.rglob("*.py") if path.stem not in ("__init__", "__main__")]


def test_no_module_hides_one_of_the_standard_library() -> None:
    hidden = {path.stem for path in MODULES} & sys.stdlib_module_names
    assert not hidden


def test_no_two_modules_have_one_name() -> None:
    shared = [name for name, count in Counter(path.stem for path in MODULES).items() if count > 1]
    assert not shared


def test_each_folder_begins_with_what_it_holds() -> None:
    folders = {path.parent for path in MODULES}
    assert folders == {HARNESS, *(HARNESS / name for name in ("data", "training", "experiments", "analysis", "report"))}
    assert all((folder / "__init__.py").read_text(encoding="utf-8").startswith('"""') for folder in folders)


def test_each_test_is_named_after_its_module() -> None:
    modules = {path.relative_to(HARNESS).with_name(f"test_{path.name}") for path in MODULES}
    here = Path(__file__)
    tests = {path.relative_to(here.parent) for path in here.parent.rglob("test_*.py") if path != here}
    assert tests <= modules
