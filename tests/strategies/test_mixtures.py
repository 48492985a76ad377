"""A mixture against its components: a choice worked out in Python, and the mask of the chosen one alone."""

from __future__ import annotations

import copy
import functools
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from conftest import WORDS
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support import oracle
from support.extended import pairs
from support.tokenizers_zoo import TEXTS, ZOO
from support.variants import INDEPENDENT_UNITS, POSITIONS, TAG_NAMES, VARIANTS, tags, variant, weights
from tokenizers import Tokenizer, models
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast, Trainer, TrainingArguments

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, strategies, uniform_rate
from hf_dynmask.collators import base as clocked
from hf_dynmask.on_device import device_plan
from hf_dynmask.strategies import Strategy, mixture, resolve_strategy
from hf_dynmask.strategies.units import every_token
from hf_dynmask.trainer.batch_audit import audit_batch
from hf_dynmask.vocabulary.vocabulary import read_vocabulary

COMPONENT = 9
MIXED = [name for name in VARIANTS if name != "adaptive"]
WEIGHTED = ["weighted", "weighted words", "weighted, function"]
GROUPS = {
    "equal": INDEPENDENT_UNITS,
    "positions": [*POSITIONS, "token", "whole_word"],
    "weights": [*WEIGHTED, "token", "span", "block"],
    "probabilities": ["entity", "entity mentions", "token", "span", "suffix"],
    "all": MIXED,
}
COUNTED = ["span", "whole_word", *(name for name in POSITIONS if name != "every_nth"), *WEIGHTED]
FAMILIES_AND_GROUPS = [
    *pairs([family for family in ZOO if family != "canine"], GROUPS),
    *(pytest.param("canine", group, marks=pytest.mark.extended) for group in GROUPS),  # its vocabulary takes seconds
]
PIECES = [piece for text in TEXTS.values() for piece in (text, *text.split())]
EVERY = settings(derandomize=True, deadline=None, max_examples=8)

vocabulary = functools.cache(read_vocabulary)


@pytest.fixture(autouse=True)
def _once_a_tokenizer(monkeypatch) -> None:
    monkeypatch.setattr(clocked, "read_vocabulary", vocabulary)


@functools.cache
def _component(name: str, size: int) -> Strategy:
    return variant(name, size)


def _shares(group: str) -> dict[str, float]:
    """Of unequal weights: 1, 2, 3, 1, 2, 3, ..."""
    return {name: 1 + number % 3 for number, name in enumerate(GROUPS[group])}


def _collator(tokenizer, strategy, rate=0.3, **options) -> DataCollatorForDynamicMasking:
    defaults = {"min_masked": 0, "seed": 5, "return_tensors": "np", "per_token_columns": ["tags"]}
    return DataCollatorForDynamicMasking(tokenizer, rate, strategy=strategy, **{**defaults, **options})


def _examples(tokenizer, texts) -> list[dict[str, np.ndarray]]:
    rows = [np.array(tokenizer(text)["input_ids"], dtype=np.int64) for text in texts]
    return [{"input_ids": row, "tags": tags(row)} for row in rows]


def _many(tokenizer, count: int = 300, size: int = 12) -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(0)
    return _examples(tokenizer, [" ".join(generator.choice(WORDS, size)) for _ in range(count)])


def _of_each(batch) -> list[tuple[list[int], list[int]]]:
    """(inputs, labels) of each sequence, padding left out."""
    rows = zip(batch["input_ids"], batch["labels"], batch["attention_mask"] == 1, strict=True)
    return [(inputs[seen].tolist(), labels[seen].tolist()) for inputs, labels, seen in rows]


def _choice(input_ids, shares: dict[str, float], seed: int = 5, pattern: int = 0) -> str:
    """The component of a sequence, by Python integers."""
    drawn = oracle.draw(oracle.key(seed, [int(id_) for id_ in input_ids], pattern), 0, COMPONENT) / 2**32
    for name, limit in zip(shares, itertools.accumulate(shares.values()), strict=True):
        if drawn < limit / sum(shares.values()):
            return name
    raise AssertionError("draws are below 1")


def _expected(tokenizer, examples, shares, components, epoch, **options):
    """The masks of each component alone, of which each sequence takes those of its choice."""
    alone = {
        name: _of_each(_collator(tokenizer, strategy, **options)(examples, epoch=epoch))
        for name, strategy in components.items()
    }
    chosen = [_choice(example["input_ids"], shares, pattern=epoch) for example in examples]
    return [alone[name][i] for i, name in enumerate(chosen)]


