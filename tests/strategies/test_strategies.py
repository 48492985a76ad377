"""Every strategy with a tokenizer of every family, from text to batch."""

from __future__ import annotations

import functools
import itertools
import pickle
import pkgutil
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.extended import pairs
from support.tokenizers_zoo import TEXTS, ZOO
from support.variants import INDEPENDENT_UNITS, KEEPS_THE_RATE, NESTED, VARIANTS, WHOLE_WORDS, tags, variant

from hf_dynmask import DataCollatorForDynamicMasking, strategies
from hf_dynmask.collators import base as clocked
from hf_dynmask.core.draws import example_hashes, stream_keys
from hf_dynmask.core.ragged import RaggedTokens
from hf_dynmask.strategies import STRATEGIES, resolve_strategy
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.units import partition_units
from hf_dynmask.vocabulary.vocabulary import read_vocabulary
from hf_dynmask.vocabulary.whole_words import whole_words

RATES = [0.0, 0.05, 0.15, 0.4, 1.0]
EVERY = settings(derandomize=True, deadline=None, max_examples=8)
PIECES = [piece for text in TEXTS.values() for piece in (text, *text.split())]

vocabulary = functools.cache(read_vocabulary)  # CANINE's takes seconds


@pytest.fixture(autouse=True)
def _once_a_tokenizer(monkeypatch) -> None:
    monkeypatch.setattr(clocked, "read_vocabulary", vocabulary)


@functools.cache
def _strategy(name: str, family: str) -> strategies.Strategy:
    return variant(name, vocabulary(ZOO[family]()).size)


def _collator(family: str, strategy: str, rate: float, **options) -> DataCollatorForDynamicMasking:
    defaults = {
        "min_masked": 0,
        "num_mask_patterns": 1,
        "seed": 5,
        "return_tensors": "np",
        "per_token_columns": ["tags"],
    }
    return DataCollatorForDynamicMasking(
        ZOO[family](), rate, strategy=_strategy(strategy, family), **{**defaults, **options}
    )


def _examples(family: str, texts: list[str]) -> list[dict[str, np.ndarray]]:
    rows = [np.array(ZOO[family]()(text)["input_ids"], dtype=np.int64) for text in texts]
    return [{"input_ids": row, "tags": tags(row)} for row in rows]


def _of_each(batch) -> list[tuple[list[int], list[int]]]:
    """(inputs, labels) of each sequence, padding left out."""
    rows = zip(batch["input_ids"], batch["labels"], batch["attention_mask"] == 1, strict=True)
    return [(inputs[seen].tolist(), labels[seen].tolist()) for inputs, labels, seen in rows]


def _words(family: str, row: np.ndarray) -> list[list[int]]:
    """The places of each word that holds no special token."""
    known = vocabulary(ZOO[family]())
    starts = whole_words(RaggedTokens(row, np.array([len(row)])), known.words)
    words = np.split(np.arange(len(row)), np.flatnonzero(starts)[1:])
    return [word.tolist() for word in words if len(word) and not known.special[row[word]].any()]


@pytest.mark.parametrize(("family", "strategy"), pairs(ZOO, VARIANTS))
@EVERY
@given(
    texts=st.lists(st.sampled_from(PIECES) | st.just(""), min_size=1, max_size=4),
    exact_count=st.booleans(),
    min_masked=st.integers(0, 2),
    data=st.data(),
)
def test_what_holds_at_every_rate(family, strategy, texts, exact_count, min_masked, data) -> None:
    examples, options = _examples(family, texts), {"exact_count": exact_count, "min_masked": min_masked}
    special = vocabulary(ZOO[family]()).special
    before: list[set[int]] = [set() for _ in texts]
    for rate in RATES:
        collate = _collator(family, strategy, rate, **options)
        batch = collate(examples)
        assert (batch["labels"][batch["attention_mask"] == 0] == -100).all()
        assert (batch["input_ids"][batch["attention_mask"] == 0] == collate.tokenizer.pad_token_id).all()
        masks = _of_each(batch)
        for i, (example, (inputs, labels)) in enumerate(zip(examples, masks, strict=True)):
            row = example["input_ids"]
            masked = {place for place, label in enumerate(labels) if label != -100}
            assert all(labels[place] == row[place] and not special[row[place]] for place in masked)
            assert all(inputs[place] == row[place] for place in range(len(row)) if place not in masked)
            if strategy in WHOLE_WORDS:
                assert all(len({place in masked for place in word}) == 1 for word in _words(family, row))
            maskable = int((~special[row]).sum())
            if strategy in KEEPS_THE_RATE and rate == 1:
                assert len(masked) >= sum(map(len, _words(family, row)))
            assert len(masked) >= min(min_masked, sum(map(len, _words(family, row))))
            assert len(masked) <= maskable
            if rate == 0 and strategy in KEEPS_THE_RATE and not min_masked:
                assert not masked
            if strategy in NESTED:
                assert before[i] <= masked
            before[i] = masked
        order = data.draw(st.permutations(range(len(texts))))
        assert _of_each(collate([examples[i] for i in order])) == [masks[i] for i in order]
        assert _of_each(collate(examples[:1])) == masks[:1]


