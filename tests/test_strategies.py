"""Every strategy with a tokenizer of every family, from text to batch."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tokenizers_zoo import TEXTS, ZOO
from variants import INDEPENDENT_UNITS, KEEPS_THE_RATE, NESTED, VARIANTS, WHOLE_WORDS, tags, variant

from hf_dynmask import DataCollatorForDynamicMasking, clocked, strategies
from hf_dynmask.ragged import RaggedTokens
from hf_dynmask.strategies import STRATEGIES, strategy_of
from hf_dynmask.uniforms import example_hashes, stream_keys
from hf_dynmask.units import MaskingTokens, units_of
from hf_dynmask.vocabulary import vocabulary_of
from hf_dynmask.words import whole_words

RATES = [0.0, 0.05, 0.15, 0.4, 1.0]
EVERY = settings(derandomize=True, deadline=None, max_examples=8)
PIECES = [piece for text in TEXTS.values() for piece in (text, *text.split())]

vocabulary = functools.cache(vocabulary_of)  # CANINE's takes seconds


@pytest.fixture(autouse=True)
def _once_a_tokenizer(monkeypatch) -> None:
    monkeypatch.setattr(clocked, "vocabulary_of", vocabulary)


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
    return DataCollatorForDynamicMasking(ZOO[family](), rate, _strategy(strategy, family), **{**defaults, **options})


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


@pytest.mark.parametrize("strategy", VARIANTS)
@pytest.mark.parametrize("family", ZOO)
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
@pytest.mark.parametrize("strategy", KEEPS_THE_RATE)
@pytest.mark.parametrize("family", ZOO)
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
@pytest.mark.parametrize("strategy", INDEPENDENT_UNITS)
@pytest.mark.parametrize("family", ZOO)
def test_the_number_of_masked_units_is_binomial(family, strategy, rate) -> None:
    examples = _long_examples(family)
    collate = _collator(family, strategy, rate)
    rows = [example["input_ids"] for example in examples]
    tokens = RaggedTokens(np.concatenate(rows), np.array([len(row) for row in rows]))
    known = vocabulary(ZOO[family]())
    keys = stream_keys(5, example_hashes(tokens.input_ids, tokens.positions, tokens.ends), 0)
    seen = MaskingTokens(tokens.input_ids, tokens.lengths, known, ~known.special[tokens.input_ids], keys)
    units = units_of(seen, collate.strategy.partition)
    labels = np.concatenate([labels for _, labels in _of_each(collate(examples))])
    masked = labels[units.first[units.maskable]] != -100
    assert stats.binomtest(int(masked.sum()), len(masked), rate).pvalue > 1e-4


@pytest.mark.parametrize("strategy", KEEPS_THE_RATE)
@pytest.mark.parametrize("family", ZOO)
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


@pytest.mark.parametrize("family", ZOO)
@pytest.mark.parametrize(("strategy", "exact_count"), [("token", False), ("whole_word", False), ("span", True)])
def test_a_chinese_sentence_is_never_masked_all_or_nothing(family, strategy, exact_count) -> None:
    """26 characters at 15 %: over 1,000 epochs the mean is 15 %, and never are all masked.

    Three independent spans may be all of such a sentence, and be masked together once in a few hundred epochs: for
    spans, counts are exact.
    """
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
        collate = DataCollatorForDynamicMasking(tokenizer, 0.0, strategy, min_masked=0)
        batch = collate([{"input_ids": encoding["input_ids"], "labels": labels}])
        masked = [label != -100 for label in batch["labels"][0].tolist()]
        assert masked == [
            word in (2, 3, 4, 6) and not special[id_] for word, id_ in zip(places, encoding["input_ids"], strict=True)
        ]
        half = DataCollatorForDynamicMasking(
            tokenizer, 0.3, strategies.entity(0.5, tag_names=["O", "B-ORG", "I-ORG", "B-LOC"], unit=unit)
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


class TestWeights:
    def test_rare_tokens_are_masked_more(self, wordpiece) -> None:
        texts = ["the cat sat on the mat and the dog sat on the cat"] * 50 + ["the summer had come early"]
        data = [dict(wordpiece(text)) for text in texts]
        counts = strategies.token_counts(data, len(wordpiece))
        assert counts.sum() == sum(len(example["input_ids"]) for example in data)
        weights = strategies.rarity_weights(counts, power=0.5)
        the, summer = wordpiece.convert_tokens_to_ids(["the", "summer"])
        assert weights[summer] / weights[the] == pytest.approx((counts[the] / counts[summer]) ** 0.5)
        collate = DataCollatorForDynamicMasking(wordpiece, 0.3, strategies.weighted(weights), min_masked=0)
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
            collate = DataCollatorForDynamicMasking(wordpiece, rate, strategies.weighted(weights), exact_count=True)
            for epoch in range(20):
                collate.set_epoch(epoch)
                labels = collate(row)["labels"][0]
                assert int((labels != -100).sum()) == masked
                assert rate == 1.0 or (labels[:3] == -100).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: strategy_of("wholeword"), "`strategy` must be one of .*Did you mean 'whole_word'"),
        (lambda: strategy_of("weighted"), r"Did you mean `strategies.weighted\(...\)`"),
        (lambda: strategy_of("span(fixed_lengths(3))"), r"Did you mean `strategies.span\(...\)`"),
        (lambda: strategies.span([0.0]), "the odds of lengths must be finite, not negative and not all 0"),
        (lambda: strategies.span([0.5, -0.1]), "the odds of lengths must be"),
        (lambda: strategies.ngram([float("nan")]), "the odds of lengths must be"),
        (lambda: strategies.span(unit="words"), "`unit` must be one of .*Did you mean 'whole_word'"),
        (lambda: strategies.geometric_lengths(1.5), "`p` must be a number between 0 and 1"),
        (lambda: strategies.geometric_lengths(0.2, 0), "`max_length` must be an integer of at least 1"),
        (lambda: strategies.poisson_lengths(0.0), "`mean` must be a finite number above 0"),
        (lambda: strategies.fixed_lengths(0), "`length` must be an integer of at least 1"),
        (lambda: strategies.position("middle"), "`kind` must be one of 'prefix', 'suffix', 'block', 'every_nth'"),
        (lambda: strategies.entity(1.5), "`entity_probability` must be a number between 0 and 1"),
        (lambda: strategies.entity(tag_names=["B-A", "I-A"]), '`tag_names` must be "O" and names that begin'),
        (lambda: strategies.entity(tag_names=["O", "B-A", "E-A"]), '`tag_names` must be "O" and names that begin'),
        (lambda: strategy_of(strategies.span), r"Call it: `strategies.span\(...\)`"),
        (lambda: strategy_of(strategies.weighted), r"Call it: `strategies.weighted\(...\)`"),
        (lambda: strategies.span(3), "the odds of lengths must be .* but got 3"),
        (lambda: strategies.weighted([1.0, -1.0]), "`weights` must be numbers, finite and not negative, but got -1.0"),
        (lambda: strategies.weighted([[1.0]]), r"`weights` must be numbers, .* but got shape \(1, 1\)"),
        (lambda: strategies.poisson_lengths(50.0), "`mean` must not exceed `max_length`, but got 50.0 and 20"),
        (lambda: strategies.whole_word(0), "`max_word_length` must be an integer of at least 1"),
        (lambda: strategies.rarity_weights([1, -1]), "`counts` must be"),
    ],
)
def test_bad_arguments(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(10), "`weights` must hold a number for each of the 51 ids of the vocabulary"),
        (lambda tokens, units: np.full(len(units), np.nan), "`weights` must be numbers, finite .*, but got nan"),
        (lambda tokens, units: np.ones(len(units) + 1), "`weights` must give a number for each of 1 units"),
    ],
)
def test_bad_weights(wordpiece, weights, message) -> None:
    with pytest.raises(ValueError, match=message):
        DataCollatorForDynamicMasking(wordpiece, strategy=strategies.weighted(weights))


def test_a_partition_of_another_size_is_named(wordpiece) -> None:
    with pytest.raises(ValueError, match="`strategy` must return a bool for each of 1 tokens"):
        DataCollatorForDynamicMasking(wordpiece, strategy=lambda tokens: np.ones(7, dtype=bool))


@pytest.mark.parametrize(("strategy", "came"), [(int, "the class `int`"), (len, "has no len()")])
def test_what_is_callable_and_no_strategy_is_refused(wordpiece, strategy, came) -> None:
    with pytest.raises(ValueError, match="`strategy` must be") as refusal:
        DataCollatorForDynamicMasking(wordpiece, strategy=strategy)
    assert came in str(refusal.value)