@pytest.mark.parametrize(("family", "group"), FAMILIES_AND_GROUPS)
@EVERY
@given(
    texts=st.lists(st.sampled_from(PIECES) | st.just(""), min_size=1, max_size=12),
    rate=st.sampled_from([0.0, 0.05, 0.15, 0.4, 1.0]) | st.floats(0, 1),
    epoch=st.integers(0, 9),
    min_masked=st.integers(0, 2),
    per_sequence=st.booleans(),
)
def test_each_sequence_has_the_mask_of_its_component(
    family, group, texts, rate, epoch, min_masked, per_sequence
) -> None:
    tokenizer, shares = ZOO[family](), _shares(group)
    components = {name: _component(name, vocabulary(tokenizer).size) for name in shares}
    examples = _examples(tokenizer, texts)
    options = {
        "rate": uniform_rate(rate / 2, rate / 2 + 0.1) if per_sequence else rate,
        "min_masked": 0 if group == "all" else min_masked,  # where weights meet probabilities, the order is another
    }
    mixed = mixture([(components[name], weight) for name, weight in shares.items()])
    batch = _collator(tokenizer, mixed, **options)(examples, epoch=epoch)
    assert _of_each(batch) == _expected(tokenizer, examples, shares, components, epoch, **options)


@pytest.mark.parametrize("family", ["bert_cased", "roberta", "xlm_r"])
@settings(derandomize=True, deadline=None, max_examples=10)
@given(st.data())
def test_labels_inside_words(family, data) -> None:
    """-100 inside a word excludes nothing from units of words; a segmenter has words of its own."""
    tokenizer = ZOO[family]()
    components = {
        "token": strategies.token(),
        "whole_word": strategies.whole_word(),
        "segmented": strategies.whole_word(segmenter=_in_pairs),
        "span": strategies.span(),
        "span of parts": strategies.span(strategies.fixed_lengths(2), strategies.whole_word(max_word_length=2)),
        "weighted": strategies.weighted(weights(len(tokenizer)), unit="whole_word"),
    }
    texts = data.draw(st.lists(st.sampled_from([*TEXTS.values(), TEXTS["chinese"][::-1]]), min_size=6, max_size=12))
    examples = _examples(tokenizer, texts)
    for example in examples:
        example["labels"] = np.where(example["input_ids"] % 3 > 0, 1, -100)
    shares = dict.fromkeys(components, 1.0)
    mixed = mixture([(strategy, 1) for strategy in components.values()])
    rate, epoch = data.draw(st.sampled_from([0.15, 0.5, 1.0])), data.draw(st.integers(0, 9))
    batch = _collator(tokenizer, mixed, rate)(examples, epoch=epoch)
    assert _of_each(batch) == _expected(tokenizer, examples, shares, components, epoch, rate=rate)


def _in_pairs(text: str) -> list[str]:
    return [text[i : i + 2] for i in range(0, len(text), 2)]


class TestExactCounts:
    RATE = 0.37

    def _counts(self, tokenizer, strategy) -> list[tuple[dict[str, np.ndarray], int]]:
        examples = _many(tokenizer, 100)
        batch = _collator(tokenizer, strategy, self.RATE, exact_count=True)(examples, epoch=1)
        return [
            (example, sum(label != -100 for label in labels))
            for example, (_, labels) in zip(examples, _of_each(batch), strict=True)
        ]

    def test_of_tokens(self, wordpiece) -> None:
        names = ["token", "weighted", "prefix", "block", "every_nth"]
        mixed = mixture([(variant(name, len(wordpiece)), 1) for name in names])
        for example, count in self._counts(wordpiece, mixed):
            expected = self.RATE * (len(example["input_ids"]) - 2)
            assert count in (math.floor(expected), math.ceil(expected))

    @pytest.mark.parametrize(("first", "second"), list(itertools.combinations(COUNTED, 2)))
    def test_each_sequence_has_the_mask_of_a_component_alone(self, wordpiece, first, second) -> None:
        components = [variant(name, len(wordpiece)) for name in (first, second)]
        examples = _many(wordpiece, 60)
        strategies_alone = (*components, mixture([(component, 1) for component in components]))
        batches = [
            _of_each(_collator(wordpiece, each, self.RATE, exact_count=True)(examples, epoch=1))
            for each in strategies_alone
        ]
        for row, mixed in enumerate(batches[2]):
            assert mixed in (batches[0][row], batches[1][row])

    def test_of_words(self, wordpiece) -> None:
        """To whole words, of which "unbelievable" has the most tokens, 3."""
        for example, count in self._counts(wordpiece, mixture({"whole_word": 1, "token": 1})):
            assert abs(count - self.RATE * (len(example["input_ids"]) - 2)) < 3

    def test_beside_probabilities(self, wordpiece) -> None:
        mixed = mixture([(strategies.entity(0.8, "tags", unit="token"), 1), ("token", 2)])
        for example, count in self._counts(wordpiece, mixed):
            row = example["input_ids"]
            shares = {"entity": 1, "token": 2}
            is_entity = (row[1:-1] % 4 != 0) & (_choice(row, shares, pattern=1) == "entity")
            expected = np.where(is_entity, 0.8, self.RATE).sum()
            assert count in (math.floor(expected), math.ceil(expected))

    def test_that_all_components_have_anyway(self) -> None:
        every_nth = strategies.position("every_nth")
        assert mixture([(every_nth, 1), (strategies.position("every_nth", unit="whole_word"), 1)]).counts
        assert not mixture([(every_nth, 1), ("token", 1)]).counts


