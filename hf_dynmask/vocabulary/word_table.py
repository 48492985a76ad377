"""The table of where words begin, from the marks and the characters of a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from hf_dynmask.vocabulary.characters import character_classes, decode_partial
from hf_dynmask.vocabulary.families import Family, begins_wordpiece, find_family, wordpiece
from hf_dynmask.vocabulary.words import Class, WordTable

_ZWJ = "\u200d"
_WITHOUT_SPACES = (Class.IDEOGRAPH, Class.JOINER)


def word_table(
    ids: Mapping[str, int], special: np.ndarray, added: Iterable[int] = (), tokens_are_words: bool = False
) -> WordTable | None:
    """The table for a vocabulary.

    Args:
        ids: the id of each token.
        special: bool `[ids]`, True for special and unknown tokens and for ids without a token.
        added: ids of tokens that were added to the vocabulary. A tokenizer finds these in a text before any others.
        tokens_are_words: whether each token is a word if the vocabulary has no marks.

    Returns:
        The table; None if the vocabulary does not show where words begin.
    """
    is_special = special.tolist()
    ordinary = dict(ids)
    for token in [token for token, id_ in ids.items() if is_special[id_]]:
        del ordinary[token]
    family = find_family(ordinary.keys())
    if family is None:
        if not tokens_are_words:
            return None
        family = Family(wordpiece, begins=begins_wordpiece)
    first, last = (np.full(len(special), Class.SPECIAL, dtype=np.uint8) for _ in range(2))
    surfaces: dict[int, bytes] = {}
    if family.text is str.encode:
        ordinary = _fill_characters(ordinary, first, last, surfaces)
    if ordinary:
        _fill(ordinary, family, first, last, surfaces)
    words = [id_ for id_ in added if not is_special[id_] and id_ not in surfaces]  # a segmenter cuts the others
    first[words], last[words] = Class.SPACE, Class.END
    return WordTable(first, last, _boundary(family), surfaces)


def _fill_characters(
    ids: Mapping[str, int], first: np.ndarray, last: np.ndarray, surfaces: dict[int, bytes]
) -> dict[str, int]:
    """Fills in the tokens of one character, all at once, as there may be a million. Returns the other tokens."""
    characters = [token for token in ids if len(token) == 1]
    indices = np.fromiter(map(ids.__getitem__, characters), dtype=np.int64, count=len(characters))
    classes, codes = character_classes("".join(characters))
    first[indices] = classes
    last[indices] = np.where(codes == ord(_ZWJ), Class.SPACE, classes)
    for i in np.flatnonzero(np.isin(classes, _WITHOUT_SPACES)).tolist():
        surfaces[int(indices[i])] = characters[i].encode()
    return {token: ids[token] for token in ids if len(token) != 1}


def _fill(
    ids: Mapping[str, int], family: Family, first: np.ndarray, last: np.ndarray, surfaces: dict[int, bytes]
) -> None:
    """Fills in tokens: reads them one by one, and classifies their characters all at once."""
    texts = list(map(family.text, ids))
    decoded = list(map(decode_partial, texts))
    classes, codes = character_classes("".join(decoded))
    stops = np.cumsum(_map_array(len, decoded, np.int64))
    starts = np.append(0, stops[:-1])
    content_class = _class_at(np.minimum, classes, Class.SPACE, starts)
    last_class = _class_at(np.maximum, classes, Class.JOINER, starts)
    last_class[codes[stops - 1] == ord(_ZWJ)] = Class.SPACE  # it joins the next character
    indices = np.fromiter(ids.values(), dtype=np.int64, count=len(ids))
    first[indices] = classes[starts]
    if family.begins:
        first[indices[_map_array(family.begins, ids, np.bool_) & (content_class != Class.IDEOGRAPH)]] = Class.SPACE
    if family.ends:
        last_class[_map_array(family.ends, ids, np.bool_)] = Class.END
    last[indices] = last_class
    unspaced = np.isin(content_class, _WITHOUT_SPACES) | (last_class == Class.IDEOGRAPH)
    for i in np.flatnonzero(unspaced).tolist():
        surfaces[int(indices[i])] = texts[i].lstrip(b" ")


def _map_array(function: Callable[[Any], Any], values: Collection[Any], dtype: type) -> np.ndarray:
    return np.fromiter(map(function, values), dtype=dtype, count=len(values))


def _class_at(end: np.ufunc, classes: np.ndarray, ignored: Class, starts: np.ndarray) -> np.ndarray:
    """uint8 `[tokens]`: the first class (`np.minimum`) or last class (`np.maximum`) of each token other than `ignored`.

    It is `ignored` for a token without another class.
    """
    nowhere = -1 if end is np.maximum else len(classes)
    indices = np.where(classes == ignored, nowhere, np.arange(len(classes)))
    return np.append(classes, np.uint8(ignored))[end.reduceat(indices, starts)]


def _boundary(family: Family) -> np.ndarray:
    """bool `[classes, classes]`: True where a word begins, between different classes, with these exceptions."""
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
