"""How words begin in a vocabulary, worked out token by token: slow, and plain to see."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import numpy as np

from hf_dynmask.vocabulary.characters import class_table, classes_by_first_bytes
from hf_dynmask.vocabulary.families import byte_alphabet
from hf_dynmask.vocabulary.word_table import _boundary
from hf_dynmask.vocabulary.words import Class, WordTable

_ZWJ = "\u200d"
_FURTHER_BYTES = bytes(range(0x80, 0xC0))  # of a character in UTF-8
_BYTES = {chr(byte) for byte in range(256)}
_WITHOUT_SPACES = (Class.IDEOGRAPH, Class.JOINER)


def word_table(ids: Mapping[str, int], special: np.ndarray, added: Iterable[int] = ()) -> WordTable | None:
    """The table for a vocabulary.

    Args:
        ids: each token's id.
        special: bool `[ids]`, True for special and unknown tokens and for ids that no token has.
        added: ids of tokens that were added to the vocabulary: tokenizers cut them out of a text first, whole.

    Returns:
        The table; None if the vocabulary does not tell where words begin.
    """
    is_special = special.tolist()
    ordinary = dict(ids)
    for token in [token for token, id_ in ids.items() if is_special[id_]]:
        del ordinary[token]
    family = _family(ordinary.keys())
    if family is None:
        return None
    first, last = (np.full(len(special), Class.SPECIAL, dtype=np.uint8) for _ in range(2))
    surfaces: dict[int, bytes] = {}
    for token, id_ in ordinary.items():
        text, begins, ends = family.read(token)
        classes = _classes_in(text)
        content = next((class_ for class_ in classes if class_ != Class.SPACE), Class.SPACE)
        first[id_] = Class.SPACE if begins and content != Class.IDEOGRAPH else classes[0]
        last[id_] = Class.END if ends else _last(classes, text)
        if content in _WITHOUT_SPACES or last[id_] == Class.IDEOGRAPH:
            surfaces[id_] = text.lstrip(b" ")
    words = [id_ for id_ in added if not is_special[id_] and id_ not in surfaces]  # those are a segmenter's
    first[words], last[words] = Class.SPACE, Class.END
    return WordTable(first, last, _boundary(family), surfaces)


def _classes_in(text: bytes) -> list[int]:
    """The class of each character, also of one that is cut at the beginning or the end; of no text, a joiner's."""
    whole = text.lstrip(_FURTHER_BYTES)
    characters, read = codecs.utf_8_decode(whole, "replace", False)
    classes = [] if text and len(whole) == len(text) else [int(Class.JOINER)]
    classes += map(class_table().__getitem__, map(ord, characters))
    if read < len(whole):
        classes.append(classes_by_first_bytes().get(whole[read:], Class.IDEOGRAPH))  # beyond those, it is mostly Han
    return classes


def _last(classes: list[int], text: bytes) -> int:
    if text.endswith(_ZWJ.encode()):
        return Class.SPACE  # it holds on to what follows
    return next((class_ for class_ in reversed(classes) if class_ != Class.JOINER), Class.JOINER)


class _Read(NamedTuple):
    """What a token says: its text, with a space for a mark that stands for one; and what other marks it bears."""

    text: bytes
    begins: bool = False
    ends: bool = False


class _Family(NamedTuple):
    read: Callable[[str], _Read]
    runs: bool = False  # a run of symbols is one word
    numbers: bool = False  # letters and numbers are words apart


def _family(tokens: AbstractSet[str]) -> _Family | None:
    """The family, by the mark that most tokens bear."""
    longer = [token for token in tokens if len(token) > 1]
    uses = {
        "##": sum(token.startswith("##") and token != "##" for token in longer),
        "Ġ": sum(token.startswith("Ġ") for token in longer),
        "▁": sum(token.startswith("▁") for token in longer),
        "</w>": sum(token.endswith("</w>") for token in longer),
        "@@": sum(token.endswith("@@") for token in longer),
    }
    mark = max(uses, key=uses.__getitem__)
    byte_level = tokens >= byte_alphabet().keys()
    if not uses[mark]:
        return _unmarked(tokens, byte_level)
    return {
        "##": _Family(_read_wordpiece),
        "Ġ": _Family(_read_byte_level, runs=True, numbers=True),
        "▁": _Family(_read_metaspace),
        "</w>": _Family(_read_byte_level_end if byte_level else _read_end, runs=True),
        "@@": _Family(_read_no_end, runs=True),
    }[mark]


def _unmarked(tokens: AbstractSet[str], byte_level: bool) -> _Family | None:
    """The family, by its token for a space."""
    if " " in tokens:
        bytes_only = tokens >= _BYTES and "\u0100" not in tokens
        return _Family(_read_byte if bytes_only else _read_text)
    if byte_level:
        return _Family(_read_byte_level, runs=True, numbers=True)
    return _Family(_read_metaspace) if "▁" in tokens else None


def _read_wordpiece(token: str) -> _Read:
    further = token.startswith("##") and token != "##"
    return _Read(token[2 * further :].encode(), begins=not further)


def _read_byte_level(token: str) -> _Read:
    """Tokens that were added show text as it is, with spaces."""
    alphabet = byte_alphabet()
    return _Read(bytes(map(alphabet.__getitem__, token)) if alphabet.keys() >= set(token) else token.encode())


def _read_metaspace(token: str) -> _Read:
    byte = re.fullmatch("<0x([0-9A-F]{2})>", token)
    return _Read(bytes.fromhex(byte[1]) if byte else token.replace("▁", " ").encode())


def _read_byte_level_end(token: str) -> _Read:
    return _read_byte_level(token.removesuffix("</w>"))._replace(ends=token.endswith("</w>"))


def _read_end(token: str) -> _Read:
    return _Read(token.removesuffix("</w>").encode(), ends=token.endswith("</w>"))


def _read_no_end(token: str) -> _Read:
    return _Read(token.removesuffix("@@").encode(), ends=not token.endswith("@@"))


def _read_byte(token: str) -> _Read:
    return _Read(token.encode("latin-1" if token in _BYTES else "utf-8"))


def _read_text(token: str) -> _Read:
    return _Read(token.encode())
