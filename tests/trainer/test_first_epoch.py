"""A further phase of training on the same data and seed sees new masks."""

from __future__ import annotations

import json
import logging
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForTokenClassification,
    DataCollatorForTokenClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from hf_dynmask import DataCollatorForDynamicMasking, DataCollatorWithTokenDropout, MaskRateCallback

TEXTS = ["the cat sat on a mat and the dog ran to the house", "the dog sat on a mat and the cat ran to the garden"]
SIZES = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}


class Recorder:
    """The masked inputs that a model receives in training, as a forward hook."""

    def __init__(self, model: Any) -> None:
        self.inputs: list[tuple[int, ...]] = []
        model.register_forward_pre_hook(self._record, with_kwargs=True)

    def _record(self, model: Any, args: Any, kwargs: Any) -> None:
        if model.training:
            for ids, attended in zip(kwargs["input_ids"], kwargs["attention_mask"].bool(), strict=True):
                self.inputs.append(tuple(ids[attended].tolist()))


class StopsAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step == self._step


@pytest.fixture
def phase(wordpiece, tmp_path):
    data = Dataset.from_list([dict(wordpiece(text)) for text in TEXTS])

    def phase(
        name: str, model: Any, *callbacks: Any, resume: bool = False, collator: Any = None, **arguments: Any
    ) -> list[tuple[int, ...]]:
        """Trains for two epochs of two steps, saves each step, and returns the inputs that the model has received."""
        recorder = Recorder(model)
        settings = TrainingArguments(
            str(tmp_path / name),
            **{"num_train_epochs": 2, "seed": 3, **arguments},
            per_device_train_batch_size=1,
            save_steps=1,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
        )
        collator = DataCollatorForDynamicMasking(wordpiece, 0.4, **(collator or {}))
        callbacks = callbacks or (MaskRateCallback(audit="every_step"),)
        trainer = Trainer(model, settings, train_dataset=data, data_collator=collator, callbacks=list(callbacks))
        trainer.train(resume_from_checkpoint=resume or None)
        trainer.save_model(str(tmp_path / name))
        return recorder.inputs

    return phase


@pytest.fixture
def expected(wordpiece):
    def expected(*epochs: int) -> Counter[tuple[int, ...]]:
        collator = DataCollatorForDynamicMasking(wordpiece, 0.4, seed=3)
        return Counter(
            tuple(collator([wordpiece(text)], epoch=epoch)["input_ids"][0].tolist())
            for epoch in epochs
            for text in TEXTS
        )

    return expected


@pytest.fixture
def new_model(wordpiece):
    return lambda: BertForMaskedLM(BertConfig(vocab_size=len(wordpiece), **SIZES))


def test_each_phase_continues_after_the_checkpoint_that_its_model_comes_from(
    phase, expected, new_model, tmp_path, caplog
) -> None:
    caplog.set_level(logging.INFO, "hf_dynmask")
    assert Counter(phase("one", new_model())) == expected(0, 1)
    assert Counter(phase("two", BertForMaskedLM.from_pretrained(tmp_path / "one/checkpoint-4"))) == expected(2, 3)
    assert Counter(phase("three", BertForMaskedLM.from_pretrained(tmp_path / "two/checkpoint-4"))) == expected(4, 5)
    assert f"Masks begin at epoch 4, after those of the training that saved {tmp_path}/two/checkpoint-4." in caplog.text
    assert max(expected(0, 1, 2, 3, 4, 5).values()) == 1, "no mask repeats"


def test_an_epoch_that_was_begun_is_not_repeated(phase, expected, new_model, tmp_path) -> None:
    phase("one", new_model(), MaskRateCallback(), StopsAt(3))
    assert Counter(phase("two", BertForMaskedLM.from_pretrained(tmp_path / "one/checkpoint-3"))) == expected(2, 3)
    assert Counter(phase("other", BertForMaskedLM.from_pretrained(tmp_path / "one/checkpoint-1"))) == expected(1, 2)


@pytest.mark.parametrize("source", ["one/checkpoint-4", "two/checkpoint-3"])
def test_a_resumed_phase_keeps_its_own(phase, expected, new_model, tmp_path, source) -> None:
    phase("one", new_model())
    before = phase(
        "two", BertForMaskedLM.from_pretrained(tmp_path / "one/checkpoint-4"), MaskRateCallback(), StopsAt(3)
    )
    after = phase("two", BertForMaskedLM.from_pretrained(tmp_path / source), resume=True)
    assert Counter(before + after) == expected(2, 3)
    callback = MaskRateCallback(first_epoch=7)
    with pytest.raises(ValueError, match=r"`first_epoch` must be 2 to resume from this checkpoint.* but got 7"):
        phase("two", new_model(), callback, resume=True)


def test_it_can_be_set(phase, expected, new_model, tmp_path) -> None:
    assert Counter(phase("one", new_model(), MaskRateCallback(first_epoch=5, audit="every_step"))) == expected(5, 6)
    again = BertForMaskedLM.from_pretrained(tmp_path / "one/checkpoint-4")
    assert Counter(phase("two", again, MaskRateCallback(first_epoch=0))) == expected(0, 1)
    assert Counter(phase("three", BertForMaskedLM.from_pretrained(tmp_path / "one/checkpoint-4"))) == expected(7, 8)


