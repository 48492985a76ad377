"""The statistics in the logs are those of a recount of what the model received."""

from __future__ import annotations

import itertools
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from support import resumable
from support.corpora import Numbered, Stream, example
from support.extended import every
from support.launched import launched
from support.mlm_models import mlm_model
from support.recount import SPECIAL, AnyBatch, Recount, statistics
from transformers import (
    DataCollatorForTokenClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    masking_utils,
)
from transformers.trainer_utils import get_last_checkpoint

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorForSpanCorruption,
    DataCollatorWithTokenDropout,
    MaskRateCallback,
    linear_schedule,
    packed_attention,
)
from hf_dynmask.collators import language_modeling
from hf_dynmask.loading.batch_counts import RECORDER, Counts, SharedCounts, UnknownCountsError, UsedCounts
from hf_dynmask.loading.batch_position import BatchPosition
from hf_dynmask.loading.loaders import torch_loader
from hf_dynmask.trainer import log_statistics

EXAMPLES, BATCH = 22, 2  # 11 batches an epoch: its last step is incomplete with accumulation
NAMES = ("masked_fraction", "num_labels", "padding_fraction")
SCHEDULE = linear_schedule(0.6, 0.1)


def _rows() -> Dataset:
    """Examples with special tokens, which are not maskable."""
    return Dataset.from_list([{"input_ids": [2, *example(i)["input_ids"], 3]} for i in range(EXAMPLES)])


def _trainer(
    folder: Path,
    collator: Any,
    model: Any = None,
    train: Any = None,
    callbacks: tuple = (),
    rate: Any = SCHEDULE,
    **arguments,
) -> Trainer:
    defaults = {
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 2,
        "logging_steps": 2,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "dataloader_pin_memory": False,
    }
    return Trainer(
        model=model or AnyBatch(),
        args=TrainingArguments(str(folder), **{**defaults, **arguments}),
        train_dataset=_rows() if train is None else train,
        eval_dataset=_rows().select(range(4)),
        data_collator=collator,
        callbacks=[MaskRateCallback(rate, 0.15, audit=False, log_statistics=True), *callbacks],
    )


def _logged(trainer: Trainer) -> list[dict[str, float]]:
    """The statistics of each log, with its step."""
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert all(0 <= entry["waiting_fraction"] <= 1 for entry in logs)
    return [{name: entry[name] for name in ("step", *NAMES) if name in entry} for entry in logs]


def _train(trainer: Trainer, **options: Any) -> tuple[list, list]:
    """What a training logs, and what a recount gives."""
    recount = Recount(trainer)
    trainer.train(**options)
    first, _ = recount.batches[0]
    logged = [entry for entry in _logged(trainer) if entry["step"] > first]
    return logged, statistics([recount], [entry["step"] for entry in logged], first)


