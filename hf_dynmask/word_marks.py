"""The table of where words begin, read from a vocabulary: its marks and the characters of its tokens."""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from typing import NamedTuple

import numpy as np

from hf_dynmask.words import Class, WordTable

_ZWJ = "\u200d"
_FURTHER_BYTES = bytes(range(0x80, 0xC0))  # of a character in UTF-8
_UNSPACED = re.compile(  # scripts: Thai to Myanmar, Khmer, New Tai Lue and Tai Tham, Kana and Han
    "[\u0e00-\u109f\u1780-\u17ff\u1950-\u1aaf\u3005-\u3007\u3041-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua9e0-\ua9ff\uaa60-\uaadf\uf900-\ufaff\uff66-\uff9f\U0001aff0-\U0001b16f]"
)
_BYTES = {chr(byte) for byte in range(256)}
_WITHOUT_SPACES = (Class.IDEOGRAPH, Class.JOINER)


def word_table(
    ids: Mapping[str, int], special: np.ndarray, added: Iterable[int] = (), undivided: bool = False
) -> WordTable | None:
    """The table for a vocabulary.

    Args:
        ids: each token's id.
        special: bool `[ids]`, True for special and unknown tokens and for ids that no token has.
        added: ids of tokens that were added to the vocabulary: tokenizers cut them out of a text first, whole.
        undivided: whether each token is known to be a word, where the vocabulary has no marks.

    Returns:
        The table; None if the vocabulary does not tell where words begin.
    """
    is_special = special.tolist()
    ordinary = dict(ids)
    for token in [token for token, id_ in ids.items() if is_special[id_]]:
        del ordinary[token]
    family = _family(ordinary.keys()) or (_Family(_read_wordpiece) if undivided else None)
    if family is None:
        return None
    first, last = (np.full(len(special), Class.SPECIAL, dtype=np.uint8) for _ in range(2))
    surfaces: dict[int, bytes] = {}
    if family.read is _read_text:
        ordinary = _without_characters(ordinary, first, last, surfaces)
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


def _without_characters(
    ids: Mapping[str, int], first: np.ndarray, last: np.ndarray, surfaces: dict[int, bytes]
) -> dict[str, int]:
    """Fills in tokens of one character, all at once, as there may be a million; returns the others."""
    characters = [token for token in ids if len(token) == 1]
    places = np.fromiter(map(ids.__getitem__, characters), dtype=np.int64, count=len(characters))
    codes = np.frombuffer("".join(characters).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    classes = np.frombuffer(_class_table(), dtype=np.uint8)[codes]
    first[places] = classes
    last[places] = np.where(codes == ord(_ZWJ), Class.SPACE, classes)
    for i in np.flatnonzero(np.isin(classes, _WITHOUT_SPACES)).tolist():
        surfaces[int(places[i])] = characters[i].encode()
    return {token: ids[token] for token in ids if len(token) != 1}


def _classes_in(text: bytes) -> list[int]:
    """The class of each character, also of one that is cut at the beginning or the end; of no text, a joiner's."""
    whole = text.lstrip(_FURTHER_BYTES)
    characters, read = codecs.utf_8_decode(whole, "replace", False)
    classes = [] if text and len(whole) == len(text) else [int(Class.JOINER)]
    classes += map(_class_table().__getitem__, map(ord, characters))
    if read < len(whole):
        classes.append(_begun_by().get(whole[read:], Class.IDEOGRAPH))  # beyond those, it is mostly Han
    return classes


def _last(classes: list[int], text: bytes) -> int:
    if text.endswith(_ZWJ.encode()):
        return Class.SPACE  # it holds on to what follows
    return next((class_ for class_ in reversed(classes) if class_ != Class.JOINER), Class.JOINER)


@cache
def _class_table() -> bytes:
    """The class of each character, by code point."""
    table = np.full(sys.maxunicode + 1, Class.SYMBOL, dtype=np.uint8)
    table[:0x20000] = [_class_of(chr(code)) for code in range(0x20000)]
    table[0x20000:0x40000] = Class.IDEOGRAPH
    table[0xE0000:0xE0200] = Class.JOINER  # tags and variation selectors
    return table.tobytes()


def _class_of(character: str) -> Class:
    category = unicodedata.category(character)
    if character.isspace():
        return Class.SPACE if character == " " else Class.END
    if category[0] == "M" or category == "Cf" or "\U0001f3fb" <= character <= "\U0001f3ff":  # or a skin tone
        return Class.JOINER
    if "\U0001f1e6" <= character <= "\U0001f1ff":
        return Class.FLAG
    if category[0] == "L" or character == "\u3007":
        return Class.IDEOGRAPH if _UNSPACED.match(character) else Class.LETTER
    return Class.NUMBER if category[0] == "N" else Class.SYMBOL


@cache
def _begun_by() -> dict[bytes, int]:
    """The class of most characters that begin with these bytes; beyond the first plane, texts have emoji."""
    counts: defaultdict[bytes, Counter[int]] = defaultdict(Counter)
    for code in (*range(0x80, 0xD800), *range(0xF900, 0x10000), *range(0x1F000, 0x20000)):
        character = chr(code)
        if unicodedata.category(character) != "Cn":
            encoded = character.encode()
            for length in range(1, len(encoded)):
                counts[encoded[:length]][_class_table()[code]] += 1
    return {begin: count.most_common(1)[0][0] for begin, count in counts.items()}


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
    byte_level = tokens >= _byte_alphabet().keys()
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


def _boundary(family: _Family) -> np.ndarray:
    """bool `[classes, classes]`: a word begins where the class changes, with these exceptions."""
    boundary = np.ones((len(Class), len(Class)), dtype=bool)
    for class_ in (Class.LETTER, Class.NUMBER, Class.FLAG):
        boundary[class_, class_] = False
    boundary[Class.LETTER, Class.NUMBER] = boundary[Class.NUMBER, Class.LETTER] = family.numbers
    boundary[Class.SYMBOL, Class.SYMBOL] = not family.runs
    boundary[:, Class.JOINER] = False
    boundary[Class.SPACE] = False
    boundary[:, [Class.SPACE, Class.END, Class.SPECIAL]] = True
    boundary[Class.SPECIAL] = True
    return boundary


def _read_wordpiece(token: str) -> _Read:
    further = token.startswith("##") and token != "##"
    return _Read(token[2 * further :].encode(), begins=not further)


def _read_byte_level(token: str) -> _Read:
    """Tokens that were added show text as it is, with spaces."""
    alphabet = _byte_alphabet()
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


@cache
def _byte_alphabet() -> dict[str, int]:
    """The byte that each character of a byte-level token stands for: itself, or the next one from U+0100 on."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{chr(byte): byte for byte in shown}, **{chr(0x100 + i): byte for i, byte in enumerate(hidden)}}