@functools.cache
def _long_examples(family: str) -> list[dict[str, np.ndarray]]:
    """300 sequences of pieces of the texts, in any order; none is like another."""
    generator = np.random.default_rng(0)
    return _examples(family, [" ".join(generator.choice(PIECES, 12)) for _ in range(300)])


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4])
@pytest.mark.parametrize(("family", "strategy"), pairs(ZOO, KEEPS_THE_RATE))
def test_the_expected_fraction_is_the_rate(family, strategy, rate) -> None:
    examples = _long_examples(family)
    special = vocabulary(ZOO[family]()).special
    masked = np.array(
        [sum(label != -100 for label in labels) for _, labels in _of_each(_collator(family, strategy, rate)(examples))]
    )
    maskable = np.array([(~special[example["input_ids"]]).sum() for example in examples])
    errors = masked - rate * maskable
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(len(errors))
    if strategy == "token":
        assert stats.binomtest(int(masked.sum()), int(maskable.sum()), rate).pvalue > 1e-4


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.4])
@pytest.mark.parametrize(("family", "strategy"), pairs(ZOO, INDEPENDENT_UNITS))
def test_the_number_of_masked_units_is_binomial(family, strategy, rate) -> None:
    examples = _long_examples(family)
    collate = _collator(family, strategy, rate)
    rows = [example["input_ids"] for example in examples]
    tokens = RaggedTokens(np.concatenate(rows), np.array([len(row) for row in rows]))
    known = vocabulary(ZOO[family]())
    keys = stream_keys(5, example_hashes(tokens.input_ids, tokens.positions, tokens.ends), 0)
    seen = MaskingTokens(tokens.input_ids, tokens.lengths, known, ~known.special[tokens.input_ids], keys)
    units = partition_units(seen, collate.strategy.partition)
    labels = np.concatenate([labels for _, labels in _of_each(collate(examples))])
    masked = labels[units.first[units.maskable]] != -100
    assert stats.binomtest(int(masked.sum()), len(masked), rate).pvalue > 1e-4


@pytest.mark.parametrize(("family", "strategy"), pairs(ZOO, KEEPS_THE_RATE))
def test_replacement_is_80_10_10(family, strategy) -> None:
    tokenizer, special = ZOO[family](), vocabulary(ZOO[family]()).special
    became_mask = kept = random = 0
    for inputs, labels in _of_each(_collator(family, strategy, 0.4)(_long_examples(family))):
        pairs = [(new, old) for new, old in zip(inputs, labels, strict=True) if old != -100]
        became_mask += sum(new == tokenizer.mask_token_id for new, _ in pairs)
        kept += sum(new == old for new, old in pairs)
        others = [new for new, old in pairs if new not in (tokenizer.mask_token_id, old)]
        random += len(others)
        assert not special[others].any()
    total, ordinary = became_mask + kept + random, int((~special).sum())
    assert stats.binomtest(became_mask, total, 0.8).pvalue > 1e-4
    assert stats.binomtest(kept, total, 0.1 + 0.1 / ordinary).pvalue > 1e-4


@pytest.mark.parametrize(("family", "chosen"), pairs(ZOO, [("token", False), ("whole_word", False), ("span", True)]))
def test_a_chinese_sentence_is_never_masked_all_or_nothing(family, chosen) -> None:
    """26 characters at 15 %: over 1,000 epochs the mean is 15 %, and never are all masked.

    Three independent spans may be all of such a sentence, and be masked together once in a few hundred epochs: for
    spans, counts are exact.
    """
    strategy, exact_count = chosen
    sentence = "我们今天去北京大学看电影然后在图书馆学习中文和数学天"
    assert len(sentence) == 26
    (example,) = _examples(family, [sentence])
    maskable = int((~vocabulary(ZOO[family]()).special[example["input_ids"]]).sum())
    collate = _collator(family, strategy, 0.15, num_mask_patterns=None, exact_count=exact_count)
    counts = []
    for epoch in range(1000):
        collate.set_epoch(epoch)
        counts.append(int((collate([example])["labels"] != -100).sum()))
    assert abs(np.mean(counts) - 0.15 * maskable) < 4 * np.std(counts) / np.sqrt(1000)
    assert max(counts) < maskable


