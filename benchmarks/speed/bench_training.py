"""Measures end to end: a loader over a dataset, and a `Trainer` that waits for its batches."""

import time
from statistics import median
from typing import Any

import pytest
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForMaskedLM, DataCollatorForLanguageModeling, Trainer, TrainingArguments

from benchmarks.ner.training.speed import StepTimer, speed_summary
from benchmarks.ner.training.token_counts import mlm_counts
from benchmarks.ner.training.trainer import TimedTrainer
from benchmarks.speed.batches import VOCABULARY_SIZE, check, lengths_of, list_examples
from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, linear_schedule, sparse_prediction
from hf_dynmask.trainer.training_audit import TrainerAudit

ROWS, LENGTH, BATCH_SIZE = 4096, 128, 32
_DEPTH = [0]  # nesting of timed calls


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.from_list(list_examples(lengths_of(ROWS, LENGTH)))


@pytest.mark.parametrize("format_", [None, "numpy"], ids=["lists", "numpy"])
def test_loader(report, benchmark, tokenizer, dataset, format_) -> None:
    """Times passes over the data without workers and with 2 workers, interleaved."""
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


def _tiny_bert() -> BertForMaskedLM:
    config = BertConfig(
        vocab_size=VOCABULARY_SIZE, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512
    )
    return BertForMaskedLM(config)


def _arguments(directory: Any, **changes: Any) -> TrainingArguments:
    defaults = {
        "per_device_train_batch_size": BATCH_SIZE,
        "max_steps": 40,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "logging_strategy": "no",
    }
    return TrainingArguments(str(directory), **{**defaults, **changes})


@pytest.mark.parametrize("audit", [True, "every_step"])
def test_audit(report, benchmark, tokenizer, dataset, audit, tmp_path, monkeypatch) -> None:
    """Measures the fraction of training time that the audit takes: tiny BERT on a CPU, a log every 20 steps."""
    seconds = [0.0]
    for name in ("begin_step", "record", "end_step", "check"):
        monkeypatch.setattr(TrainerAudit, name, _timed(getattr(TrainerAudit, name), seconds))
    trainer = Trainer(
        _tiny_bert(),
        _arguments(tmp_path, max_steps=60, logging_strategy="steps", logging_steps=20),
        train_dataset=dataset,
        data_collator=DataCollatorForDynamicMasking(tokenizer, strategy="whole_word"),
        callbacks=[MaskRateCallback(linear_schedule(0.30, 0.15), audit=audit)],
    )
    begin = time.perf_counter()
    benchmark.pedantic(trainer.train, rounds=1)
    share = 100 * seconds[0] / (time.perf_counter() - begin)
    what = "at every step" if audit == "every_step" else "by default"
    goal = None if audit == "every_step" else 0.5
    report(f"time of the audit {what}, tiny BERT", f"{BATCH_SIZE} x {LENGTH}", share, "%", goal, more=False)


def _timed(method: Any, seconds: list[float]) -> Any:
    """Accumulates the time of the outermost calls."""

    def timed(*args: Any, **kwargs: Any) -> Any:
        begin, outermost = time.perf_counter(), _DEPTH[0] == 0
        _DEPTH[0] += 1
        try:
            return method(*args, **kwargs)
        finally:
            _DEPTH[0] -= 1
            seconds[0] += (time.perf_counter() - begin) * outermost

    return timed


@pytest.mark.parametrize("name", ["ours", "stock"])
def test_waiting(report, benchmark, tokenizer, dataset, name, tmp_path) -> None:
    """Measures the fraction of training time spent waiting for batches, without workers: tiny BERT on a CPU."""
    ours = name == "ours"
    collator: Any = (DataCollatorForDynamicMasking if ours else DataCollatorForLanguageModeling)(tokenizer)
    timer = StepTimer(warmup_steps=4)
    trainer = TimedTrainer(
        _tiny_bert(),
        _arguments(tmp_path),
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


def test_sparse_prediction(interleaved, report, tokenizer) -> None:
    """Times a forward and a backward pass with all logits, and with those at labeled tokens: tiny BERT on a CPU."""
    collator = DataCollatorForDynamicMasking(tokenizer, seed=0)
    batch = collator(list_examples(lengths_of(BATCH_SIZE, LENGTH)), epoch=0)
    model = _tiny_bert().train()

    def step() -> float:
        model.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        return loss.item()

    def sparse_step() -> float:
        with sparse_prediction(model):
            return step()

    model.eval()
    all_logits = step()
    with sparse_prediction(model, in_evaluation=True):
        assert abs(step() - all_logits) < 1e-4
    model.train()
    seconds = interleaved({"ours": sparse_step, "all logits": step}, rounds=5)
    ratio = seconds["all logits"] / seconds["ours"]
    report("forward and backward, tiny BERT, all logits / sparse", f"{BATCH_SIZE} x {LENGTH}", ratio)
