"""The classes of characters: what may continue a word, and what begins another."""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from functools import cache

import numpy as np

from hf_dynmask.vocabulary.words import Class

_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))  # all bytes of a UTF-8 character after its first
_UNSPACED = re.compile(  # scripts: Thai to Myanmar, Khmer, New Tai Lue and Tai Tham, Kana and Han
    "[\u0e00-\u109f\u1780-\u17ff\u1950-\u1aaf\u3005-\u3007\u3041-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua9e0-\ua9ff\uaa60-\uaadf\uf900-\ufaff\uff66-\uff9f\U0001aff0-\U0001b16f]"
)
_CHARACTER_OF_CLASS: dict[int, str] = {
    Class.LETTER: "a",
    Class.NUMBER: "1",
    Class.SYMBOL: "!",
    Class.FLAG: "\U0001f1e6",
    Class.IDEOGRAPH: "\u4e00",
    Class.JOINER: "\u0301",
    Class.SPACE: " ",
    Class.END: "\n",
}


def decode_partial(text: bytes) -> str:
    """Decodes UTF-8 to at least one character.

    If the bytes begin or end inside a character, a placeholder of its probable class represents it. Empty input becomes
    a joiner.
    """
    try:
        return text.decode() or _CHARACTER_OF_CLASS[Class.JOINER]
    except UnicodeDecodeError:
        complete = text.lstrip(_CONTINUATION_BYTES)
        characters, read = codecs.utf_8_decode(complete, "replace", False)
        before = _CHARACTER_OF_CLASS[Class.JOINER] if len(complete) < len(text) else ""
        if read == len(complete):
            return before + characters
        # most other characters are Han
        class_ = classes_by_first_bytes().get(complete[read:], Class.IDEOGRAPH)
        return before + characters + _CHARACTER_OF_CLASS[class_]


def character_classes(characters: str) -> tuple[np.ndarray, np.ndarray]:
    """The class and the code point of each character: uint8 and uint32 `[characters]`."""
    codes = np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return np.frombuffer(class_table(), dtype=np.uint8)[codes], codes


@cache
def class_table() -> bytes:
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
def classes_by_first_bytes() -> dict[bytes, int]:
    """The class of most characters that begin with these bytes. Above U+FFFF, only the block with emoji is counted."""
    counts: defaultdict[bytes, Counter[int]] = defaultdict(Counter)
    for code in (*range(0x80, 0xD800), *range(0xF900, 0x10000), *range(0x1F000, 0x20000)):
        character = chr(code)
        if unicodedata.category(character) != "Cn":
            encoded = character.encode()
            for length in range(1, len(encoded)):
                counts[encoded[:length]][class_table()[code]] += 1
    return {begin: count.most_common(1)[0][0] for begin, count in counts.items()}