class TestChoice:
    """At a rate of 1, a strategy that never masks tells which one a sequence drew."""

    NOTHING = Strategy("nothing", every_token, probs=lambda tokens, units, rates: 0 * rates[units.row])

    def _drawn(self, tokenizer, mixed, epoch=0, examples=None, **options) -> np.ndarray:
        """bool: where a sequence is not of `nothing`."""
        examples = _many(tokenizer) if examples is None else examples
        batch = _collator(tokenizer, mixed, 1.0, **options)(examples, epoch=epoch)
        return (batch["labels"] != -100).any(axis=1)

    @pytest.mark.parametrize("weight", [0.02, 3.0])
    def test_the_shares_are_those_of_the_weights(self, wordpiece, weight) -> None:
        mixed = mixture([("token", weight), (self.NOTHING, 1.0)])
        drawn = np.concatenate([self._drawn(wordpiece, mixed, epoch) for epoch in range(10)])
        assert stats.binomtest(int(drawn.sum()), len(drawn), weight / (weight + 1)).pvalue > 1e-4

    def test_epochs_and_seeds_are_independent(self, wordpiece) -> None:
        mixed = mixture([("token", 1.0), (self.NOTHING, 1.0)])
        first = self._drawn(wordpiece, mixed, 0)
        for others in (self._drawn(wordpiece, mixed, 1), self._drawn(wordpiece, mixed, 0, seed=6)):
            assert stats.binomtest(int((first == others).sum()), len(first), 0.5).pvalue > 1e-4
        assert (self._drawn(wordpiece, mixed, 3, num_mask_patterns=1) == first).all()
        assert (self._drawn(wordpiece, mixed, 3, num_mask_patterns=3) == first).all()

    def test_it_is_independent_of_the_masks(self, wordpiece) -> None:
        """The tokens of a component have its rate."""
        mixed = mixture([("token", 0.2), (self.NOTHING, 1.0), ("whole_word", 0.2)])
        examples = _many(wordpiece, 2000)
        batch = _collator(wordpiece, mixed, 0.3, min_masked=0)(examples, epoch=0)
        shares = {"token": 0.2, "nothing": 1.0, "whole_word": 0.2}
        is_token = np.array([_choice(example["input_ids"], shares) == "token" for example in examples])
        tokens = sum(len(examples[i]["input_ids"]) - 2 for i in np.flatnonzero(is_token))
        masked = int((batch["labels"][is_token] != -100).sum())
        assert stats.binomtest(masked, tokens, 0.3).pvalue > 1e-4

    def test_a_mixture_in_a_mixture_gives_way_to_its_components(self, wordpiece) -> None:
        inner = mixture([("token", 3), (self.NOTHING, 1)])
        mixed = mixture([(inner, 1), ("span", 1)])
        assert repr(mixed) == "<Strategy mixture(token 37.5 %, nothing 12.5 %, span 50 %)>"
        drawn = np.concatenate([self._drawn(wordpiece, mixed, epoch) for epoch in range(5)])
        assert stats.binomtest(int((~drawn).sum()), len(drawn), 0.125).pvalue > 1e-4

    def test_weights_of_any_size(self, wordpiece) -> None:
        for scale in (1e-300, 1e308):
            mixed = mixture([("token", scale), (self.NOTHING, scale)])
            assert (
                self._drawn(wordpiece, mixed) == self._drawn(wordpiece, mixture([("token", 1), (self.NOTHING, 1)]))
            ).all()


