"""Measures the cost of strategies other than token masking, and of options."""

from typing import Any

import numpy as np
import pytest

from benchmarks.speed.batches import VOCABULARY_SIZE, check, lengths_of, numpy_examples
from hf_dynmask import DataCollatorForDynamicMasking, strategies, uniform_rate
from hf_dynmask.batching.packing import Packing
from hf_dynmask.strategies import Strategy

WEIGHTS = np.random.default_rng(0).random(VOCABULARY_SIZE)
STRATEGIES = {
    "whole_word": strategies.whole_word(),
    "span": strategies.span(),
    "span of tokens": strategies.span(unit="token"),
    "ngram": strategies.ngram(),
    "position: prefix": strategies.position("prefix"),
    "position: suffix": strategies.position("suffix"),
    "position: block": strategies.position("block"),
    "position: every_nth": strategies.position("every_nth"),
    "weighted": strategies.weighted(WEIGHTS),
    "weighted words": strategies.weighted(WEIGHTS, unit="whole_word"),
    "entity": strategies.entity(),
    "adaptive": strategies.adaptive(),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "exact_count": {"exact_count": True},
    "a rate for each sequence": {"mlm_probability": uniform_rate(0.1, 0.2)},
    "padding_free": {"padding_free": True},
    "packing": {"packing": Packing(one_row=False)},
}
SIZES = ((32, 512), (128, 512))


@pytest.mark.parametrize(("batch_size", "length"), SIZES)
@pytest.mark.parametrize("name", STRATEGIES)
def test_strategy(interleaved, report, benchmark, tokenizer, name, batch_size, length) -> None:
    examples = numpy_examples(lengths_of(batch_size, length))
    seen = with_tags(examples) if name == "entity" else examples
    collator = masking(tokenizer, strategy=STRATEGIES[name])
    token = masking(tokenizer)
    if not name.startswith(("entity", "position")):  # own rates; a block is masked as a whole or not at all
        check(collator(seen), examples)
    benchmark.group = f"strategies, {batch_size} x {length}"
    seconds = interleaved({"ours": lambda: collator(seen), "token": lambda: token(examples)})
    ratio = seconds["ours"] / seconds["token"]
    report(f"strategy {name} / token masks", f"{batch_size} x {length}", ratio, goal=2, more=False)


@pytest.mark.parametrize("name", OPTIONS)
def test_option(interleaved, report, benchmark, tokenizer, name) -> None:
    examples = numpy_examples(lengths_of(128, 512))
    collator, token = masking(tokenizer, **OPTIONS[name]), masking(tokenizer)
    if name not in ("padding_free", "packing"):
        check(collator(examples), examples)
    benchmark.group = "options, 128 x 512"
    seconds = interleaved({"ours": lambda: collator(examples), "token": lambda: token(examples)})
    report(f"option {name} / token masks", "128 x 512", seconds["ours"] / seconds["token"], more=False)


def masking(tokenizer: Any, strategy: str | Strategy = "token", **options: Any) -> DataCollatorForDynamicMasking:
    collator = DataCollatorForDynamicMasking(tokenizer, strategy=strategy, **options)
    collator.set_epoch(0)
    return collator


def with_tags(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds entities, as in CoNLL-2003, where one word in six belongs to one."""
    random = np.random.default_rng(1)
    return [{**each, "labels": random.binomial(1, 1 / 6, len(each["input_ids"]))} for each in examples]
