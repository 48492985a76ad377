from __future__ import annotations

import copy
import dataclasses
import math
import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.extended import pairs
from torch.utils.data import DataLoader
from transformers import BatchEncoding, DataCollatorForLanguageModeling

from hf_dynmask import DataCollatorForDynamicMasking, linear_schedule

SENTENCE = "the unbelievable cats were playing , with flowers !"


@pytest.fixture
def examples(wordpiece) -> list[dict[str, list[int]]]:
    generator = np.random.default_rng(0)
    words = SENTENCE.split()
    return [dict(wordpiece(" ".join(generator.choice(words, size)))) for size in generator.integers(4, 30, 48)]


def _collator(tokenizer, **options) -> DataCollatorForDynamicMasking:
    return DataCollatorForDynamicMasking(tokenizer, **{"seed": 42, **options})


def _epoch(loader: DataLoader) -> list[tuple[tuple[int, ...], ...]]:
    """The labels of every example that a loader gives, in order, padding left out."""
    seen = []
    for batch in loader:
        for labels, attention in zip(batch["labels"], batch["attention_mask"], strict=True):
            seen.append(tuple(labels[attention == 1].tolist()))
    return seen


class TestOutput:
    def test_the_keys_shapes_and_dtypes_are_the_stock_collators(self, wordpiece, examples) -> None:
        ours = _collator(wordpiece)(examples)
        stock = DataCollatorForLanguageModeling(wordpiece)([dict(example) for example in examples])
        assert isinstance(ours, BatchEncoding)
        assert set(ours) == set(stock)
        for name in stock:
            assert ours[name].shape == stock[name].shape
            assert ours[name].dtype == stock[name].dtype
        assert torch.equal(ours["attention_mask"], stock["attention_mask"])

    @pytest.mark.parametrize("kind", ["lists", "numpy", "torch", "bare lists", "bare numpy", "bare torch", "encodings"])
    def test_every_kind_of_example_gives_the_same_batch(self, wordpiece, examples, kind) -> None:
        convert = {"numpy": np.array, "torch": torch.tensor}.get(kind.split()[-1], list)
        if kind.startswith("bare"):
            given = [convert(example["input_ids"]) for example in examples]
        else:
            given = [{name: convert(values) for name, values in example.items()} for example in examples]
        if kind == "encodings":
            given = [BatchEncoding(example) for example in given]
        expected, batch = (_collator(wordpiece, num_mask_patterns=1)(each) for each in (examples, given))
        for name in ("input_ids", "labels", "attention_mask"):
            assert torch.equal(batch[name], expected[name])

    def test_numpy_and_torch_batches_are_equal(self, wordpiece, examples) -> None:
        collator = _collator(wordpiece, num_mask_patterns=1)
        as_torch, as_numpy = collator(examples), collator(examples, return_tensors="np")
        assert all(isinstance(values, np.ndarray) for values in as_numpy.values())
        assert all((as_torch[name].numpy() == as_numpy[name]).all() for name in as_torch)

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_padding_goes_to_the_tokenizers_side_with_the_right_values(self, wordpiece, side) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.padding_side = side
        long, short = {"input_ids": [2, 5, 6, 7, 3]}, {"input_ids": [2, 5, 3]}
        for example, types in ((long, [0, 0, 1, 1, 1]), (short, [1, 1, 1])):
            example.update(
                token_type_ids=types, box=[[7, 8]] * len(types), weight=[0.5] * len(types), length=len(types)
            )
        batch = _collator(tokenizer, pad_to_multiple_of=4, per_token_columns=["box", "weight"])([long, short])
        assert batch["input_ids"].shape == (2, 8)
        padding = slice(0, 5) if side == "left" else slice(3, 8)
        for name, value in {"input_ids": 0, "attention_mask": 0, "labels": -100, "token_type_ids": 0}.items():
            assert (batch[name][1, padding] == value).all(), name
        assert batch["attention_mask"].sum(1).tolist() == [5, 3]
        assert batch["box"].shape == (2, 8, 2)
        assert batch["box"].sum(1).tolist() == [[35, 40], [21, 24]]
        assert batch["weight"].dtype == torch.float32
        assert batch["length"].tolist() == [5, 3]

    def test_the_batch_holds_only_what_the_model_takes(self, wordpiece) -> None:
        encoding = wordpiece(SENTENCE, return_special_tokens_mask=True, return_offsets_mapping=True)
        assert set(_collator(wordpiece)([encoding])) >= {"input_ids", "attention_mask", "labels"}
        assert not {"special_tokens_mask", "offset_mapping"} & set(_collator(wordpiece)([encoding]))

    def test_the_examples_are_left_as_they_were(self, wordpiece, examples) -> None:
        arrays = [{name: np.array(values) for name, values in example.items()} for example in examples]
        before = copy.deepcopy(arrays)
        _collator(wordpiece, mlm_probability=1.0)(arrays)
        for example, old in zip(arrays, before, strict=True):
            assert all((example[name] == old[name]).all() for name in old)

    @pytest.mark.parametrize("drop", [(), ("attention_mask",)])
    @pytest.mark.parametrize("side", ["left", "right"])
    def test_padding_that_came_in_changes_no_mask(self, wordpiece, examples, side, drop) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.padding_side = side
        padded = [dict(tokenizer.pad(dict(example), padding="max_length", max_length=64)) for example in examples]
        for example in padded:
            for name in drop:
                del example[name]
        collator = _collator(tokenizer, num_mask_patterns=1)
        batch, plain = collator(padded), collator(examples)
        assert batch["input_ids"].shape == (len(examples), 64), "a fixed length stays"
        for row in range(len(examples)):
            for name in ("input_ids", "labels"):
                attended, expected = batch["attention_mask"][row] == 1, plain["attention_mask"][row] == 1
                assert torch.equal(batch[name][row][attended], plain[name][row][expected])
            assert (batch["labels"][row][batch["attention_mask"][row] == 0] == -100).all()

    @pytest.mark.parametrize("return_tensors", ["pt", "np"])
    @pytest.mark.parametrize("side", ["left", "right"])
    @pytest.mark.parametrize("multiple", [None, 8])
    @pytest.mark.parametrize("pad_token", ["[PAD]", "[SEP]"])
    @pytest.mark.parametrize("kind", ["mappings", "padded", "bare"])
    def test_without_masks_the_batch_is_the_stock_collators(
        self, wordpiece, examples, kind, pad_token, multiple, side, return_tensors
    ) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.padding_side, tokenizer.pad_token = side, pad_token
        if kind == "bare":
            examples = [example["input_ids"] for example in examples]
        elif kind == "padded":
            examples = [dict(tokenizer.pad(dict(example), padding="max_length", max_length=64)) for example in examples]
        options = {"mlm": False, "pad_to_multiple_of": multiple, "return_tensors": return_tensors}
        ours = _collator(tokenizer, **options)(examples)
        stock = DataCollatorForLanguageModeling(tokenizer, **options)(copy.deepcopy(examples))
        for name in stock:
            assert type(ours[name]) is type(stock[name])
            assert ours[name].tolist() == stock[name].tolist()

    def test_whole_words_without_masks_are_refused(self, wordpiece) -> None:
        with pytest.raises(ValueError, match="`whole_word_mask` must be left at its default with `mlm=False`"):
            _collator(wordpiece, mlm=False, whole_word_mask=True)