class Saves(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_save = state.global_step == self.step


LAYOUTS: dict[str, Callable[[Any], dict]] = {
    "padded": lambda model: {"pad_to_multiple_of": 8},
    "padding_free": lambda model: {"padding_free": True, "return_flash_attn_kwargs": False},
    "packed": lambda model: {"packing": packed_attention(model)},
}
GRID = list(itertools.product(LAYOUTS, [(2, True), (0, False), (2, False)], [1, 3]))


@resumable.in_order
@pytest.mark.parametrize(("layout", "loader", "accumulation"), every(7, GRID))
def test_logs_are_a_recount(wordpiece, tmp_path, layout, loader, accumulation) -> None:
    """With evaluations in between, `max_steps` in the middle of an epoch, and resumed in the middle of one."""
    if layout == "packed" and not hasattr(masking_utils, "create_bidirectional_mask"):
        pytest.skip("packed attention needs transformers 5")
    steps = math.ceil(EXAMPLES / BATCH / accumulation)  # of an epoch

    def made(*callbacks: TrainerCallback) -> Trainer:
        model = mlm_model("bert", "sdpa", vocab_size=100) if layout == "packed" else AnyBatch()
        return _trainer(
            tmp_path,
            DataCollatorForDynamicMasking(wordpiece, strategy="whole_word", **LAYOUTS[layout](model)),
            model,
            callbacks=callbacks,
            max_steps=steps + steps // 2 + 2,
            gradient_accumulation_steps=accumulation,
            dataloader_num_workers=loader[0],
            dataloader_persistent_workers=loader[1],
            eval_strategy="steps",
            eval_steps=6,
        )

    logged, recounted = _train(made(Saves(steps + 1)))
    assert logged == recounted
    assert len(logged) > 2
    logged, recounted = _train(made(), resume_from_checkpoint=get_last_checkpoint(tmp_path))
    assert logged == recounted
    assert logged


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_input_and_excluded_tokens(wordpiece, tmp_path, side) -> None:
    """Examples that come padded, and labels of -100: which tokens are maskable is no matter of the vocabulary alone."""
    rows = [[2, *range(5, 5 + size), 3] + [0] * (12 - size) for size in (4, 9, 12, 2)]
    masks = [[int(id_ != 0) for id_ in ids] for ids in rows]
    columns = {"input_ids": rows, "attention_mask": masks, "labels": [[-100] * 4 + ids[4:] for ids in rows]}
    collator = DataCollatorForDynamicMasking(wordpiece, 1.0, min_masked=0)
    trainer = _trainer(tmp_path, collator, train=Dataset.from_dict(columns), rate=None, num_train_epochs=1)
    logged, recounted = _train(trainer)
    assert [entry["masked_fraction"] for entry in logged] == [1.0]
    assert [entry["padding_fraction"] for entry in logged] == [entry["padding_fraction"] for entry in recounted] != [0]
    assert logged[0]["num_labels"] == (4 + 9 + 12 + 2 - 3 * 4 + 1) / 2


STREAMS = [
    (2, (3, 17), False),
    (2, None, False),
    (0, None, False),
    (0, None, True),
    (2, None, True),
    (2, (3, 17), True),
]


@pytest.mark.parametrize(("workers", "shares", "dispatch"), every(3, STREAMS))
def test_streams(wordpiece, tmp_path, workers, shares, dispatch) -> None:
    """Also if the share of a worker ends before that of the other, and resumed in the first pass."""

    def made(*callbacks: TrainerCallback) -> Trainer:
        return _trainer(
            tmp_path,
            DataCollatorForDynamicMasking(wordpiece),
            train=Stream(20, shares),
            callbacks=callbacks,
            rate=0.3,
            max_steps=13,
            dataloader_num_workers=workers,
            accelerator_config={"dispatch_batches": dispatch},
        )

    logged, recounted = _train(made(Saves(4)))
    assert logged == recounted
    assert len(logged) == 6
    logged, recounted = _train(made(), resume_from_checkpoint=get_last_checkpoint(tmp_path))
    assert logged == recounted
    assert logged


class Interferes(TrainerCallback):
    """Iterates the training loader and calls its collate function, at any time."""

    def _look(self, args, state, control, train_dataloader=None, **kwargs):
        next(iter(train_dataloader))
        torch_loader(train_dataloader).collate_fn([example(0)])

    on_epoch_begin = on_step_begin = on_step_end = on_substep_end = on_log = _look


class EndsEpochs(TrainerCallback):
    """Ends the first epoch within a step of two batches."""

    ended = False

    def on_substep_end(self, args, state, control, **kwargs):
        if state.global_step == 3 and not self.ended:
            self.ended = control.should_epoch_stop = True


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.extended)])
def test_other_code_and_epochs_that_end_early_and_a_second_training(wordpiece, tmp_path, workers) -> None:
    trainer = _trainer(
        tmp_path,
        DataCollatorForDynamicMasking(wordpiece),
        callbacks=(Interferes(), EndsEpochs()),
        gradient_accumulation_steps=2,
        dataloader_num_workers=workers,
    )
    logged, recounted = _train(trainer)
    assert logged == recounted
    assert len(logged) == 4
    with pytest.warns(UserWarning, match="already trained"):
        again, recounted = _train(trainer)
    assert again == recounted != logged