def test_no_public_name_hides_a_module() -> None:
    modules = {module.name for module in pkgutil.iter_modules(strategies.__path__)}
    assert len(modules) > 10
    assert not modules & set(strategies.__all__)


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "entity"])
def test_each_name_is_a_strategy_that_pickles(name, wordpiece) -> None:
    example = dict(wordpiece("the unbelievable cats were playing , with flowers !"))
    collate = DataCollatorForDynamicMasking(wordpiece, strategy=name, num_mask_patterns=1, mlm_probability=0.5)
    labels = collate([example])["labels"]
    assert (labels != -100).any()
    assert (pickle.loads(pickle.dumps(collate))([example])["labels"] == labels).all()


class TestEntities:
    """From the labels of a data set for named entity recognition, which `Trainer` does not drop."""

    def test_the_labels_are_the_tags_and_the_batch_has_its_own(self, wordpiece) -> None:
        words = ["the", "unbelievable", "cats", "were", "playing", "with", "flowers"]
        of_word = [0, 1, 2, 0, 0, 0, 3]  # "unbelievable cats" is one mention, "flowers" another
        encoding = wordpiece(words, is_split_into_words=True)
        places, labels = encoding.word_ids(), []
        for i, word in enumerate(places):
            labels.append(of_word[word] if word is not None and word != places[i - 1] else -100)
        names = ["O", "B-PER", "I-PER", "B-LOC"]
        collate = DataCollatorForDynamicMasking(
            wordpiece,
            mlm_probability=0.0,
            strategy=strategies.entity(1.0, tag_names=names),
            min_masked=0,
        )
        batch = collate([{"input_ids": encoding["input_ids"], "labels": labels}])
        masked = {word for word, label in zip(places, batch["labels"][0].tolist(), strict=True) if label != -100}
        assert masked == {1, 2, 6}
        assert set(batch) == {"input_ids", "attention_mask", "labels"}

    @pytest.mark.parametrize("unit", ["token", "whole_word"])
    def test_a_mention_whose_words_are_cut_at_symbols_is_masked_whole(self, unit) -> None:
        """As the usual alignment tags it: the first token of each word, and -100 for the others."""
        tokenizer = ZOO["bert_cased"]()
        words, of_word = ["I", "met", "O'Brien-Smith", "&", "Co.", "at", "U.S.", "!"], [0, 0, 1, 2, 2, 0, 3, 0]
        encoding = tokenizer(words, is_split_into_words=True)
        places = encoding.word_ids()
        labels = [
            of_word[word] if word is not None and word != places[i - 1] else -100 for i, word in enumerate(places)
        ]
        special = vocabulary(tokenizer).special
        strategy = strategies.entity(1.0, tag_names=["O", "B-ORG", "I-ORG", "B-LOC"], unit=unit)
        collate = DataCollatorForDynamicMasking(tokenizer, 0.0, strategy=strategy, min_masked=0)
        batch = collate([{"input_ids": encoding["input_ids"], "labels": labels}])
        masked = [label != -100 for label in batch["labels"][0].tolist()]
        assert masked == [
            word in (2, 3, 4, 6) and not special[id_] for word, id_ in zip(places, encoding["input_ids"], strict=True)
        ]
        half = DataCollatorForDynamicMasking(
            tokenizer, 0.3, strategy=strategies.entity(0.5, tag_names=["O", "B-ORG", "I-ORG", "B-LOC"], unit=unit)
        )
        mention = [
            i
            for i, (word, id_) in enumerate(zip(places, encoding["input_ids"], strict=True))
            if word in (2, 3, 4) and not special[id_]
        ]
        if not any(special[encoding["input_ids"][i]] for i in range(mention[0], mention[-1])):
            for epoch in range(100):
                half.set_epoch(epoch)
                seen = half([{"input_ids": encoding["input_ids"], "labels": labels}])["labels"][0]
                assert len({bool(seen[i] != -100) for i in mention}) == 1

    def test_without_names_all_but_the_outside_tags_are_entities(self, wordpiece) -> None:
        collate = DataCollatorForDynamicMasking(wordpiece, 0.0, strategy=strategies.entity(1.0, "tags"), min_masked=0)
        batch = collate([{"input_ids": [2, 5, 6, 7, 3], "tags": [-100, 0, 4, 0, -100]}])
        assert (batch["labels"][0] != -100).tolist() == [False, False, True, False, False]
        assert "tags" not in batch

    def test_a_missing_column_is_named(self, wordpiece) -> None:
        collate = DataCollatorForDynamicMasking(wordpiece, strategy="entity")
        with pytest.raises(ValueError, match="must have the column `labels`, with one value for each token"):
            collate([{"input_ids": [5, 6]}])


