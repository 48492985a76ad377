"""An embedded NER corpus, written by a small seeded grammar.

A sentence is a frame around one phrase. A subject phrase follows its name and an object phrase holds it, and
the phrase alone decides the entity's type: the same verbs serve every type, and so do the same names, so a
model has to read the words around a name, often several words away.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import yaml
from datasets import Dataset, DatasetDict

from benchmarks.ner.data.readers import ner_dataset

WORDS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
OTHER = "OTHER"  # in the words: a type whose names are no entities
SIZES = {"train": 2000, "validation": 400, "test": 600}
LENGTHS = range(6, 26)  # words a sentence

LOWERCASED = 0.12  # share of sentences written without capitals
UNCUED = 0.06  # share of sentences in which nothing tells the type
LISTED = 0.35  # share of names that come from the list; the others are coined from pieces
BARE = 0.60  # share of names without a telling word such as "Mount"

Word = tuple[str, str]  # a word and its tag


def embedded_corpus(seed: int = 0, sizes: dict[str, int] | None = None) -> DatasetDict:
    """The corpus, columns `words` and `tags` (IOB2); no sentence comes twice. Same on every platform."""
    rng = random.Random(seed)
    seen: set[str] = set()
    return DatasetDict({name: _split(size, seen, rng) for name, size in (sizes or SIZES).items()})


def _split(size: int, seen: set[str], rng: random.Random) -> Dataset:
    sentences: list[list[Word]] = []
    while len(sentences) < size:
        sentence = _sentence(rng)
        key = " ".join(word for word, _ in sentence).lower()
        if len(sentence) in LENGTHS and key not in seen:
            seen.add(key)
            sentences.append(sentence)
    words = [[word for word, _ in sentence] for sentence in sentences]
    return ner_dataset(words, [[tag for _, tag in sentence] for sentence in sentences])


def _sentence(rng: random.Random) -> list[Word]:
    kind = _pick(list(WORDS["subjects"]), rng)
    frame = _pick(WORDS["uncued_frames"] if rng.random() < UNCUED else WORDS["frames"], rng)
    sentence = _expand(frame, kind, rng)
    if rng.random() < LOWERCASED:
        return [(word.lower(), tag) for word, tag in sentence]
    (first, tag), rest = sentence[0], sentence[1:]
    return [(first[0].upper() + first[1:], tag), *rest]


def _expand(text: str, kind: str, rng: random.Random) -> list[Word]:
    """The words of a template, its `{symbols}` expanded for an entity of type `kind`."""
    return [word for part in text.split() for word in _expand_part(part, kind, rng)]


def _expand_part(part: str, kind: str, rng: random.Random) -> list[Word]:
    if not part.startswith("{"):
        return [(part, "O")]
    symbol = part[1:-1]
    if symbol == "NAME" or symbol in WORDS["subjects"]:
        return _name(kind if symbol == "NAME" else symbol, rng)
    phrases = {"does": WORDS["subjects"][kind], "acts": WORDS["objects"][kind]}.get(symbol) or WORDS["synonyms"][symbol]
    return _expand(_pick(phrases, rng), kind, rng)


def _name(kind: str, rng: random.Random) -> list[Word]:
    shape = "*" if rng.random() < BARE else _pick(WORDS["affixes"][kind], rng)
    words = [_stem(rng) if word == "*" else word for word in shape.split()]
    return [(word, "O" if kind == OTHER else f"{'I' if i else 'B'}-{kind}") for i, word in enumerate(words)]


def _stem(rng: random.Random) -> str:
    parts = ["listed"] if rng.random() < LISTED else ["start", "middle", "end"]
    return "".join(_pick(WORDS["name_parts"][part], rng) for part in parts)


def _pick(choices: Sequence[str], rng: random.Random) -> str:
    """One of the choices; from `random()` alone, the one method whose sequence Python promises to keep."""
    return choices[int(rng.random() * len(choices))]
