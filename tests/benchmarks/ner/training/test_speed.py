"""Speed from a clock that is moved by hand, and the shape of what a real Trainer gives."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import TrainingArguments

from benchmarks.ner.training import speed
from benchmarks.ner.training.memory import PeakMemory
from benchmarks.ner.training.speed import StepTimer, collate_time, speed_summary
from benchmarks.ner.training.token_counts import mlm_counts
from benchmarks.ner.training.trainer import TimedTrainer


class FakeClock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Run:
    """A training whose events are given one by one."""

    def __init__(self, max_steps=1000, warmup_steps=1):
        self.clock = FakeClock()
        self.timer = StepTimer(warmup_steps, clock=self.clock)
        self.state = SimpleNamespace(global_step=0, max_steps=max_steps)

    def event(self, name):
        getattr(self.timer, name)(None, self.state, None)

    def step(self, seconds, waited=0.0, tokens=10):
        self.timer.fetched(waited, tokens)
        self.clock.now += seconds
        self.state.global_step += 1
        self.event("on_step_end")

    def between(self, name, seconds):
        self.clock.now += seconds
        self.event(name)


def test_steps_are_timed_from_end_to_end_after_the_warm_up():
    run = Run(warmup_steps=2)
    for seconds in (9.0, 8.0, 1.0, 3.0):
        run.step(seconds, waited=seconds / 4)
    assert run.timer.steps == [(1.0, 0.25, 10), (3.0, 0.75, 10)]


@pytest.mark.parametrize("event", ["on_evaluate", "on_save"])
def test_the_step_after_an_evaluation_or_a_save_is_left_out(event):
    run = Run()
    run.step(1.0)
    run.step(2.0)
    run.between(event, 50.0)
    run.step(3.0, waited=3.0, tokens=99)
    run.step(4.0)
    assert run.timer.steps == [(2.0, 0.0, 10), (4.0, 0.0, 10)]


def test_the_step_after_the_start_of_an_epoch_is_kept():
    run = Run()
    run.step(1.0)
    run.between("on_epoch_begin", 5.0)
    run.step(1.0)
    assert run.timer.steps == [(6.0, 0.0, 10)]


@pytest.mark.parametrize("event", ["on_evaluate", "on_save"])
def test_all_of_the_training_is_added_up_but_evaluations_and_what_precedes_it(event):
    run = Run(warmup_steps=2)
    run.between("on_train_begin", 7.0)
    run.step(1.0)
    run.step(2.0)
    run.between(event, 50.0)
    run.step(3.0)
    assert run.timer.seconds == 6.0


def test_batches_fetched_for_one_step_add_up():
    run = Run()
    run.step(1.0)
    run.timer.fetched(0.25, 3)
    run.step(1.0, waited=0.5, tokens=4)
    assert run.timer.steps == [(1.0, 0.75, 7)]


@pytest.mark.parametrize(("max_steps", "untimed"), [(5, 1), (20, 2), (60, 6), (200, 10)])
def test_the_warm_up_is_at_most_a_tenth(max_steps, untimed):
    run = Run(max_steps=max_steps, warmup_steps=10)
    for _ in range(max_steps):
        run.step(1.0)
    assert len(run.timer.steps) == max_steps - untimed


def test_tokens_of_all_ranks_are_held_against_the_slowest(monkeypatch):
    fast = [(1.0, 0.5, 10), (1.0, 0.5, 10), (1.0, 0.0, 10)]
    slow = [(1.0, 0.0, 20), (4.0, 0.0, 20), (1.0, 0.0, 20)]
    monkeypatch.setattr(speed, "gather_object", lambda own: [*own, slow])
    summary = speed_summary(fast, collate_seconds=0.5)
    assert summary["tokens_per_second"] == 90 / 6
    assert summary["step_time_median"] == 1.0
    assert summary["step_time_p95"] == pytest.approx(3.25)
    assert summary["data_wait_share"] == pytest.approx(1 / 9)
    assert (summary["steps_timed"], summary["collate_time_median"]) == (3, 0.5)


def test_nothing_timed_is_none():
    assert speed_summary([], collate_seconds=0.5) is None


def test_collate_time_is_the_median_over_batches():
    clock, seen = FakeClock(), []

    def collate(features):
        seen.append(features)
        clock.now += len(seen)

    assert collate_time(collate, [1, 2, 3, 4, 5], batch_size=2, batches=20, clock=clock) == 2.0
    assert seen == [[1, 2], [3, 4], [5]]
    assert collate_time(collate, [1, 2, 3], batch_size=1, batches=1, clock=clock) == 4.0
    assert collate_time(collate, [], batch_size=2) is None


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(8, 4), nn.Linear(4, 8)

    def forward(self, input_ids, attention_mask, labels=None):
        logits = self.head(self.embedding(input_ids))
        return {"loss": nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()), "logits": logits}


def toy_rows(count):
    ids = torch.arange(5) % 8
    values = {"input_ids": ids, "attention_mask": torch.tensor([1, 1, 1, 0, 0]), "labels": ids}
    return [values for _ in range(count)]


def toy_arguments(folder, **changes):
    options = {"max_steps": 8, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, **changes}
    return TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **options,
    )


def test_a_real_training_gives_tokens_and_times(tmp_path):
    timer = StepTimer(warmup_steps=2)
    arguments = toy_arguments(tmp_path, max_steps=20, eval_strategy="steps", eval_steps=10, logging_steps=10)
    rows = toy_rows(16)
    trainer = TimedTrainer(
        Toy(),
        arguments,
        train_dataset=rows,
        eval_dataset=rows[:2],
        callbacks=[timer],
        count=mlm_counts(SimpleNamespace(all_special_ids=[4])),
    )
    with PeakMemory(arguments.device) as memory:
        trainer.train()
    # Of twenty steps two are warm-up and one follows an evaluation; a step has 2 x 2 rows of 3 attended tokens.
    assert [tokens for _, _, tokens in timer.steps] == [12] * 17
    assert all(0 < waited < seconds for seconds, waited, _ in timer.steps)
    summary = json.loads(json.dumps(speed_summary(timer.steps, 0.5), allow_nan=False))
    assert (summary["steps_timed"], summary["collate_time_median"]) == (17, 0.5)
    assert 0 < summary["data_wait_share"] < 1
    assert 0 < summary["step_time_median"] <= summary["step_time_p95"]
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["num_input_tokens_seen"] for entry in logged] == [12 * entry["step"] for entry in logged] != []
    assert [entry["masked_fraction"] for entry in logged] == [1.0] * len(logged)  # every token has a label
    assert 0 < logged[-1]["train_seconds"] == timer.seconds
    assert memory.summary()["peak_bytes_max"] == memory.summary()["peak_bytes_total"] > 2**20


def test_the_peak_of_a_stage_forgets_the_stage_before():
    with PeakMemory(torch.device("cpu")) as before:
        torch.ones(2**26)
    with PeakMemory(torch.device("cpu")) as after:
        torch.ones(2)
    assert before.summary()["measure"] in {"resident peak", "resident at the end"}
    if before.summary()["measure"] == "resident peak":
        assert before.peak_bytes - after.peak_bytes > 2**27


def test_a_peak_that_cannot_be_reset_is_the_memory_at_the_end(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    with PeakMemory(torch.device("cpu")) as memory:
        pass
    assert memory.summary()["measure"] == "resident at the end"
    assert memory.peak_bytes > 2**20


def test_the_peaks_of_all_ranks_are_added_and_compared(monkeypatch):
    monkeypatch.setattr("benchmarks.ner.training.memory.gather_object", lambda own: [*own, 10**12])
    with PeakMemory(torch.device("cpu")) as memory:
        pass
    assert memory.summary()["peak_bytes_max"] == 10**12
    assert memory.summary()["peak_bytes_total"] == 10**12 + memory.peak_bytes
