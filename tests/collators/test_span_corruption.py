from __future__ import annotations

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from conftest import WORDS
from hypothesis import given, settings
from hypothesis import strategies as st
from support.trained import train
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.utils.data import DataLoader
from transformers import (
    BatchEncoding,
    ByT5Tokenizer,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainingArguments,
)

from hf_dynmask import MaskRateCallback, linear_schedule, uniform_rate
from hf_dynmask.collators.span_corruption import DataCollatorForSpanCorruption
from hf_dynmask.masking.sentinels import find_sentinels

EOS, UNKNOWN = 1, 2


def _t5_like(sentinels: list[str]) -> PreTrainedTokenizerFast:
    """T5's layout: `▁` begins a word, `</s>` ends a text, and the last sentinel has the lowest id."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    train(tokenizer, [" ".join(WORDS)] * 4, trainers.UnigramTrainer, special, vocab_size=90, unk_token="<unk>")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", EOS)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    )
    fast.add_special_tokens({"additional_special_tokens": sentinels[::-1]})
    return fast


def _named(count: int) -> list[str]:
    return [f"<extra_id_{i}>" for i in range(count)]


@pytest.fixture(scope="module")
def t5() -> PreTrainedTokenizerFast:
    return _t5_like(_named(30))


@pytest.fixture(scope="module")
def ordinary(t5) -> int:
    """All ids below are no sentinels."""
    return len(t5) - 30


@pytest.fixture
def examples(t5) -> list[dict[str, list[int]]]:
    generator = np.random.default_rng(0)
    return [dict(t5(" ".join(generator.choice(WORDS, size)))) for size in generator.integers(2, 30, 48)]


def _collator(tokenizer, **options) -> DataCollatorForSpanCorruption:
    return DataCollatorForSpanCorruption(tokenizer, **{"seed": 42, **options})


def _rows(batch) -> list[tuple[list[int], list[int]]]:
    """(inputs, labels) of each example, without padding."""
    inputs = [ids[mask == 1].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
    return list(zip(inputs, [labels[labels != -100].tolist() for labels in batch["labels"]], strict=True))


def _reassembled(inputs: list[int], labels: list[int], sentinels: list[int], end: list[int]) -> list[tuple[int, bool]]:
    """The original ids, and whether each was noise: every sentinel of the input gives way to what the target says."""
    assert labels[len(labels) - len(end) :] == end
    spans: dict[int, list[int]] = {}
    for id_ in labels[: len(labels) - len(end)]:
        if id_ in sentinels:
            assert id_ == sentinels[len(spans)], "sentinels come in order"
            spans[id_] = []
        else:
            spans[list(spans)[-1]].append(id_)
    *used, last = spans
    assert not spans[last], "nothing comes after the last sentinel but the end"
    assert all(spans[id_] for id_ in used)
    assert [id_ for id_ in inputs if id_ in sentinels] == used
    assert not any(a in sentinels and b in sentinels for a, b in itertools.pairwise(inputs)), "runs are maximal"
    return [(id_, place in spans) for place in inputs for id_ in spans.get(place, [place])]


def _epoch(loader: DataLoader) -> list[tuple[list[int], list[int]]]:
    return [row for batch in loader for row in _rows(batch)]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.data())
def test_inputs_and_labels_make_up_the_original(t5, ordinary, data) -> None:
    ids = st.lists(st.integers(1, ordinary - 1), max_size=30)
    rows = data.draw(st.lists(ids, min_size=1, max_size=5))
    tokenizer = copy.copy(t5)
    tokenizer.padding_side = data.draw(st.sampled_from(["left", "right"]))
    density, length = data.draw(st.sampled_from([0.0, 0.15, 0.5, 1.0]) | st.floats(0, 1)), data.draw(st.floats(1, 6))
    collator = _collator(tokenizer, noise_density=density, mean_noise_span_length=length)
    collator.set_epoch(data.draw(st.integers(0, 9)))
    corrupted = _rows(collator([{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows]))
    for row, (inputs, labels) in zip(rows, corrupted, strict=True):
        assembled = _reassembled(inputs, labels, find_sentinels(t5).tolist(), [EOS])
        assert [id_ for id_, _ in assembled] == row
        noise, maskable = [id_ for id_, noise in assembled if noise], [id_ for id_ in row if id_ > UNKNOWN]
        assert not {EOS, UNKNOWN} & set(noise)
        assert len(noise) == (0 if not density else len(maskable) if density == 1 else len(noise))
        assert density in (0, 1) or len(maskable) < 2 or 0 < len(noise) < len(maskable)


class TestOutput:
    def test_the_batch_is_what_the_model_takes(self, t5, examples) -> None:
        batch = _collator(t5)(examples)
        assert isinstance(batch, BatchEncoding)
        assert set(batch) == {"input_ids", "attention_mask", "labels"}
        assert {values.dtype for values in batch.values()} == {torch.int64}
        assert batch["input_ids"].shape == batch["attention_mask"].shape
        assert len(batch["labels"]) == len(examples)
        for name, fill in {"input_ids": t5.pad_token_id, "labels": -100}.items():
            assert (batch[name] != fill).sum(1).max() == batch[name].shape[1], "no wider than the longest"

    @pytest.mark.parametrize("kind", ["lists", "numpy", "torch", "bare lists", "bare numpy", "bare torch", "encodings"])
    def test_every_kind_of_example_gives_the_same_batch(self, t5, examples, kind) -> None:
        convert = {"numpy": np.array, "torch": torch.tensor}.get(kind.split()[-1], list)
        if kind.startswith("bare"):
            given = [convert(example["input_ids"]) for example in examples]
        else:
            given = [{name: convert(values) for name, values in example.items()} for example in examples]
        if kind == "encodings":
            given = [BatchEncoding(example) for example in given]
        expected, batch = (_collator(t5, num_mask_patterns=1)(each) for each in (examples, given))
        assert all(torch.equal(batch[name], expected[name]) for name in expected)

    def test_numpy_and_torch_batches_are_equal(self, t5, examples) -> None:
        collator = _collator(t5, num_mask_patterns=1)
        as_torch, as_numpy = collator(examples), collator(examples, return_tensors="np")
        assert all(isinstance(values, np.ndarray) and values.dtype == np.int64 for values in as_numpy.values())
        assert all((as_torch[name].numpy() == as_numpy[name]).all() for name in as_torch)

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_padding(self, t5, examples, side) -> None:
        tokenizer = copy.copy(t5)
        tokenizer.padding_side = side
        batch = _collator(tokenizer, pad_to_multiple_of=16)(examples)
        attention, labels = batch["attention_mask"], batch["labels"]
        assert attention.shape[1] % 16 == labels.shape[1] % 16 == 0
        assert (batch["input_ids"][attention == 0] == t5.pad_token_id).all()
        ordered = attention if side == "left" else attention.flip(1)
        assert (ordered.diff(dim=1) >= 0).all(), "inputs are padded on one side"
        assert ((labels != -100).int().flip(1).diff(dim=1) >= 0).all(), "labels are padded on the right"

    @pytest.mark.parametrize("drop", [(), ("attention_mask",)])
    @pytest.mark.parametrize("side", ["left", "right"])
    def test_padding_that_came_in_changes_nothing(self, t5, examples, side, drop) -> None:
        tokenizer = copy.copy(t5)
        tokenizer.padding_side = side
        padded = [dict(tokenizer.pad(dict(example), padding="max_length", max_length=150)) for example in examples]
        padded = [{name: values for name, values in example.items() if name not in drop} for example in padded]
        collator = _collator(tokenizer, num_mask_patterns=1)
        batch, plain = collator(padded), collator(examples)
        assert plain["input_ids"].shape[1] < 150
        assert all(torch.equal(batch[name], plain[name]) for name in plain)

    def test_columns_with_a_value_for_each_token_are_dropped(self, t5) -> None:
        given = [
            {
                "input_ids": row,
                "token_type_ids": [0] * len(row),
                "special_tokens_mask": [0] * len(row),
                "task": 7,
                "box": box,
            }
            for row, box in (([5, 6, 7], [1.0, 2.0]), ([8, 9, 10, 11], [3.0, 4.0]))
        ]
        batch = _collator(t5)(given)
        assert set(batch) == {"input_ids", "attention_mask", "labels", "task", "box"}
        assert batch["task"].tolist() == [7, 7]
        assert torch.equal(batch["box"], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))

    def test_the_examples_are_left_as_they_were(self, t5, examples) -> None:
        arrays = [{name: np.array(values) for name, values in example.items()} for example in examples]
        _collator(t5, noise_density=0.9)(arrays)
        assert [{name: values.tolist() for name, values in example.items()} for example in arrays] == examples

    def test_empty_and_single_tokens(self, t5) -> None:
        first, second, third, *_ = find_sentinels(t5).tolist()
        given = [[], [5], [EOS], [5, EOS]]
        assert _rows(_collator(t5, noise_density=0.0)(given)) == [(row, [first, EOS]) for row in given]
        assert _rows(_collator(t5, noise_density=1.0)(given)) == [
            ([], [first, EOS]),
            ([first], [first, 5, second, EOS]),
            ([EOS], [first, EOS]),
            ([first, EOS], [first, 5, second, EOS]),
        ]
        assert {len(labels) for _, labels in _rows(_collator(t5)([[5, 6, EOS], [7, 8]]))} == {4}
        assert _rows(_collator(t5, noise_density=1.0)([[5, UNKNOWN, 6]])) == [
            ([first, UNKNOWN, second], [first, 5, second, 6, third, EOS])
        ]


class TestWhatMayBeNoise:
    def test_not_what_the_users_columns_rule_out(self, t5) -> None:
        sentinels = find_sentinels(t5).tolist()
        row = [5, 6, 7, 8, EOS]
        for column, values in {"special_tokens_mask": [0, 1, 0, 0, 1], "labels": [5, -100, 7, 8, EOS]}.items():
            ((inputs, labels),) = _rows(_collator(t5, noise_density=1.0)([{"input_ids": row, column: values}]))
            assert inputs == [sentinels[0], 6, sentinels[1], EOS]
            assert labels == [sentinels[0], 5, sentinels[1], 7, 8, sentinels[2], EOS]

    def test_not_a_sentinel_that_is_in_the_text(self, t5, ordinary) -> None:
        ((inputs, _),) = _rows(_collator(t5, noise_density=1.0)([[5, ordinary, 6]]))
        assert inputs[1] == ordinary


class TestSentinels:
    def test_they_are_used_in_the_order_of_their_numbers(self, t5) -> None:
        found = t5.convert_ids_to_tokens(find_sentinels(t5).tolist())
        assert found == _named(30)
        assert find_sentinels(t5)[0] == len(t5) - 1, "as in T5, the first has the highest id"

    def test_of_a_slow_tokenizer(self) -> None:
        tokenizer = ByT5Tokenizer()
        assert tokenizer.convert_ids_to_tokens(find_sentinels(tokenizer).tolist()) == _named(125)
        text = tokenizer("the cat sat on a mat")["input_ids"]
        ((inputs, labels),) = _rows(_collator(tokenizer)([text]))
        assembled = _reassembled(inputs, labels, find_sentinels(tokenizer).tolist(), [tokenizer.eos_token_id])
        assert [id_ for id_, _ in assembled] == text

    def test_named_as_mt5_names_them_and_not_special(self) -> None:
        vocabulary = {
            "<pad>": 0,
            "</s>": 1,
            "a": 2,
            "<extra_id_x>": 3,
            **{f"▁<extra_id_{i}>": 10 - i for i in range(4)},
        }
        backend = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>")
        assert find_sentinels(tokenizer).tolist() == [10, 9, 8, 7]
        ((inputs, _),) = _rows(_collator(tokenizer, noise_density=1.0)([[2, 10, 3]]))
        assert inputs == [10, 10, 9], "a sentinel in the text stays"

    def test_of_two_of_one_number_that_without_the_mark_is_taken(self) -> None:
        names = [f"{mark}<extra_id_{i}>" for i in range(3) for mark in ("", "▁")]
        for order in (names, names[::-1]):
            backend = Tokenizer(models.WordLevel({name: id_ for id_, name in enumerate(order)}, unk_token=names[0]))
            tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
            assert tokenizer.convert_ids_to_tokens(find_sentinels(tokenizer).tolist()) == _named(3)

    def test_without_an_end_of_sequence_token(self, t5) -> None:
        tokenizer = copy.deepcopy(t5)
        tokenizer.eos_token = None
        first, second, *_ = find_sentinels(t5).tolist()
        rows = _rows(_collator(tokenizer, noise_density=1.0)([[5, 6], [7]]))
        assert [labels for _, labels in rows] == [[first, 5, 6, second], [first, 7, second]]

    @pytest.mark.parametrize("count", [3, 4, 6])
    def test_too_few_for_the_text_make_longer_spans(self, count) -> None:
        tokenizer = _t5_like(_named(count))
        collator = _collator(tokenizer, noise_density=0.3, mean_noise_span_length=1.0)
        row, sentinels = [5 + i % 40 for i in range(200)], find_sentinels(tokenizer).tolist()
        seen = set()
        for epoch in range(60):
            collator.set_epoch(epoch)
            ((inputs, labels),) = _rows(collator([row]))
            assembled = _reassembled(inputs, labels, sentinels, [EOS])
            assert [id_ for id_, _ in assembled] == row
            assert sum(noise for _, noise in assembled) == 60
            seen.add(labels[-2])
        assert seen == set(sentinels[-2:]), "one more where a span goes round the end"

    def test_too_few_for_a_text_of_many_special_tokens_leave_some_of_it(self) -> None:
        tokenizer = _t5_like(_named(4))
        ((inputs, labels),) = _rows(_collator(tokenizer, noise_density=1.0)([[5, UNKNOWN] * 30]))
        assembled = _reassembled(inputs, labels, find_sentinels(tokenizer).tolist(), [EOS])
        assert [id_ for id_, _ in assembled] == [5, UNKNOWN] * 30
        assert sum(noise for _, noise in assembled) == 3

    @pytest.mark.parametrize("count", [0, 2])
    def test_the_error_tells_how_to_add_them(self, wordpiece, count) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.add_tokens(_named(count))
        with pytest.raises(
            ValueError, match=rf"`tokenizer` must have at least 3 sentinels, .* has {count}. Add"
        ) as error:
            _collator(tokenizer)
        remedy = str(error.value).split("`")[7]
        assert remedy.startswith("tokenizer.add_special_tokens(")
        eval(remedy, {"tokenizer": tokenizer})
        assert len(find_sentinels(tokenizer)) == 100
        _collator(tokenizer)


class TestDeterminism:
    @staticmethod
    def _epochs(
        tokenizer, examples, epochs: int = 4, workers: int = 0, announce: bool = True, batch: int = 4, **options
    ):
        collator = _collator(tokenizer, **options)
        loader = DataLoader(examples, batch_size=batch, num_workers=workers, collate_fn=collator)
        seen = []
        for epoch in range(epochs):
            if announce:
                collator.set_epoch(epoch)
            seen.append(_epoch(loader))
        return seen

    @pytest.mark.parametrize(("patterns", "distinct"), [(None, 4), (1, 1), (2, 2)])
    def test_noise_repeats_after_num_mask_patterns(self, t5, examples, patterns, distinct) -> None:
        seen = self._epochs(t5, examples, num_mask_patterns=patterns)
        for i, j in itertools.combinations(range(4), 2):
            assert (seen[i] == seen[j]) == ((j - i) % distinct == 0)

    def test_workers_and_batches_change_nothing(self, t5, examples) -> None:
        expected = self._epochs(t5, examples, epochs=2)
        assert self._epochs(t5, examples, epochs=2, workers=2) == expected
        assert self._epochs(t5, examples, epochs=2, batch=7) == expected
        backwards = self._epochs(t5, examples[::-1], epochs=2)
        assert [epoch[::-1] for epoch in backwards] == expected

    def test_without_an_epoch_noise_is_dynamic_all_the_same(self, t5, examples) -> None:
        first, second = self._epochs(t5, examples, epochs=2, announce=False)
        assert first != second
        first, second = self._epochs(t5, examples, epochs=2, announce=False, num_mask_patterns=1)
        assert first == second

    def test_neighbouring_seeds_share_nothing(self, t5, examples) -> None:
        long = [example for example in examples if len(example["input_ids"]) > 25]
        (first,), (second,) = (self._epochs(t5, long, epochs=1, seed=seed) for seed in (42, 43))
        assert not any(a == b for a, b in zip(first, second, strict=True))

    def test_evaluation_has_one_noise_at_one_density(self, t5, examples) -> None:
        training = _collator(t5, noise_density=linear_schedule(0.5, 0.1))
        evaluation = training.for_evaluation(0.2)
        first = _rows(evaluation(examples))
        evaluation.set_epoch(3)
        assert _rows(evaluation(examples)) == first
        assert _rows(_collator(t5).for_evaluation(0.2)(examples)) == first, "whatever trains"
        assert _rows(_collator(t5).for_evaluation()(examples)) != first

    def test_copies_and_what_is_set_later(self, t5, wordpiece, examples) -> None:
        collator = _collator(t5)
        collator.set_epoch(1)
        expected = _rows(collator(examples))
        for twin in (pickle.loads(pickle.dumps(collator)), copy.deepcopy(collator)):
            assert _rows(twin(examples)) == expected
            twin.noise_density = 0.5
            assert _rows(twin(examples)) != expected
            twin.tokenizer = ByT5Tokenizer()
            assert _rows(twin([[300, 301]])) == _rows(_collator(ByT5Tokenizer(), noise_density=0.5)([[300, 301]]))
            twin.tokenizer = wordpiece
            with pytest.raises(ValueError, match="must have at least 3 sentinels"):
                twin(examples)

    def test_each_batch_has_its_steps_density(self, t5) -> None:
        long = [{"input_ids": [5 + i % 40 for i in range(start, start + 200)]} for start in range(16)]
        collator = _collator(t5, noise_density=linear_schedule(0.6, 0.1))
        loader = DataLoader(long, batch_size=2, collate_fn=collator, num_workers=2)
        collator.start_epoch(loader, 0, total_steps=8, gradient_accumulation_steps=2, first_step=2)
        sentinels = find_sentinels(t5).tolist()
        for number, batch in enumerate(loader):
            density = 0.6 - 0.5 * (2 + number // 2) / 8
            for inputs, labels in _rows(batch):
                count = sum(noise for _, noise in _reassembled(inputs, labels, sentinels, [EOS]))
                assert count == pytest.approx(density * 200, abs=1)


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"noise_density": 1.5}, "`noise_density` must be a number between 0 and 1, but got 1.5"),
            ({"noise_density": math.nan}, "`noise_density` must be a number between 0 and 1, but got nan"),
            ({"mean_noise_span_length": 0.5}, "`mean_noise_span_length` must be a finite number of at least 1, .* 0.5"),
            ({"num_mask_patterns": 0}, "`num_mask_patterns` must be an integer of at least 1, but got 0"),
            ({"seed": 1.5}, "`seed` must be an integer, but got 1.5"),
            ({"pad_to_multiple_of": 0}, "`pad_to_multiple_of` must be an integer of at least 1"),
            ({"return_tensors": "tf"}, "`return_tensors` must be one of 'pt', 'np', but got 'tf'"),
            ({"noise_density": uniform_rate(block_size=4)}, "`noise_density` must be one density for each sequence"),
        ],
    )
    def test_bad_arguments(self, t5, options, message) -> None:
        with pytest.raises(ValueError, match=message):
            _collator(t5, **options)

    def test_densities_of_blocks_in_evaluation(self, t5) -> None:
        with pytest.raises(ValueError, match="`noise_density` must be one density for each sequence"):
            _collator(t5).for_evaluation(uniform_rate(block_size=4))

    @pytest.mark.parametrize(
        ("examples", "message"),
        [
            ([], "`features` must be a list of at least one example"),
            ([[5, 9999]], "`input_ids` must be within the tokenizer's vocabulary"),
            ([{"input_ids": [5, 6], "labels": [5]}], "`labels` must have a value for each token of its example"),
        ],
    )
    def test_bad_examples(self, t5, examples, message) -> None:
        with pytest.raises(ValueError, match=message):
            _collator(t5)(examples)

    def test_at_the_call(self, t5, examples) -> None:
        with pytest.raises(ValueError, match="`return_tensors` must be one of"):
            _collator(t5)(examples, return_tensors="tf")
        with pytest.raises(
            ValueError, match="`noise_density` is a schedule, but the current optimizer step is unknown"
        ):
            _collator(t5, noise_density=linear_schedule(0.3, 0.1))(examples)
        with pytest.raises(ValueError, match="`mlm_probability` must be a number between 0 and 1, but got 2"):
            _collator(t5).for_evaluation(2)

    def test_no_pad_token(self, t5) -> None:
        tokenizer = copy.deepcopy(t5)
        tokenizer.pad_token = None
        assert _collator(tokenizer)([[5, 6], [7, 8]])["input_ids"].shape == (2, 2)
        with pytest.raises(ValueError, match="`tokenizer` must have a pad token"):
            _collator(tokenizer)([[5, 6], [7]])


@pytest.mark.usefixtures("one_thread")
def test_a_model_learns_under_trainer(t5, tmp_path) -> None:
    """With `Trainer`'s own defaults; noise is annealed, and evaluation is fixed."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(t5),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=1,
        num_heads=4,
        decoder_start_token_id=0,
        dropout_rate=0.0,
    )
    model = T5ForConditionalGeneration(config)
    generator = np.random.default_rng(0)
    texts = [dict(t5(" ".join(generator.choice(WORDS, 8)))) for _ in range(192)]
    seen: dict[bool, list] = {True: [], False: []}
    model.register_forward_pre_hook(
        lambda module, _, batch: seen[module.training].append(_rows(batch)), with_kwargs=True
    )
    trainer = Trainer(
        model,
        TrainingArguments(str(tmp_path), use_cpu=True, report_to="none", learning_rate=1e-2),
        train_dataset=texts[32:],
        eval_dataset=texts[:32],
        data_collator=_collator(t5),
        callbacks=[MaskRateCallback(linear_schedule(0.5, 0.1))],
    )
    with torch.no_grad():
        before = model.eval()(**_collator(t5).for_evaluation()(texts[:32])).loss.item()
    seen[False].clear()
    trainer.train()

    fractions = [_fraction(batch, find_sentinels(t5).tolist()) for batch in seen[True]]
    assert len(fractions) == 60
    assert fractions == pytest.approx([0.5 - 0.4 * step / 60 for step in range(60)], abs=0.04)
    losses = [trainer.evaluate()["eval_loss"] for _ in range(2)]
    assert losses[0] == losses[1] < 0.7 * before
    fixed = _rows(_collator(t5).for_evaluation()(texts[:32]))
    assert list(itertools.chain.from_iterable(seen[False])) == fixed * 2


def _fraction(rows: list[tuple[list[int], list[int]]], sentinels: list[int]) -> float:
    assembled = [pair for row in rows for pair in _reassembled(*row, sentinels, [EOS])]
    return sum(noise for _, noise in assembled) / sum(id_ > UNKNOWN for id_, _ in assembled)
