"""What a column of the examples is: a matter of its name, never of a batch."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_dynmask import DataCollatorForDynamicMasking, DataCollatorForSpanCorruption, strategies

EVERY = settings(derandomize=True, deadline=None, max_examples=100)
MAKES = [DataCollatorForDynamicMasking, DataCollatorForSpanCorruption]
BOTH = pytest.mark.parametrize("make", MAKES)
LAYOUTS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "padded right": (DataCollatorForDynamicMasking, "right", {}),
    "padded left": (DataCollatorForDynamicMasking, "left", {"strategy": "whole_word"}),
    "padded to a multiple": (DataCollatorForDynamicMasking, "right", {"pad_to_multiple_of": 8}),
    "padding-free": (DataCollatorForDynamicMasking, "right", {"padding_free": True}),
    "causal": (DataCollatorForDynamicMasking, "left", {"mlm": False}),
    "span corruption": (DataCollatorForSpanCorruption, "right", {}),
    "span corruption, left": (DataCollatorForSpanCorruption, "left", {}),
}
KINDS = {"lists": np.ndarray.tolist, "arrays": np.asarray, "tensors": torch.from_numpy}


def _collator(tokenizer: Any, layout: str, **options: Any) -> Any:
    make, side, more = LAYOUTS[layout]
    tokenizer = copy.copy(tokenizer)
    tokenizer.padding_side = side
    return make(tokenizer, num_mask_patterns=1, **more, **options)


def _examples(lengths: list[int], **columns: Any) -> list[dict[str, Any]]:
    """Each column makes the values of an example from its number and its length."""
    return [
        {"input_ids": [5 + place % 40 for place in range(length)]}
        | {name: make(number, length) for name, make in columns.items()}
        for number, length in enumerate(lengths)
    ]


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[int], tuple[int, ...]]:
    """Token counts, and the shape of what each example has besides: in half of all, its length is every token count."""
    lengths = draw(st.lists(st.integers(0, 9), min_size=1, max_size=5))
    shape = draw(st.lists(st.integers(1, 9), max_size=3))
    if shape and draw(st.booleans()):
        lengths = [shape[0]] * len(lengths)
    return lengths, tuple(shape)


@pytest.mark.parametrize("return_tensors", ["np", "pt"])
@pytest.mark.parametrize("layout", LAYOUTS)
@EVERY
@given(batch=batches(), kind=st.sampled_from(sorted(KINDS)), padded=st.booleans())
def test_a_column_of_sequences_is_stacked_whatever_the_token_counts(
    with_sentinels, layout, return_tensors, batch, kind, padded
) -> None:
    lengths, shape = batch
    values = np.arange(len(lengths) * int(np.prod(shape))).reshape(len(lengths), *shape)
    examples = _examples(lengths, vector=lambda i, length: KINDS[kind](values[i]) if shape else int(values[i]))
    if padded:
        for example in examples:
            example["attention_mask"] = [int(place < 3) for place in range(len(example["input_ids"]))]
    out = _collator(with_sentinels, layout, return_tensors=return_tensors)(examples)
    assert tuple(out["vector"].shape) == (len(lengths), *shape)
    assert out["vector"].tolist() == values.tolist()


@pytest.mark.parametrize("return_tensors", ["np", "pt"])
@pytest.mark.parametrize("layout", LAYOUTS)
@EVERY
@given(batch=batches(), kind=st.sampled_from(sorted(KINDS)))
def test_a_column_that_is_named_goes_with_the_tokens(with_sentinels, layout, return_tensors, batch, kind) -> None:
    lengths, shape = batch
    shape = shape[1:]
    examples = _examples(lengths, box=lambda i, length: KINDS[kind](np.full((length, *shape), i + 1)))
    out = _collator(with_sentinels, layout, return_tensors=return_tensors, per_token_columns=["box"])(examples)
    if layout.startswith("span corruption"):
        assert "box" not in out
        return
    assert tuple(out["box"].shape[:2]) == tuple(out["input_ids"].shape)
    if sum(lengths):  # without a token, nothing tells the shape of its values
        assert tuple(out["box"].shape[2:]) == shape
        assert out["box"].sum() == sum((i + 1) * length for i, length in enumerate(lengths)) * np.prod(shape)


def test_a_per_sequence_vector_of_a_batch_whose_token_counts_are_its_length(with_sentinels) -> None:
    """Five values for each example: with five tokens, they are not the tokens'."""
    examples = _examples([5, 5], soft=lambda i, length: [0.25] * 5)
    shapes = {layout: tuple(_collator(with_sentinels, layout)(examples)["soft"].shape) for layout in LAYOUTS}
    assert shapes == dict.fromkeys(LAYOUTS, (2, 5))


