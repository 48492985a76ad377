"""The families of vocabularies: the marks by which their tokens show where words begin and end."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, NamedTuple

_SEPARATOR = "\ud800"  # half of a surrogate pair, which occurs in no text
_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")
_BYTES = {chr(byte) for byte in range(256)}


class Family(NamedTuple):
    """How the tokens of a vocabulary show words.

    Attributes:
        text: returns the UTF-8 of a token without its mark. A mark that represents a space becomes a space.
        begins: returns whether a token has a mark of the beginning of a word, other than a space; None if the family
            has no such mark.
        ends: returns whether a token has a mark of the end of a word; None if the family has no such mark.
        runs: whether consecutive symbols form one word.
        numbers: whether a letter and a number next to each other are separate words.
    """

    text: Callable[[str], bytes]
    begins: Callable[[str], bool] | None = None
    ends: Callable[[str], bool] | None = None
    runs: bool = False
    numbers: bool = False


def find_family(tokens: AbstractSet[str]) -> Family | None:
    """The family of a vocabulary, by the mark that most tokens have; None if no mark shows where words begin."""
    joined = _SEPARATOR.join(["", *(token for token in tokens if len(token) > 1), ""])
    uses = {
        "##": joined.count(f"{_SEPARATOR}##") - ("##" in tokens),
        "Ġ": joined.count(f"{_SEPARATOR}Ġ"),
        "▁": joined.count(f"{_SEPARATOR}▁"),
        "</w>": joined.count(f"</w>{_SEPARATOR}"),
        "@@": joined.count(f"@@{_SEPARATOR}"),
    }
    mark = max(uses, key=uses.__getitem__)
    byte_level = tokens >= byte_alphabet().keys()
    if not uses[mark]:
        return _unmarked(tokens, byte_level)
    return {
        "##": Family(wordpiece, begins=begins_wordpiece),
        "Ġ": Family(_byte_level, runs=True, numbers=True),
        "▁": Family(_metaspace),
        "</w>": Family(_byte_level_end if byte_level else _without_end, ends=_has_end, runs=True),
        "@@": Family(_strip_continuation_mark, ends=_lacks_continuation_mark, runs=True),
    }[mark]


def _unmarked(tokens: AbstractSet[str], byte_level: bool) -> Family | None:
    """The family of a vocabulary without marks, by its token for a space."""
    if " " in tokens:
        bytes_only = tokens >= _BYTES and "\u0100" not in tokens
        return Family(_byte if bytes_only else str.encode)
    if byte_level:
        return Family(_byte_level, runs=True, numbers=True)
    return Family(_metaspace) if "▁" in tokens else None


def begins_wordpiece(token: str) -> bool:
    return not token.startswith("##") or token == "##"


def wordpiece(token: str) -> bytes:
    return (token if begins_wordpiece(token) else token[2:]).encode()


def _byte_level(token: str) -> bytes:
    """Added tokens are plain text, with spaces."""
    try:
        return codecs.charmap_encode(token, "strict", _byte_map())[0]
    except UnicodeEncodeError:
        return token.encode()


def _metaspace(token: str) -> bytes:
    if token.startswith("<0x") and (byte := _BYTE_TOKEN.fullmatch(token)):
        return bytes.fromhex(byte[1])
    return token.replace("▁", " ").encode()


def _has_end(token: str) -> bool:
    return token.endswith("</w>")


def _byte_level_end(token: str) -> bytes:
    return _byte_level(token.removesuffix("</w>"))


def _without_end(token: str) -> bytes:
    return token.removesuffix("</w>").encode()


def _lacks_continuation_mark(token: str) -> bool:
    return not token.endswith("@@")


def _strip_continuation_mark(token: str) -> bytes:
    return token.removesuffix("@@").encode()


def _byte(token: str) -> bytes:
    return token.encode("latin-1" if token in _BYTES else "utf-8")


@cache
def _byte_map() -> Any:
    """[`byte_alphabet`] for `codecs.charmap_encode`, which encodes a whole token at once."""
    return codecs.charmap_build("".join(sorted(byte_alphabet(), key=byte_alphabet().__getitem__)))


@cache
def byte_alphabet() -> dict[str, int]:
    """The byte for each character of a byte-level token: the code point itself, or the next one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{chr(byte): byte for byte in printable}, **{chr(0x100 + i): byte for i, byte in enumerate(others)}}
