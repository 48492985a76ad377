"""Measures the way from a dataset on disk to a batch: unpadded tokens per second, without workers and with 2 and 4."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import datasets
import pytest
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import DataCollatorForLanguageModeling

from benchmarks.speed.batches import check, lengths_of, list_examples
from hf_dynmask import ArrowRows, DataCollatorForDynamicMasking

SHAPES = ((32, 128), (128, 512), (64, 1024), (32, 2048))
BATCHES, AT_ONCE = 48, 16  # in the dataset, and in a row, as a worker reads them
WORKERS = (0, 2, 4)
GOALS = {(32, 128): 6, (128, 512): 25, (64, 1024): 25, (32, 2048): 25}
ROW_GOALS = {(128, 512): 3}
WAYS: dict[str, Callable[[Dataset], Any]] = {
    "lists": lambda data: data,
    "numpy": lambda data: data.with_format("numpy"),
    "torch": lambda data: data.with_format("torch"),
    "ArrowRows": ArrowRows,
}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape[0]} x {shape[1]}")
def test_disk_to_batch(interleaved, report, tokenizer, tmp_path, shape) -> None:
    """Times rows alone and batches of both collators, from each way to read the same dataset, interleaved."""
    batch_size, length = shape
    lengths = lengths_of(batch_size * BATCHES, length)
    data = _on_disk(Dataset.from_list(list_examples(lengths)), tmp_path)
    ours = DataCollatorForDynamicMasking(tokenizer, seed=0)
    ours.set_epoch(0)
    collators = {"rows": list, "ours": ours, "stock": DataCollatorForLanguageModeling(tokenizer)}
    check(ours(ArrowRows(data).__getitems__(range(batch_size))), [data[row] for row in range(batch_size)])
    nexts = {
        f"{name} from {way}": _next_batches(DataLoader(read(data), batch_size, shuffle=True, collate_fn=collator))
        for (way, read), (name, collator) in itertools.product(WAYS.items(), collators.items())
    }
    seconds = interleaved(nexts, timed="ours from ArrowRows", rounds=8)
    tokens = sum(lengths) / BATCHES * AT_ONCE
    size = f"{batch_size} x {length}"
    for name in nexts:
        report(f"from disk to batch, {name}", size, tokens / seconds[name] / 1e6, "million tokens/s")
    ratio = seconds["stock from lists"] / seconds["ours from ArrowRows"]
    report("from disk to batch, stock from lists / ours from ArrowRows", size, ratio, "x", GOALS[shape])
    ratio = seconds["rows from lists"] / seconds["rows from ArrowRows"]
    report("rows from disk, lists / ArrowRows", size, ratio, "x", ROW_GOALS.get(shape))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape[0]} x {shape[1]}")
def test_workers(interleaved, report, tokenizer, tmp_path, shape) -> None:
    """Times passes over a dataset with persistent workers, which hand batches to the main process, interleaved."""
    batch_size, length = shape
    lengths = lengths_of(batch_size * AT_ONCE, length)
    data = _on_disk(Dataset.from_list(list_examples(lengths)), tmp_path)
    ours = DataCollatorForDynamicMasking(tokenizer)
    settings = {
        "ours from ArrowRows": (ArrowRows(data), ours),
        "stock": (data, DataCollatorForLanguageModeling(tokenizer)),
    }
    passes = {
        f"{name}, {workers} workers": _pass(
            DataLoader(rows, batch_size, collate_fn=collator, num_workers=workers, persistent_workers=workers > 0)
        )
        for (name, (rows, collator)), workers in itertools.product(settings.items(), WORKERS)
    }
    seconds = interleaved(passes, timed="ours from ArrowRows, 0 workers", rounds=4)
    size = f"{batch_size} x {length}"
    for name in passes:
        report(f"from disk to batch, {name}", size, sum(lengths) / seconds[name] / 1e6, "million tokens/s")


def _pass(loader: DataLoader) -> Callable[[], Any]:
    """A function that makes the batches of one pass."""

    def batches() -> None:
        for _ in loader:
            pass

    return batches


def _on_disk(data: Dataset, folder: Any) -> Dataset:
    data.save_to_disk(str(folder / "data"))
    return datasets.load_from_disk(str(folder / "data"))


def _next_batches(loader: DataLoader) -> Callable[[], Any]:
    """A function that makes the next batches, pass after pass."""

    def batches() -> Iterator[Any]:
        while True:
            yield from loader

    endless = batches()
    return lambda: [next(endless) for _ in range(AT_ONCE)]
