"""The architecture is read off the folders: an import runs from a folder to one below it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _linted(folder: Path, configuration: str) -> subprocess.CompletedProcess[str]:
    (folder / "contracts.toml").write_text(configuration)
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", folder / "contracts.toml"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_contracts_are_kept(tmp_path) -> None:
    done = _linted(tmp_path, (ROOT / "pyproject.toml").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("layers", "turned"),
    [
        ('"vocabulary", "loading", "rates", "core"', '"core", "vocabulary", "loading", "rates"'),
        ('"experiments", "training", "data"', '"data", "experiments", "training"'),
    ],
)
def test_a_folder_in_the_wrong_order_breaks_it(tmp_path, layers, turned) -> None:
    configuration = (ROOT / "pyproject.toml").read_text()
    assert layers in configuration
    assert "1 kept, 1 broken" in _linted(tmp_path, configuration.replace(layers, turned)).stdout


def test_every_folder_has_its_place_and_its_sentence() -> None:
    folders = {path.parent.name for path in (ROOT / "hf_dynmask").glob("*/__init__.py")}
    configuration = (ROOT / "pyproject.toml").read_text()
    assert all(f'"{folder}"' in configuration for folder in folders)
    assert all((ROOT / "hf_dynmask" / folder / "__init__.py").read_text().startswith('"""') for folder in folders)