class TestWhatMayBeMasked:
    def test_special_and_unknown_tokens_never_with_or_without_a_special_tokens_mask(self, wordpiece) -> None:
        for more in ({}, {"return_special_tokens_mask": True}):
            encoding = wordpiece("the zebra sat", **more)
            labels = _collator(wordpiece, mlm_probability=1.0)([encoding])["labels"][0].tolist()
            kept = wordpiece.convert_ids_to_tokens([label for label in labels if label != -100])
            assert kept == ["the", "sat"]

    def test_not_what_the_users_special_tokens_mask_names(self, wordpiece) -> None:
        encoding = wordpiece("the cat sat", return_special_tokens_mask=True)
        encoding["special_tokens_mask"][2] = 1
        labels = _collator(wordpiece, mlm_probability=1.0)([encoding])["labels"][0]
        assert (labels != -100).tolist() == [False, True, False, True, False]

    def test_not_where_the_users_labels_are_ignored(self, wordpiece) -> None:
        encoding = wordpiece("the cat sat")
        encoding["labels"] = [-100, -100, *encoding["input_ids"][2:]]
        labels = _collator(wordpiece, mlm_probability=1.0)([encoding])["labels"][0]
        assert (labels != -100).tolist() == [False, False, True, True, False]

    def test_random_ids_are_never_special(self, wordpiece) -> None:
        collator = _collator(wordpiece, mlm_probability=1.0, mask_replace_prob=0.0, random_replace_prob=1.0)
        seen: set[int] = set()
        for epoch in range(200):
            collator.set_epoch(epoch)
            batch = collator([wordpiece(SENTENCE)])
            seen |= set(batch["input_ids"][batch["labels"] != -100].tolist())
        assert seen == set(range(len(wordpiece))) - set(wordpiece.all_special_ids)

    def test_a_loss_is_never_nan(self, wordpiece) -> None:
        collator = _collator(wordpiece, mlm_probability=0.01)
        for epoch in range(50):
            collator.set_epoch(epoch)
            labels = collator([wordpiece("the cat"), wordpiece("dog"), wordpiece("")])["labels"]
            assert (labels != -100).sum(1).tolist() == [1, 1, 0], "the empty text has nothing to mask"


