"""What `tox -e docs` does with a built site: it unlinks files that the site does not have, and finds what is wrong."""

from __future__ import annotations

import pytest

from docs.check_site import faults, main
from docs.repository_links import unlink

PAGE = '<h1 id="top">A</h1><a href="b/#there">b</a><a href="#top">up</a><img src="a.png"><a href="https://x.org">x</a>'


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site/b").mkdir(parents=True)
    (tmp_path / "site/index.html").write_text(PAGE)
    (tmp_path / "site/a.png").write_text("")
    (tmp_path / "site/b/index.html").write_text('<p id="there"><a href="../">home</a></p>')
    return tmp_path / "site"


def test_a_site_without_faults(site, capsys) -> None:
    assert main(site) == 0
    assert capsys.readouterr().out == "The site has no fault.\n"


def test_an_empty_folder_is_a_fault(tmp_path) -> None:
    assert main(tmp_path) == 1


@pytest.mark.parametrize(
    ("added", "fault"),
    [
        ('<a href="c/">c</a>', "index.html: c/ leads nowhere"),
        ('<a href="docs/gallery.md">c</a>', "index.html: docs/gallery.md leads nowhere"),
        ('<a href="b/#here">c</a>', "index.html: b/#here leads nowhere"),
        ('<a href="#here">c</a>', "index.html: #here leads nowhere"),
        ('<img src="b.png">', "index.html: b.png leads nowhere"),
        ("<p>See [<code>span</code>].</p>", "index.html: unresolved reference [<code>span</code>]"),
        ("<pre>```pycon</pre>", "index.html: code that was not rendered, ```pycon"),
        ("<pre>&gt;&gt;&gt; 1  # doctest: +SKIP</pre>", "index.html: directive of a test, # doctest:"),
        ('<script src="https://cdn.org/a.js"></script>', "index.html: loads https://cdn.org/a.js"),
        ('<link href="//fonts.org/a.css">', "index.html: loads //fonts.org/a.css"),
        ('<pre class="mermaid">a</pre>', "index.html: loads https://unpkg.com/mermaid"),
    ],
)
def test_faults_of_a_page(site, capsys, added, fault) -> None:
    (site / "index.html").write_text(PAGE + added)
    assert main(site) == 1
    assert capsys.readouterr().out == f"{fault}\n"


def test_faults_of_other_files(site) -> None:
    (site / "a.css").write_text("@import 'https://a.org/a.css'; p { background: url(//b.org/b.png) url(c.png) }")
    (site / "test_a.py").write_text("")
    assert list(faults(site)) == [
        "a.css: loads https://a.org/a.css",
        "a.css: loads //b.org/b.png",
        "test_a.py: a test",
    ]


def test_links_to_files_that_only_the_repository_has_become_text(site, tmp_path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/a.py").touch()
    kept = '<a href="../b/">b</a> <a href="c">c</a> <a href="https://x.org">x</a>'
    (site / "b/index.html").write_text(f'{kept} <a href="../tests">t</a> <a href="../tests/a.py#b"><code>a</code></a>')
    unlink(site, tmp_path)
    assert (site / "b/index.html").read_text() == f"{kept} t <code>a</code>"
