"""The tests are found where the package has what they test, and share helpers, never each other."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [path for path in (ROOT / "tests").rglob("*.py") if "support" not in path.parts]


def _imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return names | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_no_test_imports_another() -> None:
    tests = {path.stem for path in MODULES if path.stem.startswith("test_")}
    importing = {path.name: _imported(path) & tests for path in MODULES}
    assert not {name: imported for name, imported in importing.items() if imported}


def test_every_folder_of_the_package_has_its_tests() -> None:
    folders = {path.name for path in (ROOT / "hf_dynmask").iterdir() if (path / "__init__.py").exists()}
    assert folders - {path.name for path in (ROOT / "tests").iterdir()} == set()