class TestThroughTheCollator:
    MIXTURE = mixture({"whole_word": 1, "span": 1, "token": 1})

    def test_workers_batches_and_layouts_change_nothing(self, wordpiece) -> None:
        examples = [{"input_ids": example["input_ids"]} for example in _many(wordpiece, 24)]
        collator = _collator(wordpiece, self.MIXTURE, return_tensors="pt")
        expected = _of_each(collator(examples, epoch=2))
        for workers, size in ((0, 5), (2, 4)):
            loader = DataLoader(examples, batch_size=size, num_workers=workers, collate_fn=collator)
            collator.start_epoch(loader, 2)
            assert [row for batch in loader for row in _of_each(batch)] == expected
        left = copy.copy(wordpiece)
        left.padding_side = "left"
        assert _of_each(_collator(left, self.MIXTURE)(examples, epoch=2)) == expected
        flat = _collator(wordpiece, self.MIXTURE, padding_free=True)(examples, epoch=2)
        for name, column in zip(("input_ids", "labels"), zip(*expected, strict=True), strict=True):
            assert flat[name][0].tolist() == list(itertools.chain(*column))

    def test_evaluation_has_one_mask(self, wordpiece) -> None:
        examples = _many(wordpiece, 40)
        evaluation = _collator(wordpiece, self.MIXTURE).for_evaluation(0.3)
        first = _of_each(evaluation(examples))
        evaluation.set_epoch(3)
        assert _of_each(evaluation(examples)) == first
        assert first == _of_each(_collator(wordpiece, self.MIXTURE)(examples, epoch=0))
        assert first != _of_each(_collator(wordpiece, self.MIXTURE)(examples, epoch=3))

    def test_copies(self, wordpiece) -> None:
        examples = _many(wordpiece, 20)
        mixed = mixture([(variant("span, Poisson", 50), 1), (strategies.position("block"), 1), ("token", 1)])
        collator = _collator(wordpiece, mixed)
        expected = _of_each(collator(examples, epoch=1))
        for twin in (pickle.loads(pickle.dumps(collator)), copy.deepcopy(collator)):
            assert _of_each(twin(examples, epoch=1)) == expected

    def test_it_prints_itself(self, wordpiece) -> None:
        shown = str(_collator(wordpiece, mixture({"span": 3, "token": 1}), exact_count=True))
        assert "; mixture(span 75 %, token 25 %), an exact count; " in shown

    def test_the_audit_knows_its_masks(self, wordpiece) -> None:
        collator = _collator(wordpiece, self.MIXTURE, per_token_columns=())
        batch = collator([{"input_ids": example["input_ids"]} for example in _many(wordpiece, 8)], epoch=2)
        assert audit_batch(collator, batch, epoch=2)[:3] == ("full", "", True)
        assert not audit_batch(collator, batch, epoch=1).matches

    def test_columns_of_every_component_must_exist(self, wordpiece) -> None:
        names = ["O", "B-A"]
        mixed = mixture(
            [
                (strategies.entity(0.5, "tags", TAG_NAMES), 1),
                (strategies.entity(0.5, "ner", names), 1),
                (strategies.entity(0.3, "tags", outside=(0, 3)), 1),
            ]
        )
        assert mixed.columns == ("tags", "ner")
        with pytest.raises(ValueError, match="`features` must have the column `ner`"):
            _collator(wordpiece, mixed)(_many(wordpiece, 2))

    def test_not_on_a_device(self, wordpiece) -> None:
        with pytest.raises(ValueError, match=r"on a device, .* but got <Strategy mixture\(span 50 %, token 50 %\)>"):
            device_plan(wordpiece, "cpu", strategy=mixture({"span": 1, "token": 1}))

    def test_a_component_gets_only_its_own_sequences(self, wordpiece) -> None:
        examples = _many(wordpiece, 30)
        shares = {"own": 1.0, "token": 1.0}
        rows = [example["input_ids"].tolist() for example in examples if _choice(example["input_ids"], shares) == "own"]
        received = []

        def partition(tokens) -> np.ndarray:
            received.append(np.split(tokens.input_ids, tokens.ends[:-1]))
            return every_token(tokens)

        _collator(wordpiece, mixture([(partition, 1), ("token", 1)]))(examples, epoch=0)
        assert [row.tolist() for row in received[-1]] == rows
        assert 0 < len(rows) < 30

    def test_golden(self, wordpiece) -> None:
        """Masks stay what they are, between releases and on every platform."""
        ids = [[2, *range(5 + start, 25 + start), 3] for start in range(6)]
        mixed = mixture([(strategies.span(strategies.fixed_lengths(4), "token"), 1), ("token", 1)])
        labels = _collator(wordpiece, mixed, 0.4)(ids, epoch=7)["labels"]
        assert ["".join(".x"[each] for each in (row != -100).astype(int)) for row in labels] == [
            ".xxxx.................",
            "..xx...xx.x...x.......",
            "......................",
            ".xxxxxxxx.............",
            ".xx......x.x..xx......",
            ".............xxxx.....",
        ]


