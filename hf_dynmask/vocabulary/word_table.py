"""The table of where words begin, read from a vocabulary: its marks and the characters of its tokens."""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from hf_dynmask.vocabulary.words import Class, WordTable

_APART = "\ud800"  # half of a surrogate pair, which no text has
_ZWJ = "\u200d"
_FURTHER_BYTES = bytes(range(0x80, 0xC0))  # of a character in UTF-8
_UNSPACED = re.compile(  # scripts: Thai to Myanmar, Khmer, New Tai Lue and Tai Tham, Kana and Han
    "[\u0e00-\u109f\u1780-\u17ff\u1950-\u1aaf\u3005-\u3007\u3041-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua9e0-\ua9ff\uaa60-\uaadf\uf900-\ufaff\uff66-\uff9f\U0001aff0-\U0001b16f]"
)
_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")
_BYTES = {chr(byte) for byte in range(256)}
_LIKE: dict[int, str] = {  # a character of each class
    Class.LETTER: "a",
    Class.NUMBER: "1",
    Class.SYMBOL: "!",
    Class.FLAG: "\U0001f1e6",
    Class.IDEOGRAPH: "\u4e00",
    Class.JOINER: "\u0301",
    Class.SPACE: " ",
    Class.END: "\n",
}
_WITHOUT_SPACES = (Class.IDEOGRAPH, Class.JOINER)


