"""What a model sees, under `Trainer`."""

from __future__ import annotations

import copy
import itertools
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from support import resumable
from support.extended import every
from support.long_sequences import BATCH, EXAMPLES, LENGTH, Numbers, Stream, Witness, masks_by_epoch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, constant_schedule, linear_schedule

SCHEDULE = linear_schedule(0.6, 0.1)


class NewCheckpoint(TrainerCallback):
    """Saves once, in the middle of an epoch."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_save = state.global_step == self.step


def _trainer(
    tokenizer, directory: Path, callbacks: list, *, collator_options=None, train=None, model=None, **arguments
) -> Trainer:
    options = {"exact_count": True, **(collator_options or {})}
    defaults = {
        "output_dir": str(directory),
        "per_device_train_batch_size": BATCH,
        "per_device_eval_batch_size": 4,
        "num_train_epochs": 2,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "dataloader_pin_memory": False,
    }
    return Trainer(
        model=model or Witness(),
        args=TrainingArguments(**{**defaults, **arguments}),
        train_dataset=train if train is not None else Numbers(),
        eval_dataset=torch.utils.data.Subset(Numbers(), range(6)),
        data_collator=DataCollatorForDynamicMasking(tokenizer, **options),
        callbacks=callbacks,
    )


def _expected(first_step: int = 0, epochs: int = 2, accumulation: int = 1) -> list[float]:
    """The rate of each training batch: its optimizer step's."""
    batches = EXAMPLES // BATCH
    per_epoch = math.ceil(batches / accumulation)
    steps = [epoch * per_epoch + batch // accumulation for epoch in range(epochs) for batch in range(batches)]
    return [SCHEDULE(step / (epochs * per_epoch)) for step in steps if step >= first_step]


def _follows(model: Witness, expected: list[float]) -> bool:
    rates = model.training_rates()
    return len(rates) == len(expected) and rates == pytest.approx(expected, abs=1.01 / LENGTH)


LOADERS = [(0, False), *itertools.product((1, 2, 3), (False, True))]
GRID = [(*loader, accumulation) for loader in LOADERS for accumulation in (1, 2, 3)]


def _train_and_resume(tokenizer, directory, callback, workers, persistent, accumulation) -> tuple[bool, bool]:
    """Whether a run with evaluations, and one resumed from its mid-epoch checkpoint, follow the schedule."""
    arguments = {
        "dataloader_num_workers": workers,
        "dataloader_persistent_workers": persistent,
        "gradient_accumulation_steps": accumulation,
        "eval_strategy": "steps",
        "eval_steps": 3,
    }
    middle = math.ceil(EXAMPLES / BATCH / accumulation) + 1  # in the second epoch
    run = _trainer(tokenizer, directory, [callback(), NewCheckpoint(middle)], **arguments)
    run.train()
    resumed = _trainer(tokenizer, directory, [callback()], **arguments)
    resumed.train(resume_from_checkpoint=get_last_checkpoint(directory))
    return (
        _follows(run.model, _expected(accumulation=accumulation)),
        _follows(resumed.model, _expected(first_step=middle, accumulation=accumulation)),
    )


@pytest.mark.parametrize(("workers", "persistent", "accumulation"), every(7, GRID))
def test_every_batch_has_the_rate_of_its_optimizer_step(wordpiece, tmp_path, workers, persistent, accumulation) -> None:
    followed = _train_and_resume(
        wordpiece, tmp_path, lambda: MaskRateCallback(SCHEDULE), workers, persistent, accumulation
    )
    assert followed == (True, True)


class SetsAnAttribute(TrainerCallback):
    """What one would write first, and what is late: see the test above fail for it."""

    def on_step_begin(self, args, state, control, train_dataloader=None, **kwargs):
        collator = train_dataloader.collate_fn
        collator = getattr(collator, "data_collator", collator)
        collator.mlm_probability = SCHEDULE(state.global_step / state.max_steps)


@pytest.mark.filterwarnings("ignore:Evaluation uses the training collator")
@pytest.mark.parametrize(("workers", "persistent", "accumulation"), [(0, False, 1), (0, False, 2), (2, True, 1)])
def test_a_callback_that_sets_an_attribute_is_late(wordpiece, tmp_path, workers, persistent, accumulation) -> None:
    followed = _train_and_resume(wordpiece, tmp_path, SetsAnAttribute, workers, persistent, accumulation)
    assert followed == (False, False)


@pytest.mark.parametrize(("patterns", "distinct"), [(None, 4), (1, 1), (2, 2)])
def test_masks_are_new_each_epoch_static_or_in_turn_whatever_the_workers(
    wordpiece, tmp_path, patterns, distinct
) -> None:
    runs = []
    for workers in (0, 2):
        trainer = _trainer(
            wordpiece,
            tmp_path,
            [MaskRateCallback()],
            collator_options={"seed": 42, "num_mask_patterns": patterns},
            dataloader_num_workers=workers,
            num_train_epochs=4,
        )
        trainer.train()
        runs.append(masks_by_epoch(trainer.model))
    assert runs[0] == runs[1]
    assert all(len(epoch) == EXAMPLES for epoch in runs[0])
    for i in range(4):
        for j in range(i):
            assert (runs[0][i] == runs[0][j]) == ((i - j) % distinct == 0)


@resumable.in_order
def test_a_resumed_run_sees_the_masks_it_would_have_seen(wordpiece, tmp_path) -> None:
    run = _trainer(wordpiece, tmp_path, [MaskRateCallback(SCHEDULE), NewCheckpoint(13)])
    run.train()
    resumed = _trainer(wordpiece, tmp_path, [MaskRateCallback(SCHEDULE)], dataloader_num_workers=2)
    resumed.train(resume_from_checkpoint=get_last_checkpoint(tmp_path))
    assert resumed.model.seen == run.model.seen[13:]


def test_without_a_seed_of_its_own_the_collator_takes_the_trainers(wordpiece, tmp_path) -> None:
    masks = []
    for options, seed in (({}, 1), ({"seed": 1}, 5), ({}, 2)):
        trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback()], collator_options=options, seed=seed)
        trainer.train()
        masks.append(masks_by_epoch(trainer.model))
    assert masks[0] == masks[1] != masks[2]


