"""Renders the Markdown of a report as one HTML page. It needs no other files except for linked results."""

import base64
import html
import re
from pathlib import Path

from markdown_it import MarkdownIt

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.3rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
h3 { font-size: 1.1rem; margin-top: 2rem; }
table { display: block; overflow-x: auto; border-collapse: collapse; margin: 0.5rem 0 1rem; font-size: 0.9rem;
  font-variant-numeric: tabular-nums; overflow-wrap: normal; }
/* A shadow at an edge beyond which a table goes on: white covers move with the table, the shadows below them do not. */
table { background: linear-gradient(to right, white 40%, transparent) left / 2.5rem 100% no-repeat local,
  linear-gradient(to left, white 40%, transparent) right / 2.5rem 100% no-repeat local,
  linear-gradient(to right, #0005, transparent) left / 1rem 100% no-repeat scroll,
  linear-gradient(to left, #0005, transparent) right / 1rem 100% no-repeat scroll; }
code { white-space: nowrap; }
table + p { margin-bottom: 1.5rem; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #e5e5e5; }
th { border-bottom: 2px solid #999; }
th:not([style]) { text-align: left; }
td[style]:not(:has(a)), td[style] a { white-space: nowrap; }
td:not([style]):first-child { min-width: 6rem; } td:not([style]):last-child { min-width: 14rem; }
img { display: block; max-width: 100%; margin: 1rem 0; }
a { color: #06c; text-decoration: none; }
@media (max-width: 40rem) { body { margin: 1rem auto; } th, td { padding: 0.25rem 0.4rem; } }
"""
IMAGE = re.compile(r'(<img src=")([^":]+\.png)(")')


def to_html(title: str, markdown: str, folder: Path) -> str:
    """Returns the page. Raw HTML in the Markdown is escaped, and figures in `folder` are embedded."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    inlined = IMAGE.sub(lambda image: image[1] + _data_uri(folder / image[2]) + image[3], body)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n"
        f"<style>{STYLE}</style>\n{inlined}</html>\n"
    )


def _data_uri(figure: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(figure.read_bytes()).decode()
