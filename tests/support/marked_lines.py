"""Reads a line of `hf-dynmask preview` back, by its marks alone: a second account of what they mean."""

from __future__ import annotations

import re
from typing import NamedTuple

_SETS = {
    "unicode": {
        "mask_token": "⟦⟧",
        "random_token": "⟦⟧",
        "unchanged": "⟨⟩",
        "unmaskable": "⌊⌋",
        "between": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}·",
    },
    "ascii": {"mask_token": "[]", "random_token": "[]", "unchanged": "<>", "unmaskable": "{}", "between": ">|"},
}


class Marked(NamedTuple):
    text: str
    replacement: str | None
    outcome: str | None
    begins_word: bool


def read_line(line: str, marks: str = "unicode") -> list[Marked]:
    """The tokens of a line without the columns before them. Fails where a line has another form."""
    pairs = dict(_SETS[marks])
    becomes, joint = map(re.escape, pairs.pop("between"))
    reserved = re.escape("".join({*"".join(_SETS[marks].values())}))
    text = rf"((?:\\x[0-9a-f]{{2}}|\\u[0-9a-f]{{4}}|\\U[0-9a-f]{{8}}|\\[^xuU]|[^\\ {reserved}])+)"
    forms = {None: text} | {
        outcome: re.escape(opening) + text + (becomes + text) * (outcome == "random_token") + re.escape(closing)
        for outcome, (opening, closing) in pairs.items()
    }
    compiled = {outcome: re.compile(rf"{form}(?={joint}| |$)") for outcome, form in forms.items()}
    tokens, at, begins = [], 0, True
    while True:
        ((outcome, found),) = (
            (outcome, match) for outcome, form in compiled.items() if (match := form.match(line, at))
        )
        parts = [_unescaped(part) for part in found.groups()]
        tokens.append(Marked(parts[0], parts[1] if len(parts) > 1 else None, outcome, begins))
        if found.end() == len(line):
            return tokens
        begins, at = line[found.end()] == " ", found.end() + 1


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) > 1 else {"t": "\t", "n": "\n", "r": "\r"}.get(code, code)

    return re.sub(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)", character, text)
