"""The promised versions are those that `tox -e oldest` installs, and a page has a date for each promised Python."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
# not what a user installs
OUR_TOOLS = {"hatch-fancy-pypi-readme", "hatchling"}


def promised() -> dict[str, Version]:
    """The lower bound of each requirement in pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    requirements = map(Requirement, re.findall(r'"([\w.-]+(?:\[\w+\])?>=[\w.,<>=]+)"', text))
    return {
        each.name: Version(bound.version)
        for each in requirements
        for bound in each.specifier
        if bound.operator == ">=" and each.name not in OUR_TOOLS
    }


def pinned(name: str) -> dict[str, Version]:
    text = (ROOT / "tests" / name).read_text(encoding="utf-8")
    return {package: Version(version) for package, version in re.findall(r"^([\w.-]+)==([\w.]+)$", text, re.MULTILINE)}


def test_the_oldest_versions_that_are_promised_are_tested() -> None:
    oldest = pinned("constraints-oldest.txt")
    assert promised().keys() >= {"accelerate", "numpy", "torch", "transformers", "scipy"}
    assert {name: oldest.get(name) for name in promised()} == promised()


def test_a_page_has_a_date_for_every_python() -> None:
    page = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    dated = re.findall(r"^\| (3\.\d+) \| .*?\| (\d{4}-\d\d-\d\d) \|$", page, re.MULTILINE)
    classifiers = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {python for python, _ in dated} == set(classifiers)
