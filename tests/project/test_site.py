"""`tox -e docs` copies the pages, unlinks files that a built site does not have, and finds the faults of the site."""

from __future__ import annotations

import pytest

from docs.check_site import faults, main
from docs.repository_links import unlink
from docs.site_pages import copy_pages

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
        ('<img srcset="a.png, https://b.org/b.png 2x">', "index.html: loads https://b.org/b.png"),
        ('<img srcset="a.png 1x, b.png 2x">', "index.html: b.png leads nowhere"),
        ('<video poster="https://b.org/b.png"></video>', "index.html: loads https://b.org/b.png"),
        ('<object data="//b.org/b.svg"></object>', "index.html: loads //b.org/b.svg"),
        ('<p style="background:url(https://b.org/b.png)">', "index.html: loads https://b.org/b.png"),
        ('<style>@import "https://b.org/b.css";</style>', "index.html: loads https://b.org/b.css"),
        ("<style>@import url('//b.org/b.css')</style>", "index.html: loads //b.org/b.css"),
        ("<script>import('https://b.org/b.js')</script>", "index.html: loads https://b.org/b.js"),
        ('<script>fetch("//b.org/b.json")</script>', "index.html: loads //b.org/b.json"),
        ('<svg><image xlink:href="https://b.org/b.png"/></svg>', "index.html: loads https://b.org/b.png"),
        ('<a href="/b/">c</a>', "index.html: /b/ leaves the site"),
        ('<a href="../../../b/">c</a>', "index.html: ../../../b/ leaves the site"),
        ('<img src="/a.png">', "index.html: /a.png leaves the site"),
    ],
)
def test_faults_of_a_page(site, capsys, added, fault) -> None:
    (site / "index.html").write_text(PAGE + added)
    assert main(site) == 1
    assert capsys.readouterr().out == f"{fault}\n"


@pytest.mark.parametrize(
    "added",
    [
        '<p title="see https://b.org">// "https://c.org"</p><a href="//d.org"><code>url(//e.org)</code></a>',
        '<img src="data:image/png;base64,//a/">',
        "<script>let a = 1 // a comment</script>",
        '<svg xmlns="http://www.w3.org/2000/svg"><path id="p" fill="url(#p)"/><use href="#p"/></svg>',
        '<a href="b/?q=https://b.org#there">c</a><a href="b/../#top">c</a><a href="mailto:a@b.org">c</a>',
    ],
)
def test_a_url_that_is_not_loaded_is_no_fault(site, added) -> None:
    (site / "index.html").write_text(PAGE + added)
    assert not list(faults(site))


def test_links_of_the_page_for_lost_links_begin_at_the_root(site) -> None:
    """A server shows this page in place of a page in any folder."""
    (site / "404.html").write_text('<a href="/b/">b</a><a href="/c/">c</a>')
    assert list(faults(site)) == ["404.html: /c/ leads nowhere"]


def test_faults_of_other_files(site) -> None:
    (site / "a.css").write_text("@import 'https://a.org/a.css'; p { background: url(//b.org/b.png) url(c.png) }")
    (site / "test_a.py").write_text("")
    drawing = '<style>@import "//d.org/d.css";</style><image href="https://c.org/c.png"/><image href="d.png"/>'
    (site / "b/b.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg">{drawing}</svg>')
    assert list(faults(site)) == [
        "b/b.svg: loads //d.org/d.css",
        "b/b.svg: loads https://c.org/c.png",
        "b/b.svg: d.png leads nowhere",
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


def test_the_site_has_pages_and_what_they_show_but_no_environments(tmp_path) -> None:
    files = {
        "pages": ["README.md", "docs/guide.md", "docs/a.svg", "examples/b.py", "hf_dynmask/c.py", "benchmarks/d.json"],
        "others": [".venv/README.md", "runs/report.md", "tests/test_a.py", "docs/tool.py", "benchmarks/models/e.bin"],
    }
    for name in [*files["pages"], *files["others"], "pages/old.md"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    copy_pages(tmp_path, tmp_path / "pages")
    copied = {path.relative_to(tmp_path / "pages").as_posix() for path in (tmp_path / "pages").rglob("*.*")}
    assert copied == set(files["pages"])
