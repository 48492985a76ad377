"""Renders the Markdown of a report as one HTML page. It needs no other files except for linked results."""

import base64
import html
import re
from pathlib import Path

from markdown_it import MarkdownIt

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.3rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
table { display: block; overflow-x: auto; border-collapse: collapse; margin: 0.5rem 0 1.5rem; font-size: 0.9rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #e5e5e5; }
th { border-bottom: 2px solid #999; }
img { max-width: 100%; }
a { color: #06c; text-decoration: none; }
"""
IMAGE = re.compile(r'(<img src=")([^":]+\.png)(")')


def to_html(title: str, markdown: str, folder: Path) -> str:
    """Returns the page. Raw HTML in the Markdown is escaped, and figures in `folder` are embedded."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    inlined = IMAGE.sub(lambda image: image[1] + _data_uri(folder / image[2]) + image[3], body)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n{inlined}</html>\n"
    )


def _data_uri(figure: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(figure.read_bytes()).decode()
