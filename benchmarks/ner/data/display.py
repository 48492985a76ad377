"""Formats values from files for messages: short, on one line, without control characters."""

from typing import Any

MAX_TEXT_LENGTH = 1000  # characters


def shorten(value: Any) -> str:
    """Returns a short ASCII representation of a value; for a container, only its type and length."""
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return ascii(value[:40] if isinstance(value, str) else value)[:60]


def printable(text: str) -> str:
    """Returns a text from a file as one line without control characters, truncated to `MAX_TEXT_LENGTH`."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:MAX_TEXT_LENGTH])
    return "".join(shown) + ("..." if len(text) > MAX_TEXT_LENGTH else "")
