"""The embedded corpus: the same everywhere, no sentence twice, types that only the context tells."""

from collections import defaultdict
from itertools import chain

import pytest
from datasets import DatasetDict

from benchmarks.ner.data.load import fingerprint, tag_names
from benchmarks.ner.data.readers import from_columns
from benchmarks.ner.data.synthetic import LENGTHS, SIZES, WORDS, embedded_corpus


@pytest.fixture(scope="module")
def corpus() -> DatasetDict:
    return embedded_corpus()


def test_the_corpus_never_changes(corpus: DatasetDict) -> None:
    assert fingerprint(corpus) == "6015b88b52e3e14573837edd5706900536b72866fff27c4ae09e2fb439d08b54"


def test_seed_and_sizes_count() -> None:
    small = {"train": 20, "validation": 5, "test": 5}
    assert fingerprint(embedded_corpus(0, small)) == fingerprint(embedded_corpus(0, small))
    assert fingerprint(embedded_corpus(0, small)) != fingerprint(embedded_corpus(1, small))


def test_splits_are_valid_iob2_of_the_stated_size(corpus: DatasetDict) -> None:
    assert {name: len(split) for name, split in corpus.items()} == SIZES
    assert len(tag_names(corpus)) == 9
    for split in corpus.values():
        assert len(from_columns(split, "corpus")) == len(split)
        assert {len(words) for words in split["words"]} <= set(LENGTHS)


def test_no_sentence_comes_twice(corpus: DatasetDict) -> None:
    sentences = [" ".join(words) for split in corpus.values() for words in split["words"]]
    assert len(set(sentences)) == len(sentences)


def test_every_symbol_is_expanded_and_used(corpus: DatasetDict) -> None:
    words = set(chain(*corpus["train"]["words"]))
    assert not any("{" in word or "*" in word or "|" in word for word in words)
    for choices in WORDS["synonyms"].values():
        assert any(choice.split()[0] in words for choice in choices)


def test_a_name_alone_does_not_tell_the_type(corpus: DatasetDict) -> None:
    types: dict[str, set[str]] = defaultdict(set)
    for words, tags in zip(corpus["train"]["words"], corpus["train"]["tags"], strict=True):
        for word, tag in zip(words, tags, strict=True):
            types[word].add(tag)
    assert all(len(types[name]) >= 4 for name in WORDS["name_parts"]["listed"])


def test_many_test_names_are_new(corpus: DatasetDict) -> None:
    seen = set(chain(*corpus["train"]["words"]))
    rows = zip(corpus["test"]["words"], corpus["test"]["tags"], strict=True)
    names = [word for words, tags in rows for word, tag in zip(words, tags, strict=True) if tag != "O"]
    assert 0.3 < sum(name not in seen for name in names) / len(names) < 0.7
