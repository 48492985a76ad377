"""Strategies for what should not be passed, and is: objects of any kind, and examples that are nearly right."""

from __future__ import annotations

import math
from collections import OrderedDict, UserDict
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy
from transformers import BatchEncoding

LARGE = [2**31, 2**63 - 1, 2**63, 2**64 - 1, 10**30, -1, -(2**63), -(2**70)]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 60) | st.sampled_from(LARGE),
    st.floats() | st.sampled_from([math.nan, math.inf, 0.0, 1.0, 0.15]),
    st.text(max_size=3) | st.binary(max_size=3),
    st.sampled_from(
        [1j, np.int8(3), np.uint64(2**64 - 1), np.float16(0.5), np.float64("nan"), np.bool_(True), np.str_("a")]
    ),
    st.sampled_from([object(), int, len, Ellipsis, range(3), np.datetime64("2020")]),
)
DTYPES = [
    "?",
    "i1",
    "u1",
    "i4",
    "u4",
    "i8",
    "u8",
    ">i8",
    ">i4",
    ">u2",
    "f2",
    "f4",
    "f8",
    ">f8",
    "c8",
    "O",
    "U3",
    "M8[s]",
    "V4",
]
SHAPES = of_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def arrays(draw: st.DrawFn, shapes: st.SearchStrategy = SHAPES) -> np.ndarray:
    """Of any type and layout: also backwards, with gaps, transposed, read-only, and of the other byte order."""
    shape = draw(shapes)
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    values = np.array(draw(st.lists(st.integers(0, 55), min_size=math.prod(shape), max_size=math.prod(shape))))
    array = np.zeros(shape, dtype) if dtype.kind == "V" else values.reshape(shape).astype(dtype)
    layout = draw(st.sampled_from(["plain", "gaps", "backwards", "transposed", "read-only"]))
    if layout == "gaps" and array.ndim:
        array = np.repeat(array, 2, axis=0)[::2]
    elif layout == "backwards":
        array = array[::-1] if array.ndim else array
    elif layout == "transposed":
        array = array.T
    elif layout == "read-only":
        array.flags.writeable = False
    return array


@st.composite
def tensors(draw: st.DrawFn, shapes: st.SearchStrategy = SHAPES) -> torch.Tensor:
    """Of any type and layout: with gradients, sparse, conjugated, without values."""
    shape = draw(shapes)
    values = torch.tensor(draw(st.lists(st.integers(0, 55), min_size=math.prod(shape), max_size=math.prod(shape))))
    kind = draw(st.sampled_from(["int64", "int32", "uint8", "bool", "float16", "bfloat16", "float32", "complex64"]))
    tensor = values.reshape(shape).to(getattr(torch, kind))
    what = draw(st.sampled_from(["plain", "plain", "gradient", "sparse", "meta", "conjugate"]))
    if what == "gradient" and tensor.is_floating_point():
        return tensor.requires_grad_()
    if what == "sparse" and tensor.ndim and tensor.numel():
        return tensor.to_sparse()
    if what == "meta":
        return tensor.to("meta")
    return tensor.conj() if what == "conjugate" else tensor


LEAVES = SCALARS | arrays() | tensors()
KEYS = st.sampled_from(
    ["input_ids", "attention_mask", "labels", "special_tokens_mask", "token_type_ids", "x", "", "tags"]
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS | st.sampled_from([None, 3, ("a",)]), inner, max_size=4),
    ),
    max_leaves=12,
)
MAPPINGS = st.sampled_from([dict, OrderedDict, UserDict, MappingProxyType, BatchEncoding])


def columns(length: int) -> st.SearchStrategy[Any]:
    """Values for a column of an example: of the right length, of nearly the right one, or anything."""
    one_dimension = st.just((length,))
    ids = st.lists(st.integers(0, 50), min_size=length, max_size=length)
    bits = st.lists(st.integers(0, 1), min_size=length, max_size=length)
    return st.one_of(
        ids,
        bits,
        st.just([0] * (length + 1)),
        arrays(one_dimension),
        tensors(one_dimension),
        st.lists(SCALARS, min_size=length, max_size=length),
        LEAVES,
        ANYTHING,
    )


@st.composite
def nearly_examples(draw: st.DrawFn) -> Any:
    """Mappings or bare ids, mostly right, with one to three columns that need not be."""
    lengths = draw(st.lists(st.integers(0, 9), min_size=1, max_size=4))
    names = draw(st.lists(KEYS, max_size=3, unique=True))
    wrong = draw(st.sets(st.sampled_from(["input_ids", *names]), max_size=2))
    make = draw(MAPPINGS)
    examples = []
    for length in lengths:
        ids = draw(columns(length)) if "input_ids" in wrong else draw(_right(length, 50))
        example = {"input_ids": ids}
        for name in names:
            if name != "input_ids":
                example[name] = draw(columns(length)) if name in wrong else draw(_right(length, 1))
        examples.append(example)
    if not names and draw(st.booleans()):
        return [example["input_ids"] for example in examples]
    return [make(example) for example in examples]


def _right(length: int, highest: int) -> st.SearchStrategy[Any]:
    values = st.lists(st.integers(0, highest), min_size=length, max_size=length)
    integers = st.sampled_from(["i8", "i4", ">i4", "u1", ">i8", "u8"])
    return st.one_of(
        values,
        values.map(lambda row: torch.tensor(row, dtype=torch.int64)),
        st.tuples(values, integers).map(lambda pair: np.array(pair[0], dtype=pair[1])),
        values.map(lambda row: np.repeat(np.array(row, dtype=np.int64), 2)[::2]),
        values.map(tuple),
    )
