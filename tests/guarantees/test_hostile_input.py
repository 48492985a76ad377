"""Whatever is passed to collators and schedules, the errors that come out are documented and name what was wrong."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.anything import ANYTHING, SCALARS, nearly_examples
from torch.utils.data import DataLoader

import hf_dynmask
from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorForSpanCorruption,
    MaskRateCallback,
    strategies,
    uniform_rate,
)

DOCUMENTED = (ValueError, TypeError)


@pytest.fixture(scope="module")
def with_sentinels(wordpiece) -> Any:
    tokenizer = copy.deepcopy(wordpiece)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<extra_id_{i}>" for i in range(20)]})
    return tokenizer


@pytest.fixture(scope="module")
def collators(wordpiece, with_sentinels) -> dict[str, Callable]:
    made = {
        "tokens": DataCollatorForDynamicMasking(wordpiece),
        "words": DataCollatorForDynamicMasking(wordpiece, 0.5, strategy="whole_word", exact_count=True),
        "tags": DataCollatorForDynamicMasking(wordpiece, strategy=strategies.entity(0.5, "tags", outside=(0,))),
        "flattened": DataCollatorForDynamicMasking(wordpiece, padding_free=True, return_flash_attn_kwargs=True),
        "no masks": DataCollatorForDynamicMasking(wordpiece, mlm=False),
        "views": DataCollatorForDynamicMasking(
            wordpiece, uniform_rate(block_size=3), views="complementary", mntp=True, return_mask_rate="token"
        ),
        "spans": DataCollatorForSpanCorruption(with_sentinels),
    }
    for collator in made.values():
        collator.set_epoch(0)
    return made


def _tried(property_: Callable[[Any], bool], inputs: st.SearchStrategy, examples: int) -> dict[bool, int]:
    """How many inputs were taken, and how many were refused."""
    counts = {True: 0, False: 0}

    @settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def run(value: Any) -> None:
        counts[property_(value)] += 1

    run()
    return counts


def _taken(call: Callable, *arguments: Any, **options: Any) -> Any:
    """What is returned; None if it is refused, with words."""
    try:
        return call(*arguments, **options)
    except DOCUMENTED as error:
        refusal = str(error)
    assert "`" in refusal, f"it names nothing: {refusal}"
    return None


@pytest.mark.filterwarnings("ignore")  # what a collator inside warns of
@pytest.mark.parametrize("name", ["tokens", "words", "tags", "flattened", "no masks", "views", "spans"])
def test_examples(collators, name, stress, report_figure) -> None:
    def run(examples: Any) -> bool:
        batch = _taken(collators[name], examples)
        if batch is not None and name in ("tokens", "words"):
            labels, ids = batch["labels"], batch["input_ids"]
            assert labels.shape == ids.shape == batch["attention_mask"].shape
            assert (batch["attention_mask"][labels != -100] == 1).all()
        return batch is not None

    counts = _tried(run, nearly_examples() | ANYTHING, 2_000 if stress else 150)
    assert all(counts.values()), "some are right, some are wrong"
    report_figure(f"hostile examples, {name}", f"{counts[True]:,} taken, {counts[False]:,} refused")


def test_examples_are_left_as_they_were(collators) -> None:
    def run(ids: list[int]) -> bool:
        examples = [{"input_ids": np.array(ids), "labels": torch.tensor(ids)}]
        before = copy.deepcopy(examples)
        collators["tokens"](examples)
        return bool((examples[0]["input_ids"] == before[0]["input_ids"]).all())

    assert not _tried(run, st.lists(st.integers(5, 50), min_size=1, max_size=9), 50)[False]


@pytest.mark.parametrize("make", [DataCollatorForDynamicMasking, DataCollatorForSpanCorruption])
def test_constructor_arguments(make, with_sentinels, stress, report_figure) -> None:
    names = [field.name for field in fields(make) if field.name != "tokenizer"]

    def run(arguments: dict[str, Any]) -> bool:
        return _taken(make, with_sentinels, **arguments) is not None

    arguments = st.dictionaries(st.sampled_from(names), SCALARS | ANYTHING, max_size=3)
    counts = _tried(run, arguments, 2_000 if stress else 150)
    assert all(counts.values())
    report_figure(f"hostile arguments, {make.__name__}", f"{counts[True]:,} taken, {counts[False]:,} refused")


@pytest.mark.parametrize("tokenizer", [None, "bert-base-cased", 3, dict, object()])
def test_no_tokenizer(tokenizer) -> None:
    with pytest.raises(ValueError, match="`tokenizer` must be a transformers tokenizer"):
        DataCollatorForDynamicMasking(tokenizer)


SCHEDULES = [
    "constant_schedule",
    "linear_schedule",
    "cosine_schedule",
    "polynomial_schedule",
    "step_schedule",
    "phase_schedule",
    "cyclic_schedule",
]
DISTRIBUTIONS = ["uniform_rate", "truncated_normal_rate", "cosine_rate"]


@pytest.mark.parametrize("name", [*SCHEDULES, *DISTRIBUTIONS, "with_warmup"])
def test_schedules_and_distributions(name, stress) -> None:
    make, count = (
        getattr(hf_dynmask, name),
        {"constant_schedule": 1, "phase_schedule": 1, "cosine_rate": 1, "polynomial_schedule": 3}.get(name, 2),
    )
    rates = st.floats(0, 1) | SCALARS | ANYTHING

    def run(arguments: list[Any]) -> bool:
        return _taken(make, *arguments) is not None

    counts = _tried(run, st.lists(rates, min_size=count, max_size=count), 1_000 if stress else 100)
    assert counts[False]


def test_what_a_schedule_returns(wordpiece, stress) -> None:
    returned: list[Any] = [0.15]
    collator = DataCollatorForDynamicMasking(wordpiece, lambda progress: returned[0])

    def run(value: Any) -> bool:
        returned[0] = value
        return _taken(collator, [[6, 7, 8]], progress=0.5) is not None

    counts = _tried(run, st.floats(0, 1) | SCALARS | ANYTHING, 2_000 if stress else 150)
    assert all(counts.values())


def test_epochs_and_rates_of_evaluation(wordpiece, stress) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece)

    loader = DataLoader([[6, 7]], collate_fn=collator)

    def run(arguments: tuple[Any, ...]) -> bool:
        for rate in arguments[:2]:
            _taken(MaskRateCallback, rate, rate)
            _taken(collator.for_evaluation, rate)
            _taken(collator.set_epoch, rate)
            _taken(collator, [[6, 7]], epoch=rate)
        return _taken(lambda: [collator.start_epoch(loader, *arguments)]) is not None

    counts = _tried(run, st.tuples(*[st.integers(0, 9) | SCALARS | ANYTHING] * 4), 2_000 if stress else 150)
    assert counts[False]


def test_memory_is_a_small_multiple_of_input_and_output(wordpiece, report_figure) -> None:
    """Of the padded batch: a long sequence beside short ones makes a large one of them, as padding does everywhere."""
    examples = [np.full(1000, 7) for _ in range(1000)]
    collator = DataCollatorForDynamicMasking(wordpiece)
    tracemalloc.start()
    batch = collator(examples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = sum(row.nbytes for row in examples) + sum(values.nbytes for values in batch.values())
    assert peak < 4 * size
    report_figure("memory of a batch", f"at most {peak / size:.1f} times input and output")
