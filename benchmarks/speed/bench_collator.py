"""Compares the collator to the stock one, and to the floor."""

import pytest
from transformers import DataCollatorForLanguageModeling

from benchmarks.speed.batches import SHAPES, check, floor, lengths_of, list_examples, numpy_examples, offsets
from hf_dynmask import DataCollatorForDynamicMasking

EXAMPLES = {"lists": list_examples, "numpy": numpy_examples}
GOALS = {"lists": 30, "numpy": 60}
FLOOR_GOAL = {(128, 512): 4}
WORD_GOALS = {512: 60, 2048: 120}


def rounds_of(batch_size: int, length: int) -> int:
    return 40 if batch_size * length < 40_000 else 20


@pytest.mark.parametrize("timed", ["ours", "stock"])
@pytest.mark.parametrize(("batch_size", "length"), SHAPES)
@pytest.mark.parametrize("kind", EXAMPLES)
def test_token_masks(interleaved, report, benchmark, tokenizer, kind, batch_size, length, timed) -> None:
    size = f"{batch_size} x {length}"
    benchmark.group = f"token masks from {kind}, {size}"
    examples = EXAMPLES[kind](lengths_of(batch_size, length))
    collator, stock = DataCollatorForDynamicMasking(tokenizer), DataCollatorForLanguageModeling(tokenizer)
    collator.set_epoch(0)
    functions = {"ours": lambda: collator(examples), "stock": lambda: stock([dict(example) for example in examples])}
    if kind == "numpy":
        functions["floor"] = lambda: floor(examples)
    for name in ("ours", "stock"):
        check(functions[name](), examples)
    seconds = interleaved(functions, timed, rounds_of(batch_size, length))
    if timed == "stock":
        return
    report(f"token masks from {kind}, stock / ours", size, seconds["stock"] / seconds["ours"], goal=GOALS[kind])
    if kind == "numpy":
        goal = FLOOR_GOAL.get((batch_size, length))
        report("token masks from numpy, ours / floor", size, seconds["ours"] / seconds["floor"], goal=goal, more=False)


@pytest.mark.parametrize("timed", ["ours", "stock"])
@pytest.mark.parametrize("length", WORD_GOALS)
def test_whole_words(interleaved, report, benchmark, tokenizer, length, timed) -> None:
    """Uses sequences of equal length with offsets, as the stock collator requires."""
    benchmark.group = f"whole words, 32 x {length}"
    examples = list_examples([length] * 32)
    with_offsets = [{**example, "offset_mapping": offsets(example["input_ids"])} for example in examples]
    always = {"mask_replace_prob": 1.0, "random_replace_prob": 0.0}  # the only option of the stock collator
    collator = DataCollatorForDynamicMasking(tokenizer, strategy="whole_word", **always)
    collator.set_epoch(0)
    stock = DataCollatorForLanguageModeling(tokenizer, whole_word_mask=True, **always)
    functions = {
        "ours": lambda: collator(examples),
        "stock": lambda: stock([dict(example) for example in with_offsets]),
    }
    for function in functions.values():
        check(function(), examples, mask_share=1.0)
    seconds = interleaved(functions, timed, rounds=10)
    if timed == "ours":
        ratio = seconds["stock"] / seconds["ours"]
        report("whole words from lists, stock / ours", f"32 x {length}", ratio, goal=WORD_GOALS[length])
