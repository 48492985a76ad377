"""GitHub's workflows and forms agree with the project: the same environments, versions and commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from configparser import ConfigParser
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tox(section: str, key: str) -> str:
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "tox.ini", encoding="utf-8")
    return config[section][key]


def tox_environments() -> list[str]:
    """`py{310,311}-x{4,5}, lint` is four environments and one."""
    factors = [re.split(r"[{}]", each) for each in re.split(r",\s*(?![^{]*})", tox("tox", "env_list"))]
    return ["".join(parts) for each in factors for parts in product(*(part.split(",") for part in each))]


def workflow_pythons() -> dict[str, str]:
    """The Python of each environment, in the workflow's order."""
    job = loaded(GITHUB / "workflows/tests.yml")["jobs"]["tox"]
    return {row["env"]: row["python"] for row in job["strategy"]["matrix"]["include"]}


def test_the_workflow_tests_every_environment_of_tox() -> None:
    assert "py310-transformers4" in tox_environments()
    assert list(workflow_pythons()) == tox_environments()


def test_the_workflow_gives_each_environment_its_python() -> None:
    named = {each: re.match(r"py3(\d+)-", each) for each in tox_environments()}
    expected = {each: f"3.{match[1]}" for each, match in named.items() if match}
    expected["oldest"] = tox("testenv:oldest", "base_python").removeprefix("python")
    assert expected.items() <= workflow_pythons().items()


def test_pre_commit_has_the_versions_of_lint() -> None:
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8") + tox("testenv:lint", "deps")
    hooks = loaded(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]
    dependencies = [each for hook in hooks for each in hook["additional_dependencies"]]
    assert dependencies
    assert set(dependencies) <= set(pinned.split())


@pytest.mark.parametrize("path", sorted(GITHUB.rglob("*.yml")), ids=lambda path: path.name)
def test_lint_checks_every_file_against_its_schema(path) -> None:
    assert path.relative_to(ROOT).as_posix() in tox("testenv:lint", "commands").split()


def test_the_bug_form_asks_for_versions_by_a_command_that_runs() -> None:
    (field,) = (each for each in loaded(GITHUB / "ISSUE_TEMPLATE/bug.yml")["body"] if each["id"] == "versions")
    python, *arguments = shlex.split(re.findall(r"^python .*$", field["attributes"]["description"], re.MULTILINE)[0])
    output = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert python == "python"
    for module in ("hf_dynmask", "transformers", "accelerate", "torch"):
        assert re.search(rf"^{module} \d+\.\d+", output, re.MULTILINE)
    assert sys.version in output