def test_evaluation_has_fixed_masks_at_a_fixed_rate_during_and_after_training(wordpiece, tmp_path) -> None:
    seen = []
    for schedule in (SCHEDULE, constant_schedule(0.05)):
        trainer = _trainer(
            wordpiece,
            tmp_path,
            [MaskRateCallback(schedule, eval_mlm_probability=0.2)],
            collator_options={"seed": 3},
            eval_strategy="steps",
            eval_steps=4,
            eval_on_start=True,
        )
        trainer.train()
        trainer.evaluate()
        evaluations = trainer.model.evaluations()
        assert len(evaluations) == 7 * 2
        assert all(rate == pytest.approx(0.2, abs=0.01) for rate, _ in evaluations)
        assert evaluations[0::2] == [evaluations[0]] * 7
        seen.append(evaluations)
    assert seen[0] == seen[1], "evaluation losses can be compared between schedules"


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (1, False), (1, True)])
def test_evaluation_before_training_has_its_masks_too(wordpiece, tmp_path, workers, persistent) -> None:
    trainer = _trainer(
        wordpiece,
        tmp_path,
        [MaskRateCallback(SCHEDULE, eval_mlm_probability=0.2)],
        dataloader_num_workers=workers,
        dataloader_persistent_workers=persistent,
    )
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()
    evaluations = trainer.model.evaluations()
    assert evaluations[:2] == evaluations[2:]
    assert all(rate == pytest.approx(0.2, abs=0.01) for rate, _ in evaluations)
    assert _follows(trainer.model, _expected())


