"""For the site: links to files of the repository that it does not have, such as tests, become text.

The pages are files of the repository, where these links work.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

LINK = re.compile(r'<a href="([^"#?:]+)[^">]*">(.*?)</a>', re.DOTALL)


def unlink(site: Path, repository: Path) -> None:
    """Rewrites the pages in `site`. A link to what neither has is left to the check of the site."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        folder = page.parent.relative_to(site).as_posix()
        changed = LINK.sub(lambda found, folder=folder: _shown(found, folder, site, repository), text)
        if changed != text:
            page.write_text(changed, encoding="utf-8")


def on_site(site: Path, path: str) -> bool:
    """Whether a browser finds a file there. Of a folder it is shown the index."""
    return (site / path).is_file() or (site / path / "index.html").is_file()


def _shown(found: re.Match[str], folder: str, site: Path, repository: Path) -> str:
    path = posixpath.normpath(posixpath.join(folder, found[1]))
    return found[2] if not on_site(site, path) and (repository / path).exists() else found[0]


if __name__ == "__main__":
    unlink(Path(sys.argv[1]), Path.cwd())