class TestWords:
    @pytest.mark.parametrize("family", ["wordpiece", "byte_level", "metaspace"])
    def test_words_are_masked_whole(self, family, request) -> None:
        tokenizer = request.getfixturevalue(family)
        collator = _collator(tokenizer, mlm_probability=0.4, strategy="whole_word")
        encoding = tokenizer("the unbelievable cats were playing with flowers running quickly")
        words = encoding.word_ids()
        for epoch in range(100):
            collator.set_epoch(epoch)
            masked = collator([dict(encoding)])["labels"][0] != -100
            for word in {word for word in words if word is not None}:
                assert len({bool(masked[i]) for i, of in enumerate(words) if of == word}) == 1

    @pytest.mark.parametrize("family", ["wordpiece", "byte_level", "metaspace"])
    def test_masked_words_come_one_by_one(self, family, request) -> None:
        """Single words are masked too: a sequence is not one unit."""
        tokenizer = request.getfixturevalue(family)
        collator = _collator(tokenizer, mlm_probability=0.15, strategy="whole_word")
        encoding = tokenizer("the unbelievable cats were playing with flowers running quickly")
        of_word = np.array([-1 if word is None else word for word in encoding.word_ids()])
        alone = set()
        for epoch in range(200):
            collator.set_epoch(epoch)
            masked = set(of_word[(collator([dict(encoding)])["labels"][0] != -100).numpy()].tolist())
            alone |= masked if len(masked) == 1 else set()
        assert alone == set(of_word.tolist()) - {-1}

    def test_the_stock_argument_is_taken(self, wordpiece, examples) -> None:
        ours, named = _collator(wordpiece, whole_word_mask=True), _collator(wordpiece, strategy="whole_word")
        for collator in (ours, named):
            collator.set_epoch(0)
        assert torch.equal(ours(examples)["labels"], named(examples)["labels"])

    def test_a_function_is_a_strategy(self, wordpiece) -> None:
        def pairs(tokens):
            return tokens.positions % 2 == 1

        collator = _collator(wordpiece, strategy=pairs, mlm_probability=0.5)
        for epoch in range(20):
            collator.set_epoch(epoch)
            masked = collator([wordpiece("the cat sat on a mat")])["labels"][0] != -100
            assert torch.equal(masked[1:7:2], masked[2:8:2])