@pytest.mark.filterwarnings("ignore:Evaluation uses the training collator")
@pytest.mark.parametrize("persistent", [False, True])
def test_a_callback_that_is_added_later_serves_evaluation_from_training_on(wordpiece, tmp_path, persistent) -> None:
    trainer = _trainer(
        wordpiece,
        tmp_path,
        [],
        collator_options={"mlm_probability": 0.5},
        dataloader_num_workers=1,
        dataloader_persistent_workers=persistent,
    )
    trainer.evaluate()
    trainer.add_callback(MaskRateCallback(SCHEDULE, eval_mlm_probability=0.2))
    trainer.train()
    for _ in range(2):
        trainer.evaluate()
    first, *later = (evaluation for evaluation in trainer.model.evaluations()[::2])
    assert first[0] == pytest.approx(0.5, abs=0.01)
    assert later[0] == later[1]
    assert later[0][0] == pytest.approx(0.2, abs=0.01)


def test_the_users_collator_is_left_as_it_is(wordpiece, tmp_path) -> None:
    """It trains dynamically without the callback, too, after a training with it; two trainers share it."""
    first = _trainer(wordpiece, tmp_path, [MaskRateCallback(0.3, eval_mlm_probability=0.05)])
    collator = first.data_collator
    second = _trainer(wordpiece, tmp_path, [MaskRateCallback(0.3, eval_mlm_probability=0.5)])
    plain = _trainer(wordpiece, tmp_path, [], num_train_epochs=3)
    second.data_collator = plain.data_collator = collator
    for trainer in (first, second, plain):
        trainer.train()
    epochs = masks_by_epoch(plain.model)
    assert len({tuple(sorted(masks.items())) for masks in epochs}) == 3
    first.evaluate()
    assert first.model.evaluations()[0][0] == pytest.approx(0.05, abs=0.01)
    assert first.data_collator.tokenizer is wordpiece, "Trainer saves it"


def test_a_second_training_goes_by_the_schedule_again(wordpiece, tmp_path) -> None:
    trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback(SCHEDULE)])
    trainer.train()
    trainer.model.seen.clear()
    with pytest.warns(UserWarning, match="already trained in this process with seed 42 and the masks before"):
        trainer.train()
    assert _follows(trainer.model, _expected())


class StopsTheEpoch(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        control.should_epoch_stop = state.global_step == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_after_an_epoch_that_was_stopped_early_the_rate_is_right(wordpiece, tmp_path, workers) -> None:
    trainer = _trainer(
        wordpiece,
        tmp_path,
        [MaskRateCallback(SCHEDULE), StopsTheEpoch()],
        dataloader_num_workers=workers,
        dataloader_persistent_workers=workers > 0,
    )
    trainer.train()
    assert _follows(trainer.model, [SCHEDULE(step / 20) for step in range(14)])
    epochs = masks_by_epoch(trainer.model, batches=4)
    assert epochs[0] != {first: epochs[1].get(first) for first in epochs[0]}


@pytest.mark.parametrize("dispatch", [False, True])
def test_streamed_data_repeats_with_new_masks_and_resumes(wordpiece, tmp_path, dispatch) -> None:
    def trainer(callbacks):
        return _trainer(
            wordpiece,
            tmp_path,
            callbacks,
            train=Stream(),
            max_steps=20,
            accelerator_config={"dispatch_batches": dispatch},
        )

    run = trainer([MaskRateCallback(SCHEDULE), NewCheckpoint(7)])
    run.train()
    assert _follows(run.model, _expected())
    first, second = masks_by_epoch(run.model)
    assert first.keys() == second.keys()
    assert all(first[example] != second[example] for example in first)
    resumed = trainer([MaskRateCallback(SCHEDULE)])
    resumed.train(resume_from_checkpoint=get_last_checkpoint(tmp_path))
    assert resumed.model.seen[:3] == run.model.seen[7:10]


def test_the_collators_own_schedule_is_followed(wordpiece, tmp_path) -> None:
    trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback()], collator_options={"mlm_probability": SCHEDULE})
    trainer.train()
    assert _follows(trainer.model, _expected())


