"""The table of a vocabulary, classed all at once, against one that is worked out token by token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import word_table_oracle as word_marks_oracle
from support.tokenizers_zoo import ZOO
from tokenizers import pre_tokenizers

from hf_dynmask.vocabulary.families import byte_alphabet
from hf_dynmask.vocabulary.vocabulary import read_vocabulary
from hf_dynmask.vocabulary.word_table import word_table

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
BYTE_SHOWN = {byte: character for character, byte in byte_alphabet().items()}
EVERY_BYTE = [chr(byte) for byte in range(256)]
# Han, Kana, Thai, Devanagari and its marks, Hangul; digits, symbols, emoji, a skin tone, flags, joiners, spaces, marks.
CHARACTERS = [*"abéßЖ中文かนกनि한1९!。🙂🏽🇩🇪 \u3000\n\u200d\u0301\ufe0f\ufffd\U00020000#@<>/w0xĠ▁"]
MARKED = {
    "##": lambda text, marked: f"##{text}" if marked else text,
    "Ġ": lambda text, marked: _bytes_shown(f" {text}" if marked else text),
    "▁": lambda text, marked: f"▁{text}" if marked else text,
    "</w>": lambda text, marked: f"{text}</w>" if marked else text,
    "</w>, bytes": lambda text, marked: _bytes_shown(text) + "</w>" * marked,
    "@@": lambda text, marked: f"{text}@@" if marked else text,
    " ": lambda text, marked: f" {text}" if marked else text,
}
ALWAYS = {"Ġ": ALPHABET, "</w>, bytes": ALPHABET, " ": [" "], "▁": [f"<0x{byte:02X}>" for byte in range(256)]}


def _bytes_shown(text: str) -> str:
    return "".join(BYTE_SHOWN[byte] for byte in text.encode())


def _check(ids: Mapping[str, int], special: np.ndarray, added: Iterable[int] = ()) -> None:
    added = list(added)
    ours, expected = word_table(ids, special, added), word_marks_oracle.word_table(ids, special, added)
    if expected is None:
        assert ours is None
        return
    assert ours is not None
    for name in ("first", "last", "boundary"):
        found, wanted = getattr(ours, name), getattr(expected, name)
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted), name
    assert ours.surfaces == expected.surfaces


@pytest.mark.parametrize("family", [name for name in ZOO if name != "canine"])
def test_of_each_tokenizer(family) -> None:
    tokenizer = ZOO[family]()
    _check(tokenizer.get_vocab(), read_vocabulary(tokenizer).special, tokenizer.added_tokens_decoder.keys())


def test_of_characters() -> None:
    """CANINE's, but for those that are no text."""
    ids = {chr(code): code for code in [*range(0xD800), *range(0xE000, 0x12000), *range(0x1F000, 0x20100)]}
    _check(ids, np.arange(0x20100) < 5)


@pytest.mark.parametrize("family", MARKED)
def test_of_a_large_vocabulary(family) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(0, 7, 20_000)
    texts = ["".join(random.choice(CHARACTERS, length)) for length in lengths]
    tokens = [
        MARKED[family](text, bool(marked)) for text, marked in zip(texts, random.random(20_000) < 0.5, strict=True)
    ]
    cut = [token[: 1 + int(place)] for token, place in zip(tokens, random.integers(0, 6, 20_000), strict=True)]
    ids = {token: id_ for id_, token in enumerate(dict.fromkeys([*ALWAYS.get(family, []), *tokens, *cut]))}
    _check(ids, random.random(len(ids)) < 0.01, random.integers(0, len(ids), 50).tolist())


@pytest.mark.parametrize("family", MARKED)
@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    texts=st.lists(
        st.tuples(st.text(st.sampled_from(CHARACTERS) | st.characters(codec="utf-8"), max_size=5), st.booleans())
    ),
    added=st.lists(st.integers(0, 5)),
)
def test_of_any_vocabulary(family, texts, added) -> None:
    tokens = dict.fromkeys([*ALWAYS.get(family, []), *(MARKED[family](*each) for each in texts), "<mask>"])
    ids = {token: id_ for id_, token in enumerate(tokens)}
    _check(ids, np.arange(len(ids)) == len(ids) - 1, [id_ for id_ in added if id_ < len(ids)])


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.text(st.sampled_from(EVERY_BYTE), max_size=4)))
def test_of_bytes(tokens) -> None:
    ids = {token: id_ for id_, token in enumerate(dict.fromkeys([*EVERY_BYTE, *tokens]))}
    _check(ids, np.arange(len(ids)) < 3)
