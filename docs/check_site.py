"""Checks the built site: links and references lead somewhere in it, it loads nothing else, and it has no tests."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docs.repository_links import on_site

REFERENCE = re.compile(r"\[<code>[^<]*</code>\]")
DIRECTIVE = re.compile(r"#\s*doctest:")
FENCE = re.compile(r"```\w*")
ELSEWHERE = re.compile(r"(?:https?:)?//")
URL_ATTRIBUTES = ("href", "xlink:href", "src", "srcset", "imagesrcset", "poster", "data", "background")
LOADED_BY_STYLES = re.compile(r"(?:@import|url\()\s*[\"']?((?:https?:)?//[^)\"';]*)")
LOADED_BY_SCRIPTS = re.compile(r"[\"'`]((?:https?:)?//[^\"'`]+)[\"'`]")
ROOT = "/<site>"  # the site may be in a folder of its server
LOST = "404.html"  # shown in place of a page in any folder, so its links begin at the root of the server


class Page(HTMLParser):
    """The links, the anchors and the loaded files of a page or of a drawing in SVG."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self._open = ""
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        for name, value in attrs:
            self._read(tag, name, value or "")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "style":
            self.loaded += LOADED_BY_STYLES.findall(data)
        elif self._open == "script":
            self.loaded += LOADED_BY_SCRIPTS.findall(data)

    def _read(self, tag: str, name: str, value: str) -> None:
        if name in ("id", "name"):
            self.anchors.add(value)
        elif name in URL_ATTRIBUTES:
            (self.links if tag == "a" else self.loaded).extend(_sources(value) if name.endswith("srcset") else [value])
        elif name == "class" and "mermaid" in value.split():
            self.loaded.append("https://unpkg.com/mermaid")  # by a script of the theme
        else:
            self.loaded += LOADED_BY_STYLES.findall(value)  # `style`, and attributes of SVG such as `fill`


def _sources(value: str) -> list[str]:
    """The URLs of pictures for several sizes, such as "a.png 1x, b.png 2x"."""
    return [each.split()[0] for each in re.split(r",\s+", value.strip(", ")) if each]


def faults(site: Path) -> Iterator[str]:
    """The faults of the site in a folder, a line each."""
    pages = {path.relative_to(site).as_posix(): Page(path) for path in _files(site, "*.html", "*.svg")}
    if not pages:
        yield f"{site} has no page"
    for name, page in pages.items():
        yield from (f"{name}: unresolved reference {found}" for found in REFERENCE.findall(page.text))
        yield from (f"{name}: code that was not rendered, {found}" for found in FENCE.findall(page.text))
        yield from (f"{name}: directive of a test, {found}" for found in DIRECTIVE.findall(page.text))
        yield from (f"{name}: loads {link}" for link in page.loaded if ELSEWHERE.match(link))
        for link in page.links + page.loaded:
            yield from (f"{name}: {link} {fault}" for fault in _link_faults(site, pages, name, link))
    for path in _files(site, "*.css"):
        found = LOADED_BY_STYLES.findall(path.read_text(encoding="utf-8"))
        yield from (f"{path.relative_to(site)}: loads {link}" for link in found)
    yield from (f"{path.relative_to(site)}: a test" for path in _files(site, "test_*.py"))


def _files(site: Path, *patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in site.rglob(pattern))


def _link_faults(site: Path, pages: Mapping[str, Page], name: str, link: str) -> Iterator[str]:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return
    path = unquote(parts.path).lstrip("/" if name == LOST else "")
    target = posixpath.normpath(posixpath.join(ROOT, posixpath.dirname(name), path) if path else f"{ROOT}/{name}")
    if target != ROOT and not target.startswith(f"{ROOT}/"):
        yield "leaves the site"
        return
    found = target.removeprefix(ROOT).lstrip("/")
    page = pages.get(found) or pages.get(posixpath.join(found, "index.html"))
    lost_anchor = bool(parts.fragment) and page is not None and unquote(parts.fragment) not in page.anchors
    if lost_anchor or not on_site(site, found):
        yield "leads nowhere"


def main(site: Path) -> int:
    """Prints the faults of the site in a folder. Returns 1 if there are any, else 0."""
    found = list(faults(site))
    print("\n".join(found) or "The site has no fault.")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
