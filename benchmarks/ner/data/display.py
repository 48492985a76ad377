"""Values and texts out of files, for messages: short, on one line, without control characters."""

from typing import Any

MAX_TEXT_LENGTH = 1000  # characters of a text that are printed


def shorten(value: Any) -> str:
    """A value for a message, without its inside, its length or its control characters."""
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return ascii(value[:40] if isinstance(value, str) else value)[:60]


def printable(text: str) -> str:
    """A text out of a file as one line that neither steers a terminal nor fills it."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:MAX_TEXT_LENGTH])
    return "".join(shown) + ("..." if len(text) > MAX_TEXT_LENGTH else "")
