"""Measures the memory of a call, and the time of the import."""

import os
import subprocess
import sys
import tracemalloc

import pytest

from benchmarks.speed.batches import SHAPES, check, lengths_of, list_examples, numpy_examples
from hf_dynmask import DataCollatorForDynamicMasking

IMPORT = """
import os, statistics, time
import torch, transformers
from transformers import BatchEncoding

def seconds():
    read, write = os.pipe()
    if not os.fork():  # a process that has imported torch and transformers, but not hf_dynmask
        begin = time.perf_counter()
        from hf_dynmask import DataCollatorForDynamicMasking
        os.write(write, repr(time.perf_counter() - begin).encode())
        os._exit(0)
    os.wait()
    return float(os.read(read, 99))

print(statistics.median(seconds() for _ in range(21)))
"""


@pytest.mark.parametrize("make", [list_examples, numpy_examples], ids=["lists", "numpy"])
@pytest.mark.parametrize(("batch_size", "length"), SHAPES)
def test_memory(report, benchmark, tokenizer, batch_size, length, make) -> None:
    examples = make(lengths_of(batch_size, length))
    collator = DataCollatorForDynamicMasking(tokenizer)
    collator.set_epoch(0)
    check(collator(examples), examples)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    batch = benchmark.pedantic(collator, args=(examples,), rounds=1)
    extra = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    output = sum(values.nbytes for values in batch.values())
    measure = f"peak memory of a call from {make.__name__.split('_')[0]} / output"
    report(measure, f"{batch_size} x {length}", extra / output, goal=8, more=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_import(report, benchmark) -> None:
    def run() -> str:
        return subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True, text=True).stdout

    seconds = float(benchmark.pedantic(run, rounds=1))
    report("import of the collator after torch and transformers", "-", 1000 * seconds, "ms", 30, more=False)
