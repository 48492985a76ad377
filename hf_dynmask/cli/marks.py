"""Shows the outcome for each token by brackets that no text can be mistaken for, with or without colors."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from rich.console import Console
from rich.text import Text

from hf_dynmask.cli.token_outcomes import MASKED, Piece

_STYLES = {"mask_token": "bold red", "random_token": "bold magenta", "unchanged": "bold green", "unmaskable": "dim"}


@dataclass(frozen=True)
class Marks:
    """The characters around and between tokens. A backslash precedes them where they belong to a token.

    Attributes:
        brackets: the opening and the closing bracket of each outcome.
        becomes: separates a token from the random token that replaces it.
        joint: separates the pieces of a word. A space separates words.
    """

    brackets: Mapping[str, tuple[str, str]]
    becomes: str
    joint: str

    @cached_property
    def reserved(self) -> frozenset[str]:
        """The characters that a backslash precedes in tokens."""
        return frozenset({*chain.from_iterable(self.brackets.values()), self.becomes, self.joint, "\\"})

    def line(self, pieces: Sequence[Piece]) -> Text:
        """The tokens of a text."""
        line = Text()
        for index, piece in enumerate(pieces):
            if index:
                line.append(" " if piece.begins_word else self.joint)
            parts = [piece.text] if piece.replacement is None else [piece.text, piece.replacement]
            line.append_text(self._bracketed(self.becomes.join(map(self.escape, parts)), piece.outcome))
        return line

    def escape(self, text: str) -> str:
        """The text with a backslash before marks, and codes for spaces and for what would control the terminal.

        >>> print(ASCII.escape("a[0]\\t<b>"))
        a\\[0\\]\\t\\<b\\>
        """
        return "".join(f"\\{character}" if character in self.reserved else _printable(character) for character in text)

    def legend(self, pieces: Collection[Piece]) -> list[Text]:
        """The meaning of the marks, in a few lines. Those that these tokens do not need are left out."""
        masked = {**MASKED, "random_token": f"original{self.becomes}{MASKED['random_token']}"}
        entries = Text("  ").join(self._bracketed(shown, outcome) for outcome, shown in masked.items())
        lines = [Text("Masked, to be predicted: ").append_text(entries)]
        if any(piece.outcome == "unmaskable" for piece in pieces):
            lines.append(Text("Never masked: ").append_text(self._bracketed("special or unknown token", "unmaskable")))
        lines.append(Text(f"Spaces separate words, {self.joint} the pieces of a word."))
        texts = "".join(piece.text + (piece.replacement or "") for piece in pieces)
        if self.escape(texts) != texts:
            lines.append(Text("A backslash precedes these marks where a token contains them, or begins a code."))
        return lines

    def _bracketed(self, shown: str, outcome: str | None) -> Text:
        if outcome is None:
            return Text(shown)
        before, after = self.brackets[outcome]
        return Text(f"{before}{shown}{after}", style=_STYLES[outcome])


# Rare in texts, of the width of a letter, and mirrored in text from right to left.
UNICODE = Marks(
    {
        "mask_token": ("⟦", "⟧"),
        "random_token": ("⟦", "⟧"),
        "unchanged": ("⟨", "⟩"),
        "unmaskable": ("⌊", "⌋"),
    },
    becomes="\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
    joint="\N{MIDDLE DOT}",
)
ASCII = Marks(
    {
        "mask_token": ("[", "]"),
        "random_token": ("[", "]"),
        "unchanged": ("<", ">"),
        "unmaskable": ("{", "}"),
    },
    becomes=">",
    joint="|",
)


def marks_for(console: Console) -> Marks:
    """The marks that a console can show. The fonts of old Windows consoles and of Linux without a desktop are small."""
    plain = console.options.ascii_only or console.legacy_windows or os.environ.get("TERM") == "linux"
    return ASCII if plain else UNICODE


def _printable(character: str) -> str:
    if character == " ":  # a line breaks between tokens only
        return "\\x20"
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
