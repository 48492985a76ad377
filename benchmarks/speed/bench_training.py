"""End to end: a loader over a data set, and a `Trainer` that waits for its batches."""

import time
from statistics import median
from typing import Any

import pytest
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForMaskedLM, DataCollatorForLanguageModeling, TrainingArguments

from benchmarks.ner.observed import mlm_counts
from benchmarks.ner.speed import StepTimer, TimedTrainer, speed_summary
from benchmarks.speed.batches import VOCABULARY_SIZE, check, lengths_of, list_examples
from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback

ROWS, LENGTH, BATCH_SIZE = 4096, 128, 32


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.from_list(list_examples(lengths_of(ROWS, LENGTH)))


@pytest.mark.parametrize("format_", [None, "numpy"], ids=["lists", "numpy"])
def test_loader(report, benchmark, tokenizer, dataset, format_) -> None:
    """Passes over the data without workers and with 2, in turn."""
    data = dataset.with_format(format_)
    loaders = {
        workers: DataLoader(
            data,
            batch_size=BATCH_SIZE,
            collate_fn=DataCollatorForDynamicMasking(tokenizer),
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        for workers in (0, 2)
    }
    check(next(iter(loaders[0])), [dataset[row] for row in range(BATCH_SIZE)])
    seconds: dict[int, list[float]] = {0: [], 2: []}

    def passes() -> None:
        for workers, loader in loaders.items():
            loader.collate_fn.set_epoch(len(seconds[workers]))
            begin = time.perf_counter()
            assert sum(1 for _ in loader) == ROWS // BATCH_SIZE
            seconds[workers].append(time.perf_counter() - begin)

    benchmark.pedantic(passes, rounds=5, warmup_rounds=1)
    without, with_two = (median(seconds[workers][1:]) for workers in (0, 2))
    size = f"{BATCH_SIZE} x {LENGTH}"
    kind = "numpy" if format_ else "lists"
    report(f"batches a second from a `datasets` Dataset of {kind}", size, ROWS / BATCH_SIZE / without, "/s")
    report(f"2 workers / none, from a `datasets` Dataset of {kind}", size, without / with_two)


@pytest.mark.parametrize("name", ["ours", "stock"])
def test_waiting(report, benchmark, tokenizer, dataset, name, tmp_path) -> None:
    """The share of a training's time that it waits for its batches, without workers: tiny BERT on a CPU."""
    ours = name == "ours"
    collator: Any = (DataCollatorForDynamicMasking if ours else DataCollatorForLanguageModeling)(tokenizer)
    config = BertConfig(
        vocab_size=VOCABULARY_SIZE, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512
    )
    args = TrainingArguments(
        str(tmp_path),
        per_device_train_batch_size=BATCH_SIZE,
        max_steps=40,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        logging_strategy="no",
    )
    timer = StepTimer(warmup_steps=4)
    trainer = TimedTrainer(
        BertForMaskedLM(config),
        args,
        train_dataset=dataset,
        data_collator=collator,
        callbacks=[timer, *([MaskRateCallback()] if ours else [])],
        count=mlm_counts(tokenizer),
    )
    benchmark.pedantic(trainer.train, rounds=1)
    summary = speed_summary(timer.steps, None)
    assert summary is not None
    share = 100 * summary["data_wait_share"]
    goal = 2 if ours else None
    report(f"time waiting for data, tiny BERT, {name}", f"{BATCH_SIZE} x {LENGTH}", share, "%", goal, more=False)
