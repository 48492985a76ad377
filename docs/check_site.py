"""Checks the built site: links and references lead somewhere, nothing comes from elsewhere, and no tests are there."""

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
LOADED_BY_STYLES = re.compile(r"(?:@import|url\()\s*[\"']?((?:https?:)?//[^)\"';]*)")


class Page(HTMLParser):
    """The links, the anchors and the loaded files of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.anchors.update(named[name] for name in ("id", "name") if name in named)
        if "href" in named:
            (self.links if tag == "a" else self.loaded).append(named["href"])
        if "src" in named:
            self.loaded.append(named["src"])
        if "mermaid" in named.get("class", "").split():
            self.loaded.append("https://unpkg.com/mermaid")  # by a script of the theme


def faults(site: Path) -> Iterator[str]:
    """What is wrong with the site in a folder, a line each."""
    pages = {path.relative_to(site).as_posix(): Page(path) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site} has no page"
    for name, page in pages.items():
        yield from (f"{name}: unresolved reference {found}" for found in REFERENCE.findall(page.text))
        yield from (f"{name}: code that was not rendered, {found}" for found in FENCE.findall(page.text))
        yield from (f"{name}: directive of a test, {found}" for found in DIRECTIVE.findall(page.text))
        yield from (f"{name}: loads {link}" for link in page.loaded if ELSEWHERE.match(link))
        lost = (link for link in page.links + page.loaded if _leads_nowhere(site, pages, name, link))
        yield from (f"{name}: {link} leads nowhere" for link in lost)
    for path in sorted(site.rglob("*.css")):
        found = LOADED_BY_STYLES.findall(path.read_text(encoding="utf-8"))
        yield from (f"{path.relative_to(site)}: loads {link}" for link in found)
    yield from (f"{path.relative_to(site)}: a test" for path in sorted(site.rglob("test_*.py")))


def _leads_nowhere(site: Path, pages: Mapping[str, Page], name: str, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return False
    path = name
    if parts.path:
        path = posixpath.normpath(posixpath.join("/", posixpath.dirname(name), unquote(parts.path))).lstrip("/")
    page = pages.get(path) or pages.get(posixpath.join(path, "index.html"))
    lost_anchor = bool(parts.fragment) and page is not None and unquote(parts.fragment) not in page.anchors
    return lost_anchor or not on_site(site, path)


def main(site: Path) -> int:
    """Prints the faults of the site in a folder. Returns 1 if there are any, else 0."""
    found = list(faults(site))
    print("\n".join(found) or "The site has no fault.")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