def _aligned(family: str, row: np.ndarray) -> np.ndarray:
    """The tags of a data set, by the usual alignment: the first token of a word has one, and the others have -100."""
    aligned = np.full(len(row), -100)
    aligned[[word[0] for word in _words(family, row)]] = 1
    return aligned


class TestAlignedLabels:
    """Labels of a data set for named entity recognition, in which only the first token of each word has a tag."""

    PLAYING: ClassVar[list[str]] = ["[CLS]", "play", "##ing", "[SEP]"]

    def _labels(self, tokenizer, tokens: list[str], labels: list[int], rate: float = 0.5, **options) -> np.ndarray:
        """What is to be predicted in each of 400 epochs."""
        columns = {name: options.pop(name) for name in list(options) if name == "special_tokens_mask"}
        example = {"input_ids": tokenizer.convert_tokens_to_ids(tokens), "labels": labels, **columns}
        collate = DataCollatorForDynamicMasking(tokenizer, rate, **{"strategy": "whole_word", "seed": 0, **options})
        found = []
        for epoch in range(400):
            collate.set_epoch(epoch)
            found.append(collate([example])["labels"][0].numpy())
        return np.array(found)

    def test_a_sequence_of_one_word_has_its_label(self, wordpiece) -> None:
        labels = self._labels(wordpiece, self.PLAYING, [-100, 1, -100, -100])
        ids = wordpiece.convert_tokens_to_ids(self.PLAYING)
        assert (labels == [-100, *ids[1:3], -100]).all()

    def test_the_rate_is_that_of_all_words(self, wordpiece) -> None:
        tokens, labels = ["the", "play", "##ing", "cat", "##s"], [0, 1, -100, 0, -100]
        masked = self._labels(wordpiece, tokens, labels, min_masked=0) != -100
        assert (masked[:, 1] == masked[:, 2]).all()
        assert stats.binomtest(int(masked[:, [0, 1, 3]].sum()), 1200, 0.5).pvalue > 1e-4

    @pytest.mark.parametrize(
        ("labels", "columns"),
        [
            ([-100, -100, -100, -100], {}),
            ([-100, -100, 1, -100], {}),
            ([-100, 1, -100, -100], {"special_tokens_mask": [1, 0, 1, 1]}),
            ([-100, 1, -100, -100], {"special_tokens_mask": [1, 1, 0, 1]}),
        ],
        ids=str,
    )
    def test_a_word_that_is_ruled_out_stays(self, wordpiece, labels, columns) -> None:
        assert (self._labels(wordpiece, self.PLAYING, labels, rate=1.0, **columns) == -100).all()

    @pytest.mark.parametrize("strategy", ["token", "position", strategies.span(unit="token")], ids=str)
    def test_by_single_tokens_what_has_no_label_is_never_masked(self, wordpiece, strategy) -> None:
        labels = self._labels(wordpiece, self.PLAYING, [-100, 1, -100, -100], rate=1.0, strategy=strategy)
        assert ((labels != -100) == [False, True, False, False]).all()

    @pytest.mark.parametrize("strategy", ["token", "position"])
    def test_single_tokens_do_without_the_table_of_words(self, wordpiece, strategy) -> None:
        collate = DataCollatorForDynamicMasking(wordpiece, strategy=strategy)
        known = collate._vocabulary = read_vocabulary(wordpiece)
        collate([{"input_ids": [5, 6, 7], "labels": [1, -100, 1]}])
        assert "words" not in vars(known)

    @pytest.mark.parametrize(
        ("labels", "masked"), [([1, 1, -100, 0, -100], True), ([1, -100, -100, 0, -100], False)], ids=str
    )
    def test_units_of_your_own_go_by_the_words_in_them(self, wordpiece, labels, masked) -> None:
        """All is one unit: its further pieces go with their words, and a word without a label is masked by none."""
        tokens = ["the", "play", "##ing", "cat", "##s"]
        found = self._labels(wordpiece, tokens, labels, 1.0, strategy=lambda tokens: tokens.positions < 0)
        assert ((found != -100) == masked).all()

    def test_a_unit_does_not_mask_the_further_pieces_of_a_word_that_begins_before_it(self, wordpiece) -> None:
        tokens, labels = ["play", "##ing", "cat"], [1, -100, 1]
        found = self._labels(wordpiece, tokens, labels, 1.0, strategy=lambda tokens: tokens.positions == 1)
        assert ((found != -100) == [True, False, False]).all()

    def test_the_words_are_those_of_the_segmenter(self) -> None:
        tokenizer = ZOO["bert_cased"]()
        (example,) = _examples("bert_cased", ["我们今天"])
        labels = [-100, 1, -100, 1, -100, -100]
        assert len(example["input_ids"]) == len(labels)
        strategy = strategies.span(unit=strategies.whole_word(segmenter=_in_pairs))
        collate = DataCollatorForDynamicMasking(tokenizer, 1.0, strategy=strategy, num_mask_patterns=1)
        batch = collate([{"input_ids": example["input_ids"], "labels": labels}])
        assert (batch["labels"][0] != -100).tolist() == [False, True, True, True, True, False]

    @pytest.mark.parametrize("exact_count", [False, True])
    @pytest.mark.parametrize(("family", "strategy"), pairs(ZOO, VARIANTS))
    def test_words_are_masked_as_they_are_without_labels(self, family, strategy, exact_count) -> None:
        """And where single tokens are masked, those without a label never are."""
        examples = [each for each in _long_examples(family) if not _has_a_cut_word(family, each["input_ids"])][:40]
        labeled = [{**each, "labels": _aligned(family, each["input_ids"])} for each in examples]
        collate = _collator(family, strategy, 0.3, exact_count=exact_count, min_masked=1)
        masks = _of_each(collate(labeled))
        assert len(examples) > 10
        if strategy in WHOLE_WORDS:
            assert masks == _of_each(collate(examples))
        else:
            ignored = np.concatenate([each["labels"] == -100 for each in labeled])
            assert not (np.concatenate([labels for _, labels in masks]) != -100)[ignored].any()
        row = _collator(family, strategy, 0.3, exact_count=exact_count, min_masked=1, padding_free=True)(labeled)
        assert row["labels"][0].tolist() == [label for _, labels in masks for label in labels]