class TestDeterminism:
    """Masks do as `num_mask_patterns` says, also where a fixed seed meets workers that start anew each epoch."""

    @staticmethod
    def _epochs(tokenizer, examples, epochs: int = 5, workers: int = 2, announce: bool = True, **options):
        collator = _collator(tokenizer, **options)
        loader = DataLoader(examples, batch_size=4, num_workers=workers, collate_fn=collator)
        masks = []
        for epoch in range(epochs):
            if announce:
                collator.set_epoch(epoch)
            masks.append(_epoch(loader))
        return masks

    @pytest.mark.parametrize(("patterns", "distinct"), [(None, 5), (1, 1), (2, 2), (3, 3)])
    def test_masks_repeat_after_num_mask_patterns(self, wordpiece, examples, patterns, distinct) -> None:
        masks = self._epochs(wordpiece, examples, num_mask_patterns=patterns)
        for i in range(5):
            for j in range(i):
                assert (masks[i] == masks[j]) == ((i - j) % distinct == 0)

    def test_without_an_epoch_masks_are_dynamic_all_the_same(self, wordpiece, examples) -> None:
        for workers in (0, 2):
            masks = self._epochs(wordpiece, examples, announce=False, workers=workers, epochs=3)
            assert len({tuple(epoch) for epoch in masks}) == 3

    def test_without_an_epoch_static_stays_static(self, wordpiece, examples) -> None:
        masks = self._epochs(wordpiece, examples, announce=False, num_mask_patterns=1, epochs=3)
        assert len({tuple(epoch) for epoch in masks}) == 1

    def test_without_an_epoch_the_global_seed_is_followed(self, wordpiece, examples) -> None:
        runs = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            runs.append(self._epochs(wordpiece, examples, announce=False, epochs=2))
        assert runs[0] == runs[1] != runs[2]

    @pytest.mark.parametrize("workers", [1, 3])
    def test_any_number_of_workers_gives_the_same_masks(self, wordpiece, examples, workers) -> None:
        alone, many = (self._epochs(wordpiece, examples, workers=count, epochs=2) for count in (0, workers))
        assert many == alone

    def test_neighbouring_seeds_share_nothing(self, wordpiece, examples) -> None:
        first, second = (self._epochs(wordpiece, examples, epochs=1, seed=seed)[0] for seed in (42, 43))
        same = sum(a == b for a, b in zip(first, second, strict=True))
        assert same < len(first) / 4  # short sentences have few masks to choose from

    def test_no_global_random_state_is_touched(self, wordpiece, examples) -> None:
        torch.manual_seed(0)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist()
        self._epochs(wordpiece, examples, workers=0, epochs=1)
        _collator(wordpiece, num_mask_patterns=1)(examples)
        assert np.random.get_state()[1].tolist() == before[1]
        assert not torch.equal(torch.get_rng_state(), before[0]), "the loader itself draws its base seed"
        torch.set_rng_state(before[0])
        collator = _collator(wordpiece)
        collator.set_epoch(0)
        collator(examples)
        assert torch.equal(torch.get_rng_state(), before[0])

    def test_evaluation_has_one_mask_at_one_rate(self, wordpiece, examples) -> None:
        training = _collator(wordpiece, mlm_probability=linear_schedule(0.5, 0.1), num_mask_patterns=None)
        evaluation = training.for_evaluation(0.15)
        first = evaluation(examples)["labels"]
        evaluation.set_epoch(3)
        assert torch.equal(evaluation(examples)["labels"], first)
        assert torch.equal(_collator(wordpiece).for_evaluation()(examples)["labels"], first), "whatever trains"


