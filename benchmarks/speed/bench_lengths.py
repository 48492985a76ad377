"""Measures tokens per second by length."""

import pytest
from transformers import DataCollatorForLanguageModeling

from benchmarks.speed.batches import check, floor, list_examples, numpy_examples
from hf_dynmask import DataCollatorForDynamicMasking

TOKENS = 65_536
LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


@pytest.mark.parametrize("length", LENGTHS)
def test_tokens_per_second(interleaved, benchmark, tokenizer, length) -> None:
    lengths = [length] * (TOKENS // length)
    arrays, lists = numpy_examples(lengths), list_examples(lengths)
    collator, stock = DataCollatorForDynamicMasking(tokenizer), DataCollatorForLanguageModeling(tokenizer)
    collator.set_epoch(0)
    functions = {
        "ours": lambda: collator(arrays),
        "ours, from lists": lambda: collator(lists),
        "stock": lambda: stock([dict(each) for each in arrays]),
        "floor": lambda: floor(arrays),
    }
    for name in ("ours", "ours, from lists", "stock"):
        check(functions[name](), arrays)
    benchmark.group = "tokens a second"
    seconds = interleaved(functions, rounds=7)
    benchmark.extra_info["length"] = length
    benchmark.extra_info["tokens_per_second"] = {name: TOKENS / each for name, each in seconds.items()}


def test_growth(interleaved, report, benchmark, tokenizer) -> None:
    short, long = (numpy_examples([length] * (TOKENS // length)) for length in (512, 8192))
    collator = DataCollatorForDynamicMasking(tokenizer)
    collator.set_epoch(0)
    check(collator(long), long)
    benchmark.group = "growth"
    seconds = interleaved({"ours": lambda: collator(long), "short": lambda: collator(short)}, rounds=40)
    ratio = seconds["ours"] / seconds["short"]
    report("length 8192 / length 512 at equal tokens", "65,536 tokens", ratio, goal=1.3, more=False)