def _has_a_cut_word(family: str, row: np.ndarray) -> bool:
    tokens, table = RaggedTokens(row, np.array([len(row)])), vocabulary(ZOO[family]()).words
    return bool((whole_words(tokens, table) != whole_words(tokens, table, max_word_length=None)).any())


def _in_pairs(text: str) -> list[str]:
    return [text[i : i + 2] for i in range(0, len(text), 2)]


def _ruled_out(family: str, examples: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """With labels that one token in five lacks, and a `special_tokens_mask` that has one in twenty more."""
    random, special = np.random.default_rng(1), vocabulary(ZOO[family]()).special
    columns = [(random.random((2, len(each["input_ids"]))), special[each["input_ids"]]) for each in examples]
    return [
        {
            **each,
            "labels": np.where(draws[0] < 0.2, -100, 1),
            "special_tokens_mask": (of_special | (draws[1] < 0.05)).astype(np.int64),
        }
        for each, (draws, of_special) in zip(examples, columns, strict=True)
    ]


def _may_be_masked(family: str, example: dict[str, np.ndarray], by_words: bool) -> set[int]:
    """The tokens of the units that may be masked, token by token."""
    row, labels, specials = example["input_ids"], example["labels"], example["special_tokens_mask"]
    allowed = {i for i in range(len(row)) if not specials[i] and not vocabulary(ZOO[family]()).special[row[i]]}
    labeled = {i for i in allowed if labels[i] != -100}
    if not by_words:
        return labeled
    uncut = whole_words(RaggedTokens(row, np.array([len(row)])), vocabulary(ZOO[family]()).words, None)
    first = np.maximum.accumulate(np.where(uncut, np.arange(len(row)), 0))
    found: set[int] = set()
    for word in _words(family, row):
        goes = {i for i in word if i in allowed and first[i] in word and first[i] in labeled}
        if set(word) <= labeled | goes:
            found |= set(word)
    return found


@pytest.mark.parametrize(("family", "strategy"), pairs(ZOO, VARIANTS))
def test_what_is_ruled_out_stays_and_the_rest_keeps_the_rate(family, strategy) -> None:
    examples = _ruled_out(family, _long_examples(family)[:150])
    by_words = strategy in WHOLE_WORDS
    allowed = [_may_be_masked(family, each, by_words) for each in examples]
    sizes = np.array(list(map(len, allowed)))
    for exact_count, min_masked in itertools.product((False, True), (0, 2)):
        options = {"exact_count": exact_count, "min_masked": min_masked}
        masks = _of_each(_collator(family, strategy, 0.3, **options)(examples))
        masked = [{i for i, label in enumerate(labels) if label != -100} for _, labels in masks]
        assert all(some <= those for some, those in zip(masked, allowed, strict=True))
        counts = np.array(list(map(len, masked)))
        assert (counts >= np.minimum(min_masked, sizes)).all()
        if strategy in KEEPS_THE_RATE and not min_masked:
            errors = counts - 0.3 * sizes
            assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(len(errors))
        row = _collator(family, strategy, 0.3, padding_free=True, **options)(examples)
        assert row["labels"][0].tolist() == [label for _, labels in masks for label in labels]
        assert row["input_ids"][0].tolist() == [id_ for inputs, _ in masks for id_ in inputs]


class TestWeights:
    def test_rare_tokens_are_masked_more(self, wordpiece) -> None:
        texts = ["the cat sat on the mat and the dog sat on the cat"] * 50 + ["the summer had come early"]
        data = [dict(wordpiece(text)) for text in texts]
        counts = strategies.token_counts(data, len(wordpiece))
        assert counts.sum() == sum(len(example["input_ids"]) for example in data)
        weights = strategies.rarity_weights(counts, power=0.5)
        the, summer = wordpiece.convert_tokens_to_ids(["the", "summer"])
        assert weights[summer] / weights[the] == pytest.approx((counts[the] / counts[summer]) ** 0.5)
        collate = DataCollatorForDynamicMasking(wordpiece, 0.3, strategy=strategies.weighted(weights), min_masked=0)
        masked = {the: 0, summer: 0}
        for epoch in range(300):
            collate.set_epoch(epoch)
            labels = collate(data[-1:])["labels"]
            for id_ in masked:
                masked[id_] += int((labels == id_).sum())
        assert masked[summer] > 5 * masked[the]

    def test_counts_of_a_dataset(self, wordpiece) -> None:
        from datasets import Dataset

        rows = [[5, 6, 6], [7], [5]]
        data = Dataset.from_dict({"input_ids": rows})
        expected = np.bincount([5, 6, 6, 7, 5], minlength=10)
        for each in (data, data.with_format("numpy"), data.to_iterable_dataset(), [{"input_ids": row} for row in rows]):
            assert (strategies.token_counts(each, 10) == expected).all()
        with pytest.raises(ValueError, match="`vocab_size` must exceed every token id, but got 6 and the id 7"):
            strategies.token_counts(data, 6)

    def test_what_has_no_weight_is_masked_last(self, wordpiece) -> None:
        weights = np.ones(len(wordpiece))
        weights[5:8] = 0
        row = [{"input_ids": [5, 6, 7, 8, 9, 10]}]
        for rate, masked in ((0.5, 3), (1.0, 6)):
            collate = DataCollatorForDynamicMasking(
                wordpiece, rate, strategy=strategies.weighted(weights), exact_count=True
            )
            for epoch in range(20):
                collate.set_epoch(epoch)
                labels = collate(row)["labels"][0]
                assert int((labels != -100).sum()) == masked
                assert rate == 1.0 or (labels[:3] == -100).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resolve_strategy("wholeword"), "`strategy` must be one of .*Did you mean 'whole_word'"),
        (lambda: resolve_strategy("weighted"), r"Did you mean `strategies.weighted\(...\)`"),
        (lambda: resolve_strategy("span(fixed_lengths(3))"), r"Did you mean `strategies.span\(...\)`"),
        (lambda: strategies.span([0.0]), "`lengths` must be finite, non-negative .* not all 0"),
        (lambda: strategies.span([0.5, -0.1]), "`lengths` must be"),
        (lambda: strategies.ngram([float("nan")]), "`weights` must be finite, non-negative"),
        (lambda: strategies.span(unit="words"), "`unit` must be one of .*Did you mean 'whole_word'"),
        (lambda: strategies.geometric_lengths(1.5), "`p` must be a number between 0 and 1, .* Pass 0.2"),
        (lambda: strategies.geometric_lengths(0.2, 0), "`max_length` must be an integer of at least 1"),
        (lambda: strategies.poisson_lengths(0.0), "`mean` must be a finite number above 0"),
        (lambda: strategies.fixed_lengths(0), "`length` must be an integer of at least 1"),
        (lambda: strategies.position("middle"), "`kind` must be one of 'prefix', 'suffix', 'block', 'every_nth'"),
        (lambda: strategies.entity(outside=0), "`outside` must be a collection, but got 0"),
        (lambda: strategies.entity(tag_names=5), "`tag_names` must be a collection, but got 5"),
        (lambda: strategies.entity(1.5), "`entity_probability` must be a number between 0 and 1"),
        (lambda: strategies.entity(tag_names=["B-A", "I-A"]), '`tag_names` must be "O" and names that begin'),
        (lambda: strategies.entity(tag_names=["O", "B-A", "E-A"]), '`tag_names` must be "O" and names that begin'),
        (lambda: resolve_strategy(strategies.span), r"Call it: `strategies.span\(...\)`"),
        (lambda: resolve_strategy(strategies.weighted), r"Call it: `strategies.weighted\(...\)`"),
        (lambda: strategies.span(3), "`lengths` must be .* but got 3"),
        (lambda: strategies.weighted([1.0, -1.0]), "`weights` must be finite, non-negative .*, but got -1.0"),
        (lambda: strategies.weighted([[1.0]]), r"`weights` must be .* in one dimension, but got shape \(1, 1\)"),
        (lambda: strategies.poisson_lengths(50.0), "`mean` must not exceed `max_length`, but got 50.0 and 20"),
        (lambda: strategies.geometric_lengths(0.0), r"`p` must be a finite number above 0, but got 0\.0"),
        (lambda: strategies.whole_word(0), "`max_word_length` must be an integer of at least 1"),
        (lambda: strategies.rarity_weights([1, -1]), "`counts` must be .* but got -1.0"),
        (lambda: strategies.rarity_weights([[1, 1]]), r"`counts` must be .* but got shape \(1, 2\)"),
        (lambda: strategies.rarity_weights("often"), "`counts` must be .* but got type str"),
        (lambda: strategies.span(unit="entity"), "`unit` must only define .* got <Strategy entity>, whose `probs`"),
        (lambda: strategies.span(unit=strategies.weighted([1.0])), "got <Strategy weighted>, whose `weights` would"),
        (
            lambda: strategies.weighted([1.0], unit="adaptive"),
            "got <Strategy adaptive>, whose `weights` would be ignored",
        ),
        (lambda: strategies.entity(unit="position"), "got <Strategy position:block>, whose `draws` would be ignored"),
        (lambda: strategies.adaptive(unit=strategies.entity()), "`unit` must only define where units begin"),
        (lambda: strategies.position(unit=strategies.entity(tag_names=["O"])), "`unit` must only define where"),
    ],
)
def test_bad_arguments(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def _where_told(tokens) -> np.ndarray:
    return tokens.columns["begins"] == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda unit: strategies.span(strategies.fixed_lengths(1), unit),
        lambda unit: strategies.position("block", unit),
        lambda unit: strategies.weighted(np.ones(51), unit),
        lambda unit: strategies.entity(1.0, "tags", unit=unit),
    ],
    ids=["span", "position", "weighted", "entity"],
)
def test_units_that_read_a_column_are_made_into_others(wordpiece, make) -> None:
    unit = strategies.Strategy("told", _where_told, columns=("begins",))
    collate = DataCollatorForDynamicMasking(wordpiece, 0.5, strategy=make(unit))
    example = {"input_ids": [5, 6, 7, 8, 9, 10], "begins": [1, 0, 0, 1, 0, 0], "tags": [0, 1, 0, 0, 0, 0]}
    for epoch in range(20):
        collate.set_epoch(epoch)
        batch = collate([example])
        assert "begins" not in batch
        masked = batch["labels"][0] != -100
        assert len(set(masked[:3].tolist())) == len(set(masked[3:].tolist())) == 1


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(10), "`weights` must hold a number for each of the 51 ids of the vocabulary"),
        (lambda tokens, units: np.full(len(units), np.nan), "`weights` must be finite, .*, but got nan"),
        (lambda tokens, units: np.ones(len(units) + 1), "`weights` must return a number for each of 1 units"),
    ],
)
def test_bad_weights(wordpiece, weights, message) -> None:
    with pytest.raises(ValueError, match=message):
        DataCollatorForDynamicMasking(wordpiece, strategy=strategies.weighted(weights))