def test_a_model_that_trainer_saved_without_its_state(phase, expected, new_model, tmp_path) -> None:
    phase("one", new_model())
    with pytest.warns(UserWarning, match=r"there is no trainer_state.json, .* pass that number as `first_epoch`"):
        assert Counter(phase("two", BertForMaskedLM.from_pretrained(tmp_path / "one"))) == expected(0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        phase("three", BertForMaskedLM.from_pretrained(tmp_path / "one"), MaskRateCallback(first_epoch=0))


def test_a_second_training_in_the_process_is_warned_of_unless_it_says_so(phase, expected, new_model) -> None:
    model = new_model()
    phase("one", model)
    with pytest.warns(UserWarning, match=r"with seed 3 and the masks before epoch 2, .* Pass `first_epoch=2`"):
        phase("two", model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Counter(phase("three", model, MaskRateCallback(first_epoch=2))) >= expected(2, 3)
        phase("four", model, seed=4)


@pytest.mark.parametrize("settings", [{"num_mask_patterns": 1}, {"num_mask_patterns": 3}, {"mlm": False}])
def test_masks_that_do_not_follow_the_epoch_alone_are_not_warned_of(phase, new_model, tmp_path, settings) -> None:
    model = new_model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "`num_mask_patterns` should be below")
        for name in ("one", "two"):
            phase(name, model, collator=settings)
        phase("three", BertForMaskedLM.from_pretrained(tmp_path / "one"), collator=settings)


def test_a_model_of_another_task_begins_at_0(phase, new_model, wordpiece, tmp_path) -> None:
    phase("one", new_model())
    for folder in (tmp_path / "one", tmp_path / "one/checkpoint-4"):
        model = BertForTokenClassification.from_pretrained(folder)
        recorder = Recorder(model)
        data = Dataset.from_list(
            [{**wordpiece(text), "labels": [0] * len(wordpiece(text)["input_ids"])} for text in TEXTS]
        )
        collator = DataCollatorWithTokenDropout(DataCollatorForTokenClassification(wordpiece), mlm_probability=0.4)
        settings = TrainingArguments(
            str(tmp_path / "ner"), num_train_epochs=1, seed=3, use_cpu=True, report_to="none", disable_tqdm=True
        )
        Trainer(model, settings, train_dataset=data, data_collator=collator, callbacks=[MaskRateCallback()]).train()
        collator = DataCollatorWithTokenDropout(DataCollatorForTokenClassification(wordpiece), 0.4, seed=3)
        first = [tuple(collator([example], epoch=0)["input_ids"][0].tolist()) for example in data]
        assert Counter(recorder.inputs) == Counter(first)


def test_a_checkpoint_has_no_entry_unless_it_needs_one(phase, new_model, tmp_path) -> None:
    phase("one", new_model())
    phase("two", new_model(), MaskRateCallback(first_epoch=2))
    entries = [_entry(tmp_path / name) for name in ("one", "two")]
    assert entries == [None, {"args": {}, "attributes": {}, "first_epoch": 2, "views": 1}]


def _entry(folder: Path) -> Any:
    state = json.loads((folder / "checkpoint-4/trainer_state.json").read_text())
    return state["stateful_callbacks"].get("hf_dynmask")


@pytest.mark.parametrize(("before", "after"), [(2, 1), (3, 2), (1, 2), (2, "complementary"), ("complementary", 2)])
def test_no_mask_repeats_after_a_phase_with_other_views(phase, new_model, tmp_path, before, after) -> None:
    model = new_model()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "This model was already trained")
        first = phase("one", model, collator={"views": before})
        model = BertForMaskedLM.from_pretrained(tmp_path / "one/checkpoint-4")
        second = phase("two", model, collator={"views": after})
        model = BertForMaskedLM.from_pretrained(tmp_path / "two/checkpoint-4")
        third = phase("three", model, collator={"views": before})
    views = {"complementary": 2}
    assert [len(each) for each in (first, second)] == [4 * views.get(each, each) for each in (before, after)]
    assert not set(first) & set(second)
    assert not set(third) & {*first, *second}


def test_views_of_an_earlier_training_in_the_process_count(phase, new_model) -> None:
    model = new_model()
    phase("one", model, collator={"views": 3})
    with pytest.warns(UserWarning, match=r"masks before epoch 3, and masks begin at epoch 0 .* Pass `first_epoch=3`"):
        phase("two", model, collator={"views": 2})


def test_a_number_of_numpy_is_saved(phase, expected, new_model, tmp_path) -> None:
    assert Counter(phase("one", new_model(), MaskRateCallback(first_epoch=np.int64(5)))) == expected(5, 6)
    assert _entry(tmp_path / "one")["first_epoch"] == 5


@pytest.mark.parametrize("first_epoch", [-1, 1.5, True, "2"])
def test_what_is_no_epoch_is_refused(first_epoch) -> None:
    with pytest.raises(ValueError, match="`first_epoch` must be an integer of at least 0"):
        MaskRateCallback(first_epoch=first_epoch)
