"""For the site: lists and examples in docstrings are indented, which Markdown would take for quotations of text."""

import re
from textwrap import dedent
from typing import Any

import griffe

LIST = re.compile(r"(?<=\n\n) {4}- .*(?:\n(?: {4}.*)?)*")
SECTION = re.compile(r"^Example:\n\n((?: {4}.*\n?|\n)+)", re.MULTILINE)
EXAMPLE = re.compile(r"^ *>>> .*(?:\n *\S.*)*", re.MULTILINE)


class DocstringMarkdown(griffe.Extension):
    """Moves lists to the margin, and fences examples. As for doctest, these go from `>>>` to the next empty line."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            text = LIST.sub(lambda found: dedent(found[0]), obj.docstring.value)
            text = SECTION.sub(lambda found: f"**Example**\n\n{dedent(found[1])}", text)
            obj.docstring.value = EXAMPLE.sub(lambda found: f"```pycon\n{dedent(found[0])}\n```", text)