class TestSchedulesByHand:
    @pytest.mark.parametrize(("context", "persistent"), pairs(["fork", "spawn"], [False, True]))
    def test_each_batch_has_its_steps_rate(self, wordpiece, context, persistent) -> None:
        long = [{"input_ids": [5 + i % 40 for i in range(start, start + 500)]} for start in range(24)]
        collator = _collator(wordpiece, mlm_probability=linear_schedule(0.6, 0.1), exact_count=True)
        loader = DataLoader(
            long,
            batch_size=2,
            collate_fn=collator,
            num_workers=2,
            persistent_workers=persistent,
            multiprocessing_context=multiprocessing.get_context(context),
        )
        for epoch in range(2):
            collator.start_epoch(loader, epoch, total_steps=8, gradient_accumulation_steps=3)
            for number, batch in enumerate(loader):
                rate = 0.6 - 0.5 * (epoch * 4 + number // 3) / 8
                assert (batch["labels"] != -100).sum(1).tolist() == pytest.approx([rate * 500] * 2, abs=1)

    def test_a_copy_keeps_its_masks_and_its_own_clock(self, wordpiece, examples) -> None:
        collator = _collator(wordpiece)
        collator.set_epoch(1)
        for twin in (pickle.loads(pickle.dumps(collator)), copy.deepcopy(collator)):
            assert torch.equal(twin(examples)["labels"], collator(examples)["labels"])
            twin.set_epoch(2)
            assert not torch.equal(twin(examples)["labels"], collator(examples)["labels"])


class TestDataclass:
    def test_equal_arguments_make_equal_collators(self, wordpiece) -> None:
        assert _collator(wordpiece, strategy="span") == _collator(wordpiece, strategy="span")
        assert _collator(wordpiece, strategy="span") != _collator(wordpiece, strategy="token")

    def test_fields_hold_what_was_passed(self, wordpiece) -> None:
        collator = _collator(wordpiece)
        collator.strategy = "whole_word"
        assert collator.strategy == "whole_word"
        assert "strategy='whole_word'" in repr(collator)
        assert dataclasses.replace(collator, seed=1).strategy == "whole_word"

    def test_what_is_set_later_counts(self, wordpiece, examples) -> None:
        collator = _collator(wordpiece, num_mask_patterns=1)
        before = collator(examples)["labels"]
        collator.strategy, collator.mlm_probability = "whole_word", 0.5
        expected = _collator(wordpiece, num_mask_patterns=1, strategy="whole_word", mlm_probability=0.5)(examples)
        assert not torch.equal(before, expected["labels"])
        assert torch.equal(collator(examples)["labels"], expected["labels"])


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"mlm_probability": 1.5}, "`mlm_probability` must be a number between 0 and 1, but got 1.5"),
            ({"mlm_probability": math.nan}, "`mlm_probability` must be a number between 0 and 1, but got nan"),
            ({"mlm_probability": None}, "`mlm_probability` must be .* but got None"),
            ({"mask_replace_prob": -0.1}, "`mask_replace_prob` must be a number between 0 and 1"),
            ({"mask_replace_prob": 0.9, "random_replace_prob": 0.2}, r"must not exceed 1, but got 0.9 \+ 0.2"),
            ({"strategy": "whole_wrd"}, "`strategy` must be one of .*Did you mean 'whole_word'"),
            ({"num_mask_patterns": 0}, "`num_mask_patterns` must be an integer of at least 1, but got 0"),
            ({"min_masked": -1}, "`min_masked` must be an integer of at least 0"),
            ({"seed": 1.5}, "`seed` must be an integer, but got 1.5"),
            ({"pad_to_multiple_of": 0}, "`pad_to_multiple_of` must be an integer of at least 1"),
            ({"return_tensors": "tf"}, "`return_tensors` must be one of 'pt', 'np', but got 'tf'"),
        ],
    )
    def test_bad_arguments(self, wordpiece, options, message) -> None:
        with pytest.raises(ValueError, match=message):
            _collator(wordpiece, **options)

    @pytest.mark.parametrize(
        ("examples", "message"),
        [
            ([], "`features` must be a list of at least one example, .* but got an empty batch"),
            ({"input_ids": [5]}, "`features` must be a list of at least one example, .* but got one dict"),
            ([{"text": "a"}], r"must have `input_ids`, but have \['text'\]"),
            ([{"input_ids": [5]}, {"attention_mask": [1]}], "example 1 has no `input_ids`"),
            ([{"input_ids": [5]}, {"input_ids": [5], "labels": [5]}], "example 1 has `labels`, which example 0 lacks"),
            ([{"input_ids": [5, 6], "attention_mask": [1, 2]}], "`attention_mask` must be 0 or 1"),
            ([{"input_ids": [5, 9999]}], "within the tokenizer's vocabulary, 0 to 50, but got 9999"),
            ([{"input_ids": [5, -1]}], "within the tokenizer's vocabulary, 0 to 50, but got -1"),
            ([{"input_ids": [5.0, 6.5]}], "`input_ids` must be integers, one for each token, but got float"),
            ([np.array([5.0])], "`input_ids` must be integers"),
            ([{"input_ids": [[5], [6]]}], "`input_ids` must be integers, one for each token, .* 2 dimensions"),
            ([{"input_ids": [5], "text": "a"}], "column `text` must hold numbers"),
            ([{"input_ids": [5], "tags": ["a"]}], "column `tags` must hold numbers"),
            ([{"input_ids": [5], "x": [1, 2]}, {"input_ids": [5], "x": [1, 2, 3]}], "column `x` must hold numbers"),
        ],
    )
    def test_bad_examples(self, wordpiece, examples, message) -> None:
        with pytest.raises(ValueError, match=message):
            _collator(wordpiece)(examples)

    @pytest.mark.parametrize("examples", [["text"], [5, 6], [[5], {"input_ids": [5]}]])
    def test_examples_that_are_no_sequences(self, wordpiece, examples) -> None:
        with pytest.raises(TypeError, match="`features` must be mappings with `input_ids`, or sequences of token ids"):
            _collator(wordpiece)(examples)

    def test_no_mask_token(self, wordpiece) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.mask_token = None
        with pytest.raises(ValueError, match="`tokenizer` must have a mask token"):
            _collator(tokenizer)
        _collator(tokenizer, mlm=False)

    def test_no_pad_token(self, wordpiece) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.pad_token = None
        assert _collator(tokenizer)([[5, 6], [7, 8]])["input_ids"].shape == (2, 2)
        with pytest.raises(ValueError, match="`tokenizer` must have a pad token"):
            _collator(tokenizer)([[5, 6], [7]])

    def test_words_without_marks(self, wordpiece) -> None:
        from tokenizers import Tokenizer, models
        from transformers import PreTrainedTokenizerFast

        characters = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2, "M": 3}, unk_token="?"))
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=characters, unk_token="?", mask_token="M")
        with pytest.raises(ValueError, match="needs a vocabulary that marks words"):
            _collator(tokenizer, strategy="whole_word")

    def test_an_unknown_tensor_type_in_the_call(self, wordpiece, examples) -> None:
        with pytest.raises(ValueError, match="`return_tensors` must be one of"):
            _collator(wordpiece)(examples, return_tensors="tf")

    def test_a_schedule_whose_step_is_not_known(self, wordpiece, examples) -> None:
        collator = _collator(wordpiece, mlm_probability=linear_schedule(0.3, 0.1))
        with pytest.raises(ValueError, match="`mlm_probability` is a schedule, but the current optimizer step is unkn"):
            collator(examples)
        with pytest.raises(ValueError, match="`set_epoch` must be used with a constant `mlm_probability`, but got a s"):
            collator.set_epoch(0)
        with pytest.raises(ValueError, match="`total_steps` is required when `mlm_probability` is a schedule"):
            collator.start_epoch(DataLoader(examples, collate_fn=collator), 0)

    @pytest.mark.parametrize("name", ["epoch", "first_step", "total_steps", "gradient_accumulation_steps"])
    def test_bad_epochs(self, wordpiece, examples, name) -> None:
        collator = _collator(wordpiece)
        loader = DataLoader(examples, collate_fn=collator)
        with pytest.raises(ValueError, match=f"`{name}` must be an integer of at least"):
            collator.start_epoch(loader, **{"epoch": 0, name: -1})
        for call in (collator.set_epoch, lambda epoch: collator(examples, epoch=epoch)):
            with pytest.raises(ValueError, match="`epoch` must be an integer of at least 0, but got -1"):
                call(-1)

    def test_a_schedule_that_goes_wrong_in_a_worker(self, wordpiece, examples) -> None:
        collator = _collator(wordpiece, mlm_probability=_nan_later)
        loader = DataLoader(examples, batch_size=8, num_workers=2, collate_fn=collator)
        collator.start_epoch(loader, 0, total_steps=6)
        with pytest.raises(ValueError, match=r"schedule\(progress=0.5\) at step 3 of 6` must be a number"):
            list(loader)


def _nan_later(progress: float) -> float:
    return 0.2 if progress < 0.5 else math.nan


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 50), max_size=12), min_size=1, max_size=6), st.sampled_from(["left", "right"]))
def test_padding_undoes(wordpiece, rows, side) -> None:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.padding_side = side
    examples = [{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows]
    batch = _collator(tokenizer, num_mask_patterns=1)(examples)
    for row, inputs, labels, attention in zip(
        rows, batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True
    ):
        assert attention.sum() == len(row)
        original = torch.where(labels == -100, inputs, labels)[attention == 1]
        assert original.tolist() == row


@pytest.mark.parametrize("progress", [-0.1, 1.5, "a", float("nan")])
def test_a_progress_outside_training_is_refused(wordpiece, progress) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, linear_schedule(0.3, 0.1))
    with pytest.raises(ValueError, match="`progress` must be a number between 0 and 1, but got"):
        collator([{"input_ids": [5, 6]}], epoch=0, progress=progress)