def test_a_partition_of_another_size_is_named(wordpiece) -> None:
    with pytest.raises(ValueError, match="`strategy` must return a bool for each of 1 tokens"):
        DataCollatorForDynamicMasking(wordpiece, strategy=lambda tokens: np.ones(7, dtype=bool))


def _second_token(tokens) -> np.ndarray:
    return tokens.input_ids == tokens.input_ids[1]


@pytest.mark.parametrize(
    ("strategy", "error", "message"),
    [
        (_second_token, IndexError, "<Strategy _second_token> fails for a sequence of one token: IndexError: index 1"),
        (lambda tokens: tokens.words, AttributeError, "AttributeError: .* has no attribute 'words'"),
        (lambda tokens: tokens.columns["tags"] == 1, KeyError, "KeyError: 'tags'"),
        (lambda tokens: np.zeros(3) + np.zeros(2), ValueError, "ValueError: operands could not be broadcast"),
        (strategies.span(unit=_second_token), IndexError, "<Strategy span> fails"),
        (strategies.weighted(lambda tokens, units: units.lengths), AttributeError, "<Strategy weighted> fails"),
    ],
)
def test_a_strategy_that_fails_is_named_and_says_how(wordpiece, strategy, error, message) -> None:
    with pytest.raises(ValueError, match=f"`strategy` must be .*{message}") as refusal:
        DataCollatorForDynamicMasking(wordpiece, strategy=strategy)
    assert type(refusal.value.__cause__) is error