def word_table(
    ids: Mapping[str, int], special: np.ndarray, added: Iterable[int] = (), tokens_are_words: bool = False
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
    family = _family(ordinary.keys()) or (_Family(_wordpiece, begins=_begins_wordpiece) if tokens_are_words else None)
    if family is None:
        return None
    first, last = (np.full(len(special), Class.SPECIAL, dtype=np.uint8) for _ in range(2))
    surfaces: dict[int, bytes] = {}
    if family.text is str.encode:
        ordinary = _without_characters(ordinary, first, last, surfaces)
    if ordinary:
        _fill(ordinary, family, first, last, surfaces)
    words = [id_ for id_ in added if not is_special[id_] and id_ not in surfaces]  # those are a segmenter's
    first[words], last[words] = Class.SPACE, Class.END
    return WordTable(first, last, _boundary(family), surfaces)


def _without_characters(
    ids: Mapping[str, int], first: np.ndarray, last: np.ndarray, surfaces: dict[int, bytes]
) -> dict[str, int]:
    """Fills in tokens of one character, all at once, as there may be a million; returns the others."""
    characters = [token for token in ids if len(token) == 1]
    indices = np.fromiter(map(ids.__getitem__, characters), dtype=np.int64, count=len(characters))
    codes = np.frombuffer("".join(characters).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    classes = np.frombuffer(_class_table(), dtype=np.uint8)[codes]
    first[indices] = classes
    last[indices] = np.where(codes == ord(_ZWJ), Class.SPACE, classes)
    for i in np.flatnonzero(np.isin(classes, _WITHOUT_SPACES)).tolist():
        surfaces[int(indices[i])] = characters[i].encode()
    return {token: ids[token] for token in ids if len(token) != 1}


def _fill(
    ids: Mapping[str, int], family: _Family, first: np.ndarray, last: np.ndarray, surfaces: dict[int, bytes]
) -> None:
    """Fills in tokens: they are read one by one, and classed all at once."""
    texts = list(map(family.text, ids))
    shown = list(map(_shown, texts))
    codes = np.frombuffer("".join(shown).encode("utf-32-le"), dtype=np.uint32)
    classes = np.frombuffer(_class_table(), dtype=np.uint8)[codes]
    stops = np.cumsum(_each(len, shown, np.int64))
    starts = np.append(0, stops[:-1])
    content_class = _class_at(np.minimum, classes, Class.SPACE, starts)
    last_class = _class_at(np.maximum, classes, Class.JOINER, starts)
    last_class[codes[stops - 1] == ord(_ZWJ)] = Class.SPACE  # it holds on to what follows
    indices = np.fromiter(ids.values(), dtype=np.int64, count=len(ids))
    first[indices] = classes[starts]
    if family.begins:
        first[indices[_each(family.begins, ids, np.bool_) & (content_class != Class.IDEOGRAPH)]] = Class.SPACE
    if family.ends:
        last_class[_each(family.ends, ids, np.bool_)] = Class.END
    last[indices] = last_class
    unspaced = np.isin(content_class, _WITHOUT_SPACES) | (last_class == Class.IDEOGRAPH)
    for i in np.flatnonzero(unspaced).tolist():
        surfaces[int(indices[i])] = texts[i].lstrip(b" ")


def _each(function: Callable[[Any], Any], values: Collection[Any], dtype: type) -> np.ndarray:
    return np.fromiter(map(function, values), dtype=dtype, count=len(values))


def _class_at(end: np.ufunc, classes: np.ndarray, passed_over: Class, starts: np.ndarray) -> np.ndarray:
    """uint8 `[tokens]`: each token's first class (`np.minimum`) or last one (`np.maximum`) other than `passed_over`.

    `passed_over` itself for a token that has no other.
    """
    nowhere = -1 if end is np.maximum else len(classes)
    indices = np.where(classes == passed_over, nowhere, np.arange(len(classes)))
    return np.append(classes, np.uint8(passed_over))[end.reduceat(indices, starts)]


def _shown(text: bytes) -> str:
    """The text, with a character of its class for one that is cut at either end; for no text, a joiner."""
    try:
        return text.decode() or _LIKE[Class.JOINER]
    except UnicodeDecodeError:
        whole = text.lstrip(_FURTHER_BYTES)
        characters, read = codecs.utf_8_decode(whole, "replace", False)
        before = _LIKE[Class.JOINER] if len(whole) < len(text) else ""
        # beyond those that are known, it is mostly Han
        after = _LIKE[_classes_by_first_bytes().get(whole[read:], Class.IDEOGRAPH)] if read < len(whole) else ""
        return before + characters + after


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
def _classes_by_first_bytes() -> dict[bytes, int]:
    """The class of most characters that begin with these bytes; beyond the first plane, texts have emoji."""
    counts: defaultdict[bytes, Counter[int]] = defaultdict(Counter)
    for code in (*range(0x80, 0xD800), *range(0xF900, 0x10000), *range(0x1F000, 0x20000)):
        character = chr(code)
        if unicodedata.category(character) != "Cn":
            encoded = character.encode()
            for length in range(1, len(encoded)):
                counts[encoded[:length]][_class_table()[code]] += 1
    return {begin: count.most_common(1)[0][0] for begin, count in counts.items()}


class _Family(NamedTuple):
    """How a vocabulary shows words.

    Attributes:
        text: what a token says, with a space for a mark that stands for one.
        begins: whether it bears another mark that it begins a word; None if no token does.
        ends: whether it bears a mark that it ends one.
        runs: a run of symbols is one word.
        numbers: letters and numbers are words apart.
    """

    text: Callable[[str], bytes]
    begins: Callable[[str], bool] | None = None
    ends: Callable[[str], bool] | None = None
    runs: bool = False
    numbers: bool = False


def _family(tokens: AbstractSet[str]) -> _Family | None:
    """The family, by the mark that most tokens bear."""
    all_longer = _APART.join(["", *(token for token in tokens if len(token) > 1), ""])
    uses = {
        "##": all_longer.count(f"{_APART}##") - ("##" in tokens),
        "Ġ": all_longer.count(f"{_APART}Ġ"),
        "▁": all_longer.count(f"{_APART}▁"),
        "</w>": all_longer.count(f"</w>{_APART}"),
        "@@": all_longer.count(f"@@{_APART}"),
    }
    mark = max(uses, key=uses.__getitem__)
    byte_level = tokens >= _byte_alphabet().keys()
    if not uses[mark]:
        return _unmarked(tokens, byte_level)
    return {
        "##": _Family(_wordpiece, begins=_begins_wordpiece),
        "Ġ": _Family(_byte_level, runs=True, numbers=True),
        "▁": _Family(_metaspace),
        "</w>": _Family(_byte_level_end if byte_level else _without_end, ends=_has_end, runs=True),
        "@@": _Family(_strip_continuation_mark, ends=_lacks_continuation_mark, runs=True),
    }[mark]


def _unmarked(tokens: AbstractSet[str], byte_level: bool) -> _Family | None:
    """The family, by its token for a space."""
    if " " in tokens:
        bytes_only = tokens >= _BYTES and "\u0100" not in tokens
        return _Family(_byte if bytes_only else str.encode)
    if byte_level:
        return _Family(_byte_level, runs=True, numbers=True)
    return _Family(_metaspace) if "▁" in tokens else None


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


def _begins_wordpiece(token: str) -> bool:
    return not token.startswith("##") or token == "##"


def _wordpiece(token: str) -> bytes:
    return (token if _begins_wordpiece(token) else token[2:]).encode()


def _byte_level(token: str) -> bytes:
    """Tokens that were added show text as it is, with spaces."""
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
    """The same for `codecs.charmap_encode`, which reads a whole token at once."""
    return codecs.charmap_build("".join(sorted(_byte_alphabet(), key=_byte_alphabet().__getitem__)))


@cache
def _byte_alphabet() -> dict[str, int]:
    """The byte that each character of a byte-level token stands for: itself, or the next one from U+0100 on."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {**{chr(byte): byte for byte in shown}, **{chr(0x100 + i): byte for i, byte in enumerate(hidden)}}