def test_the_rate_is_in_the_logs_of_trainer_and_tensorboard(wordpiece, tmp_path, monkeypatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    trainer = _trainer(
        wordpiece, tmp_path, [MaskRateCallback(SCHEDULE)], report_to="tensorboard", eval_strategy="epoch"
    )
    trainer.train()
    expected = [SCHEDULE(step / 20) for step in range(20)]
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["mask_rate"] for entry in history] == expected
    assert all("mask_rate" not in entry for entry in trainer.state.log_history if "loss" not in entry)
    (events,) = tmp_path.rglob("events.out.tfevents*")
    written = EventAccumulator(str(events.parent)).Reload().Scalars("train/mask_rate")
    assert [(event.step, event.value) for event in written] == [
        (step, pytest.approx(rate)) for step, rate in enumerate(expected, start=1)
    ]


@pytest.mark.parametrize(("settings", "logged"), [({"mlm": False}, None), ({"views": "complementary"}, 0.5)])
def test_the_logged_rate_is_that_of_what_is_masked(wordpiece, tmp_path, settings, logged) -> None:
    trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback(audit=False)], max_steps=2)
    for name, value in settings.items():
        setattr(trainer.data_collator, name, value)
    trainer.train()
    assert [entry.get("mask_rate") for entry in trainer.state.log_history if "loss" in entry] == [logged] * 2


@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("saved_with", [0, 1, 2])
def test_checkpoints_resume_whichever_callbacks_they_were_made_with(wordpiece, tmp_path, saved_with, restore) -> None:
    run = _trainer(wordpiece, tmp_path, [MaskRateCallback(SCHEDULE)] * saved_with + [NewCheckpoint(13)])
    run.train()
    resumed = _trainer(
        wordpiece,
        tmp_path,
        [MaskRateCallback(SCHEDULE)],
        restore_callback_states_from_checkpoint=restore,
        save_strategy="epoch",
    )
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-13"))
    assert _follows(resumed.model, _expected(first_step=13))