def _each(value) -> Any:
    return lambda tokens, units, rates: np.full(len(units), value)


@pytest.mark.parametrize("exact_count", [False, True])
@pytest.mark.parametrize("argument", ["probs", "draws"])
@pytest.mark.parametrize(
    ("function", "got"),
    [
        (_each(np.nan), "got nan"),
        (_each(7), "got 7"),
        (_each(-0.1), "got -0.1"),
        (_each("0.5"), "got array"),
        (lambda tokens, units, rates: 0.5, r"got 0.5"),
        (lambda tokens, units, rates: np.zeros(len(units) + 1), r"got shape \(2,\)"),
        (lambda tokens, units, rates: None, "got None"),
    ],
)
def test_bad_probs_and_draws(wordpiece, argument, function, got, exact_count) -> None:
    strategy = strategies.Strategy("mine", strategies.token().partition, **{argument: function})
    with pytest.raises(
        ValueError, match=f"`{argument}` of <Strategy mine> must return .* for each of 1 units, .*{got}"
    ):
        DataCollatorForDynamicMasking(wordpiece, strategy=strategy, exact_count=exact_count)


@pytest.mark.parametrize("argument", ["probs", "draws"])
def test_what_units_that_stay_are_given_does_not_matter(wordpiece, argument) -> None:
    def half(tokens, units, rates) -> np.ndarray:
        return np.where(units.maskable, 0.5, np.nan)

    strategy = strategies.Strategy("mine", strategies.token().partition, **{argument: half})
    for exact_count in (False, True):
        collate = DataCollatorForDynamicMasking(wordpiece, 0.6, strategy=strategy, exact_count=exact_count)
        labels = collate([{"input_ids": [2, 5, 6, 7, 8, 3]}])["labels"][0]
        assert (labels != -100).any()
        assert labels[0] == labels[5] == -100


def test_probs_and_weights_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="`probs` must be None if `weights` is passed"):
        strategies.Strategy("both", strategies.token().partition, weights=len, probs=len)


@pytest.mark.parametrize(("strategy", "got"), [(int, "the class `int`"), (len, "has no len()")])
def test_what_is_callable_and_no_strategy_is_refused(wordpiece, strategy, got) -> None:
    with pytest.raises(ValueError, match="`strategy` must be") as refusal:
        DataCollatorForDynamicMasking(wordpiece, strategy=strategy)
    assert got in str(refusal.value)