@pytest.mark.parametrize("name", ["token_type_ids", "position_ids", "bbox", "global_attention_mask", "input_shape_ids"])
def test_what_tokenizers_make_goes_with_the_tokens_without_being_named(wordpiece, name) -> None:
    values = {"bbox": [[7, 8]] * 5, "position_ids": [0, 1, 2, 3, 4]}.get(name, [1] * 5)
    examples = _examples([5, 3], **{name: lambda i, length: values[:length]})
    assert _collator(wordpiece, "padded right")(examples)[name].shape[:2] == (2, 5)
    assert _collator(wordpiece, "padding-free")(examples)[name].shape[:2] == (1, 8)


def test_what_the_strategy_reads_goes_with_the_tokens_without_being_named(wordpiece) -> None:
    strategy = strategies.entity(0.5, "tags", outside=(0,))
    examples = _examples([5, 3], tags=lambda i, length: [0] * length, soft=lambda i, length: [1.0] * 5)
    batch = _collator(wordpiece, "padded right", **{"strategy": strategy})(examples)
    assert set(batch) == {"input_ids", "attention_mask", "labels", "soft"}
    assert batch["soft"].shape == (2, 5)


class TestClasses:
    """`labels` that are one number for each example, as data for classification have them."""

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("length", [1, 5])
    def test_they_change_nothing(self, with_sentinels, layout, length) -> None:
        collator = _collator(with_sentinels, layout, return_tensors="np")
        plain, given = (
            collator(_examples([length, 5], **more)) for more in ({}, {"labels": lambda number, length: number})
        )
        assert set(given) == set(plain)
        assert all(np.array_equal(given[name], plain[name]) for name in plain)

    @BOTH
    @pytest.mark.parametrize("labels", [[3], [0, 1, 0], "positive", None])
    def test_what_is_no_number_is_refused(self, with_sentinels, make, labels) -> None:
        with pytest.raises(ValueError, match="`labels` must have a value for each token of its example, but example 0"):
            make(with_sentinels)(_examples([5, 4], labels=lambda number, length: labels))

    @BOTH
    def test_numbers_in_some_examples_only_are_refused(self, with_sentinels, make) -> None:
        examples = _examples([5, 4], labels=lambda number, length: number if number else [0] * length)
        with pytest.raises(
            ValueError, match=r"`labels` must have a value for each token .* 1 has one int for 4 tokens"
        ):
            make(with_sentinels)(examples)

    def test_they_are_no_tags(self, wordpiece) -> None:
        for options in ({"strategy": "entity"}, {"per_token_columns": ["labels"]}):
            collator = _collator(wordpiece, "padded right", **options)
            with pytest.raises(ValueError, match=r"`labels` must have a value for each token .* 0 has one int for 5"):
                collator(_examples([5, 4], labels=lambda number, length: number))


class TestErrors:
    @BOTH
    @pytest.mark.parametrize(
        "names", ["tags", 3, None, ["tags", 3], [b"tags"], {"tags": 1}, np.array(["tags"])], ids=str
    )
    def test_names_that_are_none(self, with_sentinels, make, names) -> None:
        with pytest.raises(ValueError, match="`per_token_columns` must be a list of names of columns, but got"):
            make(with_sentinels, per_token_columns=names)

    @BOTH
    def test_names_that_are_set_later(self, with_sentinels, make) -> None:
        collator = make(with_sentinels)
        collator.per_token_columns = "tags"
        with pytest.raises(ValueError, match=r"but got 'tags'\. Pass `per_token_columns=\['tags'\]`"):
            collator([[5, 6]])

    @BOTH
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_column_of_tokens_that_is_not_named(self, with_sentinels, make, kind) -> None:
        examples = _examples([5, 3], tags=lambda i, length: KINDS[kind](np.zeros(length, dtype=np.int64)))
        with pytest.raises(ValueError, match=r'`tags` must have one shape .* Pass `per_token_columns=\["tags"\]`'):
            make(with_sentinels)(examples)
        make(with_sentinels, per_token_columns=["tags"])(examples)

    def test_what_no_name_would_help_is_not_told_to_be_named(self, wordpiece) -> None:
        for column in ({"x": lambda i, length: ["a"] * length}, {"x": lambda i, length: [1] * (i + 1)}):
            with pytest.raises(ValueError, match="column `x` must hold numbers"):
                _collator(wordpiece, "padded right")(_examples([5, 3], **column))

    @BOTH
    @pytest.mark.parametrize(
        ("name", "options"), [("tags", {"per_token_columns": ("tags",)}), ("token_type_ids", {}), ("labels", {})]
    )
    def test_a_column_of_tokens_of_another_length(self, with_sentinels, make, name, options) -> None:
        examples = _examples([5, 3], **{name: lambda i, length: [0] * 5})
        message = f"`{name}` must have a value for each token of its example, but example 1 has 5 for 3 tokens"
        with pytest.raises(ValueError, match=message):
            make(with_sentinels, **options)(examples)

    @BOTH
    def test_a_column_of_tokens_without_length(self, with_sentinels, make) -> None:
        with pytest.raises(ValueError, match=r"`tags` must have a value for each token .* example 0 has one int for 5"):
            make(with_sentinels, per_token_columns=["tags"])(_examples([5, 3], tags=lambda i, length: 1))
