"""`mask_tokens` gives arrays the masks that the collator gives the same examples, to the bit."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tokenizers_zoo import ZOO
from support.variants import VARIANTS, tags, variant

import hf_dynmask
from hf_dynmask import DataCollatorForDynamicMasking, linear_schedule, mask_tokens, strategies, uniform_rate
from hf_dynmask.vocabulary import vocabulary

EVERY = settings(derandomize=True, deadline=None, max_examples=40)
ROWS = st.lists(st.lists(st.integers(1, 50), max_size=30), min_size=1, max_size=5)  # ids 1 to 4 are special
RATES = st.sampled_from([0.0, 0.15, 1.0, uniform_rate()]) | st.floats(0, 1)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(-(2**70), 2**70),
        "mask_replace_prob": st.just(0.5),
        "random_replace_prob": st.just(0.2),
        "exact_count": st.booleans(),
        "min_masked": st.integers(0, 4),
    },
)
NAMES = [name for name in VARIANTS if name != "adaptive"]


def padded(rows: list[list[int]], side: str, fill: int, extra: int = 0) -> np.ndarray:
    """int64 `[batch, length]`."""
    length = max(map(len, rows)) + extra
    fills = [[fill] * (length - len(row)) for row in rows]
    whole = [row + more if side == "right" else more + row for row, more in zip(rows, fills, strict=True)]
    return np.array(whole, dtype=np.int64).reshape(len(rows), length)


def expected(tokenizer: Any, columns: dict[str, list], epoch: int, **options: Any) -> tuple[list, list]:
    """What the collator makes of each row, without padding."""
    collator = DataCollatorForDynamicMasking(tokenizer, **options)
    examples = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    batch = collator(examples, return_tensors="np", epoch=epoch)
    lengths = list(map(len, columns["input_ids"]))
    return tuple(
        [row[:n].tolist() for row, n in zip(batch[name], lengths, strict=True)] for name in ("input_ids", "labels")
    )


class TestEqualToTheCollator:
    @pytest.mark.parametrize("name", NAMES)
    @EVERY
    @given(
        rows=ROWS,
        rate=RATES,
        epoch=st.integers(0, 2**63 - 1),
        options=OPTIONS,
        layout=st.sampled_from(["right", "left", "list", "right, by the pad token", "left, by the pad token"]),
        with_labels=st.booleans(),
        with_special=st.booleans(),
    )
    def test_in_every_strategy_and_layout(
        self, wordpiece, name, rows, rate, epoch, options, layout, with_labels, with_special
    ) -> None:
        strategy = variant(name, len(wordpiece))
        columns: dict[str, list] = {"input_ids": rows}
        if with_labels:
            columns["labels"] = [[-100 if id_ % 5 == 0 else id_ for id_ in row] for row in rows]
        if with_special:
            columns["special_tokens_mask"] = [[int(id_ % 7 == 0) for id_ in row] for row in rows]
        if "tags" in strategy.columns:
            columns["tags"] = [tags(np.array(row, dtype=np.int64)).tolist() for row in rows]
        options = {**options, "mlm_probability": rate, "strategy": strategy}
        given = dict(columns)
        if layout != "list":
            side = layout.split(",")[0]
            given = {column: padded(values, side, 0, extra=2) for column, values in columns.items()}
            if "pad token" not in layout:
                given["attention_mask"] = padded([[1] * len(row) for row in rows], side, 0, extra=2)
        if "tags" in given:
            given["columns"] = {"tags": given.pop("tags")}
        inputs, labels = mask_tokens(given.pop("input_ids"), wordpiece, epoch=epoch, **given, **options)
        if layout != "list":
            real = padded([[1] * len(row) for row in rows], side, 0, extra=2) == 1
            assert inputs.dtype == labels.dtype == np.int64
            assert (inputs[~real] == 0).all()
            assert (labels[~real] == -100).all()
            inputs = [row[keep] for row, keep in zip(inputs, real, strict=True)]
            labels = [row[keep] for row, keep in zip(labels, real, strict=True)]
        found = tuple([row.tolist() for row in each] for each in (inputs, labels))
        assert found == expected(wordpiece, columns, epoch, **options)

    @pytest.mark.parametrize("family", ZOO)
    def test_in_every_family_of_tokenizers(self, family) -> None:
        tokenizer = ZOO[family]()
        rows = [tokenizer(text)["input_ids"] for text in ("covid19 cost 1,234.56 at 10:30", "the naïve café", "a")]
        for strategy in ("token", "whole_word"):
            if strategy == "whole_word" and vocabulary.read_vocabulary(tokenizer).words is None:
                continue
            options = {"strategy": strategy, "seed": 3, "mlm_probability": 0.4}
            found = mask_tokens(rows, tokenizer, epoch=2, **options)
            assert [[row.tolist() for row in each] for each in found] == list(
                expected(tokenizer, {"input_ids": rows}, 2, **options)
            )

    @pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16, ">i8"])
    def test_in_every_dtype(self, wordpiece, dtype) -> None:
        ids = np.arange(5, 45).reshape(2, 20)
        before = ids.astype(dtype)
        found = mask_tokens(before, wordpiece, epoch=1, mlm_probability=0.5)
        assert (before == ids).all()
        for ours, plain in zip(found, mask_tokens(ids, wordpiece, epoch=1, mlm_probability=0.5), strict=True):
            assert ours.dtype == np.int64
            assert (ours == plain).all()

    def test_without_a_pad_token(self, wordpiece) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.pad_token = None
        _, labels = mask_tokens([[5, 6, 7], [8]], tokenizer, epoch=0, mlm_probability=1.0)
        assert [row.tolist() for row in labels] == [[5, 6, 7], [8]]

    def test_without_a_mask_token(self, wordpiece) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        tokenizer.mask_token = None
        options = {"mask_replace_prob": 0.0, "random_replace_prob": 1.0, "mlm_probability": 1.0}
        inputs, labels = mask_tokens(np.full((1, 40), 9), tokenizer, epoch=0, **options)
        assert (labels == 9).all()
        assert (inputs != 9).any()
        with pytest.raises(ValueError, match="`tokenizer` must have a mask token"):
            mask_tokens([[9]], tokenizer, epoch=0)


class TestTables:
    def test_are_made_once_for_each_tokenizer(self, wordpiece, monkeypatch) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        made = []
        table, words = vocabulary.read_vocabulary, vocabulary._read_words
        monkeypatch.setattr("hf_dynmask.collators.base.read_vocabulary", lambda one: made.append("ids") or table(one))
        monkeypatch.setattr(vocabulary, "_read_words", lambda *given: made.append("words") or words(*given))
        for epoch, rate in ((0, 0.1), (1, 0.2), (1, 0.9)):
            for strategy in ("whole_word", strategies.span()):
                mask_tokens([[5, 6, 7]], tokenizer, epoch=epoch, mlm_probability=rate, seed=epoch, strategy=strategy)
        assert made == ["ids", "words"]

    def test_follow_a_tokenizer_that_changes(self, wordpiece, monkeypatch) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        options = {"epoch": 0, "mlm_probability": 1.0, "mask_replace_prob": 0.0, "random_replace_prob": 0.0}
        mask_tokens([[5]], tokenizer, **options)
        tokenizer.add_tokens(["another"])
        id_ = tokenizer.convert_tokens_to_ids("another")
        assert mask_tokens([[id_]], tokenizer, **options)[1][0].tolist() == [id_]
        made = []
        table = vocabulary.read_vocabulary
        monkeypatch.setattr("hf_dynmask.collators.base.read_vocabulary", lambda one: made.append(one) or table(one))
        mask_tokens([[id_]], tokenizer, **options)
        assert not made, "read again once, and not at every call"

    @pytest.mark.parametrize("strategy", ["token", "whole_word"])
    def test_go_with_their_tokenizer(self, wordpiece, strategy) -> None:
        tokenizer = copy.deepcopy(wordpiece)
        mask_tokens([[5, 6, 7]], tokenizer, epoch=0, strategy=strategy)
        pickle.dumps(tokenizer)
        gone = weakref.ref(tokenizer)
        del tokenizer
        gc.collect()
        assert gone() is None


class TestErrors:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (
                {"input_ids": [5, 6]},
                r"^`input_ids` must be a numpy array `\[batch, length\]`, or a list of one sequence",
            ),
            ({"input_ids": np.array([5, 6])}, r"^`input_ids` must be .*but got an array of the shape \(2,\)"),
            ({"input_ids": np.zeros((1, 2, 3), int)}, r"^`input_ids` must be .*shape \(1, 2, 3\)"),
            ({"input_ids": np.zeros((0, 3), int)}, r"^`input_ids` must be .*shape \(0, 3\)"),
            ({"input_ids": []}, r"^`input_ids` must be .*but got an empty list"),
            ({"input_ids": "text"}, r"^`input_ids` must be .*but got a str"),
            ({"input_ids": ["text"]}, r"^`input_ids` must be .*but got a list of str"),
            ({"input_ids": {"input_ids": [[5]]}}, r"^`input_ids` must be .*but got a dict"),
            (
                {"input_ids": torch.ones(1, 3).long()},
                r"^`input_ids` must be .*Tensor.*`hf_dynmask.on_device.mask_tokens`",
            ),
            ({"input_ids": [[0.5]]}, "^`input_ids` must be integers"),
            ({"input_ids": [[5, 10**6]]}, "^`input_ids` must be within the tokenizer's vocabulary"),
            ({"labels": [[5]]}, "^`labels` must have a row for each of the 2 rows of `input_ids`, but has 1"),
            ({"labels": [0, 1]}, r"^`labels` must be .*but got a list of int"),
            ({"labels": [[5], [6]]}, "^`labels` must have a value for each token"),
            ({"attention_mask": np.full((2, 3), 2)}, "^`attention_mask` must be 0 or 1"),
            ({"special_tokens_mask": np.zeros((2, 4))}, "^`special_tokens_mask` must have a value for each token"),
            ({"mlm_probability": 15}, "^`mlm_probability` must be a number between 0 and 1, but got 15"),
            ({"mlm_probability": linear_schedule(0.3, 0.1)}, r"^`mlm_probability` must be .*`schedule\(progress\)`"),
            ({"mlm_probability": linear_schedule}, "^`mlm_probability` must be a number or a distribution"),
            ({"epoch": -1}, "^`epoch` must be an integer of at least 0, but got -1"),
            ({"epoch": None}, "^`epoch` must be an integer of at least 0, but got None"),
            ({"seed": 0.5}, "^`seed` must be an integer"),
            ({"strategy": "wholeword"}, "^`strategy` must be one of .*Did you mean 'whole_word'"),
            ({"strategy": "adaptive"}, "^`strategy` must not follow the losses of a model"),
            ({"strategy": "entity"}, r"^`columns` must hold what the strategy reads, \['labels'\], but got none"),
            (
                {"columns": {"tags": [[1] * 3] * 2}},
                r"^`columns` must hold what the strategy reads, none, but got \['tags'\]",
            ),
            ({"tokenizer": "bert-base-cased"}, "^`tokenizer` must be a transformers tokenizer"),
            ({"mask_replace_prob": 0.95}, "^`mask_replace_prob` . `random_replace_prob` must not exceed 1"),
        ],
    )
    def test_in_words(self, wordpiece, given, message) -> None:
        arguments = {"input_ids": [[5, 6, 7], [8, 9, 10]], "tokenizer": wordpiece, "epoch": 0, **given}
        with pytest.raises(ValueError, match=message):
            mask_tokens(**arguments)

    def test_options_are_named(self, wordpiece) -> None:
        with pytest.raises(TypeError):
            mask_tokens([[5]], wordpiece, 0)


def test_an_error_leaves_the_tables_as_they_were(wordpiece) -> None:
    with pytest.raises(ValueError, match="seed"):
        mask_tokens([[5]], wordpiece, epoch=0, seed="1")
    assert mask_tokens([[5]], wordpiece, epoch=0)[1][0].tolist() == [5]


def test_it_is_a_public_name() -> None:
    assert hf_dynmask.mask_tokens is mask_tokens