def test_span_corruption(with_sentinels, tmp_path) -> None:
    sentinels = set(with_sentinels.convert_tokens_to_ids([f"<extra_id_{i}>" for i in range(10)]))
    trainer = _trainer(tmp_path, DataCollatorForSpanCorruption(with_sentinels, noise_density=0.3))
    recount = Recount(trainer)
    trainer.train()
    logged = _logged(trainer)
    for entry in logged:
        used = recount.between(entry["step"] - 2, entry["step"])
        labels = [id_ for batch in used for id_ in batch["labels"].flatten().tolist() if id_ != -100]
        inputs = torch.cat([batch["input_ids"].flatten() for batch in used]).tolist()
        masked = sum(id_ not in sentinels for id_ in labels)
        maskable = masked + sum(id_ > 4 and id_ not in sentinels for id_ in inputs)
        assert entry["masked_fraction"] == masked / maskable
        assert entry["num_labels"] == len(labels) / 2
        assert entry["padding_fraction"] == inputs.count(0) / len(inputs)
    assert len(logged) == 11


@pytest.mark.parametrize("target", ["input_ids", "attention_mask", "delete"])
def test_token_dropout_has_no_labels_of_its_own(wordpiece, tmp_path, target) -> None:
    rows = Dataset.from_list([{**row, "labels": [0] * len(row["input_ids"])} for row in _rows()])
    options = {"per_token_columns": ["labels"]} if target == "delete" else {}
    collator = DataCollatorWithTokenDropout(DataCollatorForTokenClassification(wordpiece), target=target, **options)
    trainer = _trainer(tmp_path, collator, train=rows.select(range(2)), rate=0.4, num_train_epochs=6)
    recount = Recount(trainer)
    trainer.train()
    logged = _logged(trainer)
    maskable = 2 * sum(len(row["input_ids"]) - 2 for row in trainer.train_dataset)  # in two epochs
    for entry in logged:
        used = recount.between(entry["step"] - 2, entry["step"])
        ids = torch.cat([batch["input_ids"].flatten() for batch in used])
        attended = torch.cat([batch["attention_mask"].flatten() for batch in used]).bool()
        masked = {
            "input_ids": int((ids == 4).sum()),
            "attention_mask": int((~attended & (ids != 0)).sum()),
            "delete": maskable - int((ids >= SPECIAL).sum()),
        }[target]
        assert entry["masked_fraction"] == masked / maskable
        assert entry["padding_fraction"] == int((ids == 0).sum()) / len(ids)
        assert "num_labels" not in entry
    assert len(logged) == 3


def test_without_masks_there_is_no_masked_fraction(wordpiece, tmp_path) -> None:
    logged, recounted = _train(_trainer(tmp_path, DataCollatorForDynamicMasking(wordpiece, mlm=False), rate=None))
    for entry, expected in zip(logged, recounted, strict=True):
        assert entry == {name: expected[name] for name in ("step", "num_labels", "padding_fraction")}