class TestErrors:
    @pytest.mark.parametrize(
        ("components", "message"),
        [
            ({}, "`components` must have at least one strategy, but got none"),
            ([], "`components` must have at least one strategy, but got none"),
            ("span", "`components` must be a mapping from strategies to weights, .* but got 'span'"),
            (["span", "token"], "`components` must be a mapping from strategies to weights"),
            ([("span", 1, 2)], "or a sequence of pairs of a strategy and its weight, but got"),
            (iter([("span", 1)]), "`components` must be a mapping from strategies to weights"),
            ([({}, 1)], "`components` must be one of 'token', .* but got {}"),
            ({"spam": 1}, "`components` must be one of 'token', .* but got 'spam'. Did you mean 'span'"),
            ({"weighted": 1}, r"Did you mean `strategies.weighted\(...\)`"),
            ({"adaptive": 1}, "`components` must not follow the losses of the model, but got <Strategy adaptive>"),
            (
                [(strategies.span(unit=mixture({"token": 1})), 1)],
                "`components` must not have the units of a mixture, but <Strategy span> has",
            ),
            (
                [(strategies.ngram(unit=strategies.span(unit=mixture({"token": 1}))), 1)],
                "`components` must not have the units of a mixture, but <Strategy ngram> has",
            ),
            *(
                ({"span": weight, "token": 1}, f"finite numbers above 0, but got {shown} for 'span'")
                for weight, shown in [
                    (0, "0"),
                    (-1.0, "-1.0"),
                    (True, "True"),
                    (math.inf, "inf"),
                    (math.nan, "nan"),
                    ("1", "'1'"),
                    (None, "None"),
                ]
            ),
        ],
    )
    def test_bad_components(self, components, message) -> None:
        with pytest.raises(ValueError, match=message):
            mixture(components)

    def test_the_name_alone(self) -> None:
        with pytest.raises(ValueError, match=r"Did you mean `strategies.mixture\(...\)`"):
            resolve_strategy("mixture")
        with pytest.raises(ValueError, match=r"Call it: `strategies.mixture\(...\)`"):
            resolve_strategy(mixture)

    def test_components_that_few_sequences_draw_are_tried_at_construction(self, wordpiece) -> None:
        wordless = PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer(models.BPE({"[MASK]": 0, "a": 1, "b": 2, "ab": 3}, [("a", "b")])),
            mask_token="[MASK]",
        )
        with pytest.raises(ValueError, match="`strategy` needs a vocabulary that marks words"):
            _collator(wordless, mixture({"token": 1, "whole_word": 1e-12}))
        with pytest.raises(ValueError, match="`weights` must hold a number for each of the"):
            _collator(wordpiece, mixture([("token", 1), (strategies.weighted([1.0, 2.0]), 1e-12)]))
        for function, message in (
            ({"weights": lambda tokens, units: [1.0]}, "`weights` of <Strategy own> must return a number for each of"),
            ({"draws": lambda tokens, units, rates: 2.0}, "`draws` of <Strategy own> must return a number between"),
            ({"probs": lambda tokens, units, rates: 1 / 0}, "fails for a sequence of one token: ZeroDivisionError"),
        ):
            own = Strategy("own", every_token, **function)
            with pytest.raises(ValueError, match=message):
                _collator(wordpiece, mixture([("token", 1), (own, 1e-12), (own, 2.0)]))(_many(wordpiece, 20))


def test_a_trainer_trains_with_it_and_audits_it(wordpiece, tmp_path) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    examples = [{"input_ids": example["input_ids"].tolist()} for example in _many(wordpiece, 16)]
    trainer = Trainer(
        BertForMaskedLM(BertConfig(vocab_size=len(wordpiece), **sizes)),
        TrainingArguments(str(tmp_path), use_cpu=True, report_to="none", disable_tqdm=True, num_train_epochs=2),
        train_dataset=examples,
        eval_dataset=examples,
        data_collator=DataCollatorForDynamicMasking(wordpiece, strategy=mixture({"span": 1, "token": 1})),
        callbacks=[MaskRateCallback(audit="every_step")],
    )
    trainer.train()
    assert trainer.state.global_step == 4
    assert trainer.evaluate()["eval_loss"] == trainer.evaluate()["eval_loss"]