def test_of_two_callbacks_the_last_counts_for_rates_and_logs(wordpiece, tmp_path) -> None:
    trainer = _trainer(
        wordpiece, tmp_path, [MaskRateCallback(0.3, eval_mlm_probability=0.15), MaskRateCallback(SCHEDULE)]
    )
    trainer.train()
    assert _follows(trainer.model, _expected())
    logged = [entry["mask_rate"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == _expected()


@resumable.streams_in_later_passes
def test_a_stream_resumed_in_a_later_pass_has_new_masks(wordpiece, tmp_path) -> None:
    """`Trainer` begins the stream anew there: the examples are not those to come, but no mask comes twice."""
    run = _trainer(
        wordpiece,
        tmp_path,
        [MaskRateCallback(0.3, eval_mlm_probability=0.15), NewCheckpoint(23)],
        train=Stream(),
        max_steps=25,
    )
    run.train()
    resumed = _trainer(
        wordpiece, tmp_path, [MaskRateCallback(0.3, eval_mlm_probability=0.15)], train=Stream(), max_steps=25
    )
    resumed.train(resume_from_checkpoint=get_last_checkpoint(tmp_path))
    seen = [(ids, masks) for _, _, ids, masks in run.model.seen]
    again = [(ids, masks) for _, _, ids, masks in resumed.model.seen]
    assert [ids for ids, _ in again] == [ids for ids, _ in seen[:2]]
    assert not set(again) & set(seen)


class OutOfMemory(Witness):
    """At more than 2 examples at once, after 3 batches."""

    def forward(self, input_ids, attention_mask, labels):
        if len(self.seen) == 3 and len(input_ids) > 2:
            self.seen.clear()
            raise RuntimeError("CUDA out of memory.")
        return super().forward(input_ids, attention_mask, labels)


@pytest.mark.parametrize("workers", every(2, [0, 2]))
def test_a_smaller_batch_that_is_found_begins_the_schedule_anew(wordpiece, tmp_path, workers) -> None:
    arguments = {"dataloader_num_workers": workers, "dataloader_persistent_workers": workers > 0}
    callbacks = [MaskRateCallback(SCHEDULE)]
    asked = {"auto_find_batch_size": True, "per_device_train_batch_size": 4}
    trainer = _trainer(wordpiece, tmp_path, callbacks, model=OutOfMemory(), **asked, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # accelerate's, of memory that it has no device for
        trainer.train()
    (size,) = {len(ids) for _, _, ids, _ in trainer.model.seen}
    assert size < 4
    plain = _trainer(wordpiece, tmp_path, [MaskRateCallback(SCHEDULE)], per_device_train_batch_size=size)
    plain.train()
    assert trainer.model.seen == plain.model.seen


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("length", [{"num_train_epochs": 2.5}, {"max_steps": 7}, {"max_steps": 23}])
def test_a_training_of_any_length(wordpiece, tmp_path, length, accumulation) -> None:
    trainer = _trainer(
        wordpiece, tmp_path, [MaskRateCallback(SCHEDULE)], gradient_accumulation_steps=accumulation, **length
    )
    trainer.train()
    batches = EXAMPLES // BATCH
    per_epoch = math.ceil(batches / accumulation)
    total = length.get("max_steps") or math.ceil(2.5 * per_epoch)
    steps = [epoch * per_epoch + batch // accumulation for epoch in range(24) for batch in range(batches)]
    assert trainer.state.global_step == total
    assert _follows(trainer.model, [SCHEDULE(step / total) for step in steps if step < total])


def test_a_datasets_dataset_with_columns_to_remove(wordpiece, tmp_path) -> None:
    from datasets import Dataset as ArrowDataset

    data = ArrowDataset.from_list([{**Numbers()[i], "text": "unused", "offset_mapping": [[0, 1]]} for i in range(20)])
    trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback(SCHEDULE)], train=data)
    trainer.train()
    assert _follows(trainer.model, _expected())


class TestErrors:
    def test_a_loader_out_of_order_under_a_schedule(self, wordpiece, tmp_path) -> None:
        trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback(SCHEDULE)])
        loader = trainer.get_train_dataloader()
        loader.base_dataloader.in_order = False
        trainer.get_train_dataloader = lambda: loader
        with pytest.raises(ValueError, match="`in_order` of the training DataLoader must be True"):
            trainer.train()

    def test_a_loader_out_of_order_at_a_constant_rate_is_fine(self, wordpiece, tmp_path) -> None:
        trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback(0.15)])
        loader = trainer.get_train_dataloader()
        loader.base_dataloader.in_order = False
        trainer.get_train_dataloader = lambda: loader
        trainer.train()
        assert trainer.model.training_rates() == pytest.approx([0.15] * 20, abs=0.01)

    def test_another_collator(self, wordpiece, tmp_path) -> None:
        trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback(SCHEDULE)])
        trainer.data_collator = torch.utils.data.default_collate
        with pytest.raises(ValueError, match="needs a `DataCollatorForDynamicMasking`, or another collator"):
            trainer.train()

    @pytest.mark.parametrize("rate", [1.5, -0.1, math.nan, "0.15"])
    def test_bad_rates(self, rate) -> None:
        with pytest.raises(ValueError, match="`schedule` must be a number between 0 and 1"):
            MaskRateCallback(rate)
        with pytest.raises(ValueError, match="`eval_mlm_probability` must be a number between 0 and 1"):
            MaskRateCallback(SCHEDULE, eval_mlm_probability=rate)

    @pytest.mark.parametrize("workers", [0, 1])
    def test_a_schedule_that_goes_wrong_is_named_with_its_step(self, wordpiece, tmp_path, workers) -> None:
        trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback(_nan_later)], dataloader_num_workers=workers)
        with pytest.raises(ValueError, match=r"schedule\(progress=0.5\) at step 10 of 20` must be a number"):
            trainer.train()

    @pytest.mark.parametrize("argument", ["schedule", "eval_mlm_probability"])
    def test_a_collator_in_the_place_of_a_rate(self, wordpiece, argument) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece)
        with pytest.raises(ValueError, match=f"`{argument}` must be a mask rate or a schedule, but got a DataCollator"):
            MaskRateCallback(**{argument: collator})

    @pytest.mark.parametrize("argument", ["schedule", "eval_mlm_probability"])
    def test_a_schedule_that_is_not_called(self, argument) -> None:
        with pytest.raises(ValueError, match=rf"`{argument}` must .*linear_schedule"):
            MaskRateCallback(**{argument: linear_schedule})

    @pytest.mark.parametrize("workers", [0, 1])
    @pytest.mark.parametrize(("name", "value"), [("mlm_probability", 0.9), ("strategy", "span"), ("seed", 3)])
    def test_a_setting_that_changes_while_training(self, wordpiece, tmp_path, name, value, workers) -> None:
        class Changes(TrainerCallback):
            def on_step_end(self, args, state, control, **kwargs):
                setattr(trainer.data_collator, name, value)

        trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback(), Changes()], dataloader_num_workers=workers)
        with pytest.raises(RuntimeError, match=f"`{name}` of the collator must not change while `Trainer` trains"):
            trainer.train()
        assert trainer.state.global_step == 1

    @pytest.mark.parametrize("name", ["replacement_weights", "unmaskable_ids"])
    def test_an_array_that_changes_while_training(self, wordpiece, tmp_path, name) -> None:
        class Changes(TrainerCallback):
            def on_step_end(self, args, state, control, **kwargs):
                setattr(trainer.data_collator, name, np.arange(5, 5 + len(getattr(trainer.data_collator, name))))

        trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback(), Changes()])
        trainer.data_collator.unmaskable_ids = np.array([7, 8])
        trainer.data_collator.replacement_weights = np.ones(len(wordpiece))
        with pytest.raises(RuntimeError, match=f"`{name}` of the collator must not change while `Trainer` trains"):
            trainer.train()

    @pytest.mark.parametrize("event", ["on_epoch_begin", "on_step_end"])
    def test_a_callback_that_is_added_while_training(self, wordpiece, tmp_path, event) -> None:
        class Adds(TrainerCallback):
            pass

        def add(self, args, state, control, **kwargs):
            trainer.add_callback(MaskRateCallback(SCHEDULE))

        setattr(Adds, event, add)
        trainer = _trainer(wordpiece, tmp_path, [Adds()])
        with pytest.raises(
            RuntimeError, match="must be added to `Trainer` before training begins, but it was added dur"
        ):
            trainer.train()

    def test_a_trainer_whose_log_keeps_no_history(self, wordpiece, tmp_path) -> None:
        logged = []

        class Silent(Trainer):
            def log(self, logs, *args):
                self.control = self.callback_handler.on_log(self.args, self.state, self.control, logs)
                logged.append(logs)

        plain = _trainer(wordpiece, tmp_path, [])
        Silent(
            model=Witness(),
            args=plain.args,
            train_dataset=Numbers(),
            data_collator=plain.data_collator,
            callbacks=[MaskRateCallback(SCHEDULE)],
        ).train()
        assert [logs["mask_rate"] for logs in logged if "loss" in logs] == [SCHEDULE(step / 20) for step in range(20)]


def _nan_later(progress: float) -> float:
    return 0.2 if progress < 0.5 else math.nan


def test_the_users_collator_keeps_its_settings(wordpiece, tmp_path) -> None:
    trainer = _trainer(wordpiece, tmp_path, [MaskRateCallback(SCHEDULE)], collator_options={"mlm_probability": 0.4})
    before = copy.deepcopy(trainer.data_collator)
    trainer.train()
    assert trainer.data_collator.mlm_probability == before.mlm_probability == 0.4
    assert trainer.data_collator.num_mask_patterns is None