def test_nothing_is_counted_unless_asked_for(wordpiece, tmp_path, monkeypatch) -> None:
    def fails(*arguments: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(language_modeling, "count_tokens", fails)
    trainer = _trainer(tmp_path, DataCollatorForDynamicMasking(wordpiece), num_train_epochs=1)
    callback = next(each for each in trainer.callback_handler.callbacks if isinstance(each, MaskRateCallback))
    callback.log_statistics = False
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert all("mask_rate" in entry for entry in logs)
    assert not {*NAMES, "waiting_fraction"} & set().union(*logs)


def test_trackers_and_the_history_see_them_also_if_the_loss_is_not_a_number(wordpiece, tmp_path) -> None:
    seen = []

    class Tracker(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            seen.append(dict(logs))

    options = {"num_train_epochs": 1, "logging_nan_inf_filter": False, "callbacks": (Tracker(),)}
    trainer = _trainer(tmp_path, DataCollatorForDynamicMasking(wordpiece), AnyBatch(math.nan), **options)
    trainer.train()
    for logs in (seen, trainer.state.log_history):
        *training, last = logs
        assert len(training) == 5
        assert all({"mask_rate", "waiting_fraction", *NAMES} <= set(entry) for entry in training)
        assert not {"mask_rate", "waiting_fraction", *NAMES} & set(last)


def _twice(collator: Any) -> Callable[[list], Any]:
    def collate(features: list) -> Any:
        collator(features)
        return collator(features)

    return collate


def _out_of_order(trainer: Trainer) -> None:
    loader = trainer.get_train_dataloader()
    loader.base_dataloader.in_order = False
    trainer.get_train_dataloader = lambda: loader


def _of_two_calls(trainer: Trainer) -> None:
    trainer.data_collator = _twice(trainer.data_collator)


@pytest.mark.parametrize(
    ("change", "reason"), [(_out_of_order, "order of their indices"), (_of_two_calls, "not made by one call")]
)
def test_unknown_values_are_left_out_and_a_message_says_so_once(wordpiece, tmp_path, caplog, change, reason) -> None:
    trainer = _trainer(tmp_path, DataCollatorForDynamicMasking(wordpiece), rate=0.3)
    change(trainer)
    with caplog.at_level(logging.WARNING, "hf_dynmask"):
        trainer.train()
    assert _logged(trainer) == [{"step": step} for step in range(2, 23, 2)]
    (message,) = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert reason in message


def test_a_log_within_a_step_has_no_statistics(wordpiece, tmp_path) -> None:
    class Logs(AnyBatch):
        def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, labels: Any = None) -> dict:
            trainer.log({"loss": 0.0, "learning_rate": 0.0})
            return super().forward(input_ids)

    trainer = _trainer(tmp_path, DataCollatorForDynamicMasking(wordpiece), Logs())
    recount = Recount(trainer)
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    complete = [{name: entry[name] for name in ("step", *NAMES)} for entry in logs if "waiting_fraction" in entry]
    assert complete == statistics([recount], range(2, 23, 2))
    assert len(logs) == 22 + len(complete)


def test_an_invalid_argument() -> None:
    with pytest.raises(ValueError, match="`log_statistics` must be True or False, but got 'yes'"):
        MaskRateCallback(log_statistics="yes")


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def passes(self, seconds: float) -> Callable[..., None]:
        def event(*arguments: Any, **options: Any) -> None:
            self.seconds += seconds

        return event


class Slow(Numbered):
    def __init__(self, examples: int, passes: Callable[[], None]) -> None:
        super().__init__(examples)
        self.passes = passes

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        self.passes()
        return super().__getitem__(index)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_waiting_is_the_time_between_steps_without_evaluation_saving_and_logging(
    wordpiece, tmp_path, monkeypatch, accumulation
) -> None:
    clock = Clock()
    monkeypatch.setattr(log_statistics, "perf_counter", lambda: clock.seconds)
    trainer = _trainer(
        tmp_path,
        DataCollatorForDynamicMasking(wordpiece),
        train=Slow(16, clock.passes(1.5)),  # 3 seconds a batch
        max_steps=8 // accumulation,
        logging_steps=1,
        gradient_accumulation_steps=accumulation,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=2,
    )
    trainer.model.register_forward_hook(lambda model, *_: clock.passes(2 if model.training else 1000)())
    save, log = trainer._save_checkpoint, trainer.log
    monkeypatch.setattr(trainer, "_save_checkpoint", lambda *arguments: (clock.passes(500)(), save(*arguments)))
    monkeypatch.setattr(trainer, "log", lambda *arguments: (clock.passes(70)(), log(*arguments)))
    trainer.train()
    batches = [accumulation + 1, *[accumulation] * (8 // accumulation - 2), accumulation - 1]  # one is read ahead
    expected = [3 * read / (3 * read + 2 * accumulation) for read in batches]
    logged = [entry["waiting_fraction"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == pytest.approx(expected)


counts = st.builds(Counts, *[st.integers(0, 1000)] * 6)


@given(
    batches=st.lists(st.tuples(st.integers(1, 3), counts), min_size=1, max_size=40),
    slots=st.integers(8, 30),
    read_ahead=st.integers(3, 40),
    per_batch=st.integers(1, 3),
    has_gaps=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_sum_is_right_or_unknown_however_far_a_loader_reads_ahead(
    batches, slots, read_ahead, per_batch, has_gaps
) -> None:
    """Batches have rising numbers, maybe with gaps; each sum is unknown only if a slot of its batches was reused."""
    numbers = list(itertools.accumulate(step if has_gaps else 1 for step, _ in batches))
    numbered = [(number, of) for number, (_, of) in zip(numbers, batches, strict=True)]
    shared = SharedCounts(slots)
    used = UsedCounts(shared, per_batch, has_gaps, ranks=1)
    used.start_epoch(1)
    used.use_iteration(5)
    stored = 0
    for first in range(0, len(batches), per_batch):
        _store(shared, 5, numbered[stored : first + read_ahead])
        stored = min(first + read_ahead, len(batches))
        used.record_consumed()
        reason, total = used.reason, used.take()
        if reason is not None:
            assert numbers[stored - 1] - (numbers[first - 1] + 1 if first else 1) >= slots
            break
        assert total == tuple(map(sum, zip(*(of for _, of in numbered[first : first + per_batch]), strict=True)))


def _store(shared: SharedCounts, iteration: int, batches: list[tuple[int, Counts]]) -> None:
    for number, of in batches:
        shared.collate(BatchPosition(0, number, iteration=iteration), lambda of=of: _record(of))


def _record(of: Counts) -> None:
    if RECORDER.counts is not None:
        RECORDER.counts.append(of)


@pytest.mark.parametrize("earlier", range(1, 6))
def test_batches_of_other_iterations_are_never_taken_for_those_in_use(earlier) -> None:
    shared = SharedCounts(8)
    _store(shared, 6, [(0, Counts(1, 2, 3, 4, 5, 6))])
    _store(shared, earlier, [(0, Counts(9, 9, 9, 9, 9, 9))])
    shared.iteration = 6
    _store(shared, 10, [(0, Counts(7, 7, 7, 7, 7, 7))])
    assert shared.find(0) == (0, Counts(1, 2, 3, 4, 5, 6))
    assert RECORDER.counts is None


def test_a_later_iteration_that_overwrites_is_noticed() -> None:
    shared = SharedCounts(8)
    _store(shared, 6, [(0, Counts())])
    _store(shared, 10, [(0, Counts())])
    shared.iteration = 6
    with pytest.raises(UnknownCountsError, match="reads more batches ahead"):
        shared.find(0)


def test_two_ranks_sum_what_both_received(wordpiece, tmp_path) -> None:
    """A dataset in shards, and a stream that rank 0 collates for both, whose epoch ends with half a batch."""
    wordpiece.save_pretrained(tmp_path)
    printed = launched(2, "distributed/log_statistics.py", str(tmp_path))
    (line,) = [line for line in printed.splitlines() if line.startswith("STATISTICS ")]
    for name, (logged, recounted, steps_left_out) in json.loads(line.removeprefix("STATISTICS ")).items():
        assert [entry for entry in recounted if entry["step"] not in steps_left_out] == logged, name
        assert len(logged) == len(recounted) - len(steps_left_out) > 1, name
