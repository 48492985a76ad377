"""Marks of a preview: every line can be read back, whatever the text, in Unicode and in ASCII."""

from __future__ import annotations

import io
from dataclasses import astuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from support.marked_lines import read_line

from hf_dynmask.cli.marks import ASCII, UNICODE, Marks, marks_for
from hf_dynmask.cli.token_outcomes import MASKED, Piece

HOSTILE = "[]{}<>|⟦⟧⟨⟩⌊⌋\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}·\\ \t\n\r\x1b\u202exuU01"
TEXTS = st.text(st.sampled_from(HOSTILE) | st.characters(codec="utf-8"), min_size=1, max_size=6)
PIECES = st.builds(
    lambda text, begins_word, outcome, other: Piece(
        text, begins_word, outcome, other if outcome == "random_token" else None
    ),
    TEXTS,
    st.booleans(),
    st.sampled_from([*MASKED, "unmaskable", None]),
    TEXTS,
)


def printed(line: object, encoding: str) -> str:
    """A line as it arrives where the output is not a terminal."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace", newline="\n")
    Console(file=stream, emoji=False, highlight=False, markup=False, soft_wrap=True).print(line)
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)
    assert text.endswith("\n")
    return text[:-1]


@pytest.mark.parametrize(
    ("marks", "name", "encoding"),
    [
        (UNICODE, "unicode", "utf-8"),
        (ASCII, "ascii", "utf-8"),
        (ASCII, "ascii", "latin-1"),
        (ASCII, "ascii", "ascii"),
    ],
)
@given(pieces=st.lists(PIECES, min_size=1, max_size=5))
@example(pieces=[Piece("[UNK]", True, None), Piece("[UNK]", True, "unmaskable"), Piece("UNK", False, "mask_token")])
@example(pieces=[Piece("a>b", True, "mask_token"), Piece("a", True, "random_token", "b"), Piece("<a>", False, None)])
@example(pieces=[Piece("\\u4e2d", True, None), Piece("中", True, None), Piece("\\", True, "unchanged")])
def test_a_line_can_be_read_back(marks: Marks, name: str, encoding: str, pieces: list[Piece]) -> None:
    line = printed(marks.line(pieces), encoding)
    read = read_line(line, name)
    expected = [(piece.text, piece.replacement, piece.outcome, piece.begins_word) for piece in pieces]
    expected[0] = (*expected[0][:3], True)
    assert [tuple(each) for each in read] == expected


def test_tokens_of_brackets_are_told_from_marks_in_ascii() -> None:
    pieces = [Piece("[MASK]", True, None), Piece("x", True, "mask_token"), Piece("<", True, "unchanged")]
    assert ASCII.line(pieces).plain == r"\[MASK\] [x] <\<>"
    assert UNICODE.line(pieces).plain == "[MASK] ⟦x⟧ ⟨<⟩"


@pytest.mark.parametrize(
    ("encoding", "terminal", "marks"),
    [("utf-8", "xterm", UNICODE), ("ascii", "xterm", ASCII), ("latin-1", "xterm", ASCII), ("utf-8", "linux", ASCII)],
)
def test_marks_are_those_that_can_be_shown(monkeypatch, encoding, terminal, marks) -> None:
    monkeypatch.setenv("TERM", terminal)
    assert marks_for(Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding))) is marks


@pytest.mark.parametrize("marks", [UNICODE, ASCII])
def test_the_legend_has_what_the_tokens_need(marks) -> None:
    words, special, bracket = Piece("cat", True, None), Piece("UNK", True, "unmaskable"), Piece(marks.joint, True, None)
    replaced = Piece("cat", True, "random_token", marks.becomes)
    shown = {
        astuple(piece): "\n".join(line.plain for line in marks.legend([words, piece]))
        for piece in (words, special, bracket, replaced)
    }
    assert [("Never masked" in text, "backslash" in text) for text in shown.values()] == [
        (False, False),
        (True, False),
        (False, True),
        (False, True),
    ]
    assert all(name in text for text in shown.values() for name in MASKED.values())
