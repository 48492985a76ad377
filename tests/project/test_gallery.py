"""The pictures of the gallery are those that its code makes now."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.gallery import PAGE, pictures

FOLDER = PAGE.parent
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return dict(pictures(TEXT))


def marks_of(picture: str) -> str:
    """The tokens and their marks. Spaces and coordinates are those of a version of rich."""
    texts = ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")
    return "".join("".join(element.text or "" for element in texts).split())


def test_every_picture_of_the_page_is_drawn_and_no_other_is_there(drawn) -> None:
    assert list(drawn) == re.findall(r"!\[.+\]\((.+)\)", TEXT)
    assert set(drawn) == {path.relative_to(FOLDER).as_posix() for path in (FOLDER / "gallery").iterdir()}


def test_the_pictures_are_up_to_date(drawn) -> None:
    stale = [
        path for path, picture in drawn.items() if marks_of(picture) != marks_of((FOLDER / path).read_text("utf-8"))
    ]
    assert not stale, "draw the pictures again: python -m docs.gallery"


@pytest.mark.parametrize("path", sorted(Path(FOLDER).rglob("*.svg")), ids=lambda path: path.name)
def test_pictures_need_no_network(path) -> None:
    assert re.findall(r"https?://[^\"' ]+", path.read_text("utf-8")) == ["http://www.w3.org/2000/svg"]
