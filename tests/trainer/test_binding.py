"""`MaskRateCallback` knows its `Trainer`: by `bind`, or from the stack, or training does not begin."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import GradientState
from support.long_sequences import Numbers, Witness
from transformers import Trainer, TrainerCallback, TrainingArguments

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, linear_schedule

SCHEDULE = linear_schedule(0.6, 0.1)
EXPECTED = [SCHEDULE(step / 10) for step in range(10)]
EVALUATION = 0.2


@pytest.fixture
def collator(wordpiece) -> DataCollatorForDynamicMasking:
    return DataCollatorForDynamicMasking(wordpiece, mlm_probability=0.5, exact_count=True)


@pytest.fixture
def make(collator, tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))  # otherwise the working directory

    def make(*callbacks: TrainerCallback, of: type[Trainer] = Trainer, **arguments: Any) -> Trainer:
        return of(
            model=Witness(),
            args=_arguments(tmp_path, **arguments),
            train_dataset=Numbers(),
            eval_dataset=Numbers(),
            data_collator=collator,
            callbacks=list(callbacks),
        )

    return make


@pytest.fixture
def without_the_convenience(monkeypatch) -> None:
    """As if the one file that reads the stack were not there."""
    monkeypatch.setitem(sys.modules, "hf_dynmask.trainer.calling_trainer", None)


def _arguments(folder: Path, **arguments: Any) -> TrainingArguments:
    defaults = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 10,
        "num_train_epochs": 1,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "dataloader_pin_memory": False,
    }
    return TrainingArguments(**{**defaults, **arguments})


def _callback() -> MaskRateCallback:
    return MaskRateCallback(SCHEDULE, eval_mlm_probability=EVALUATION)


def _is_right(trainer: Trainer) -> None:
    """Trains and evaluates, before and after, at the rates that were asked for."""
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()
    assert trainer.model.training_rates() == pytest.approx(EXPECTED, abs=0.005)
    evaluations = trainer.model.evaluations()
    assert [rate for rate, _ in evaluations] == pytest.approx([EVALUATION] * len(evaluations), abs=0.005)
    assert evaluations[:2] == evaluations[-2:], "evaluation losses can be compared"


def _logs_rates(trainer: Trainer) -> None:
    assert [logs["mask_rate"] for logs in trainer.state.log_history if "loss" in logs] == pytest.approx(EXPECTED)


class OwnLoop(Trainer):
    """Trains as Gaudi's `Trainer` does: by a loop of its own, from copies of transformers' methods."""

    def train(self, **kwargs: Any) -> None:
        loader = self.callback_handler.train_dataloader = self.get_train_dataloader()
        self.state.max_steps, self.state.num_train_epochs = len(loader), 1
        self.state.is_world_process_zero = True
        handler, state = self.callback_handler, self.state
        self.control = handler.on_train_begin(self.args, state, self.control)
        self.control = handler.on_epoch_begin(self.args, state, self.control)
        self.model.train()
        for batch in loader:
            self.control = handler.on_step_begin(self.args, state, self.control)
            loss = self.model(**batch)["loss"]
            self.control = handler.on_pre_optimizer_step(self.args, state, self.control)
            state.global_step += 1
            self.control = handler.on_step_end(self.args, state, self.control)
            self.log({"loss": loss.item()})
        self.control = handler.on_epoch_end(self.args, state, self.control)
        self.control = handler.on_train_end(self.args, state, self.control)


@pytest.mark.parametrize("of", [Trainer, OwnLoop])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_callback_that_the_trainer_is_made_with(make, of, workers) -> None:
    trainer = make(_callback(), of=of, dataloader_num_workers=workers)
    _is_right(trainer)
    _logs_rates(trainer)


@pytest.mark.parametrize("of", [Trainer, OwnLoop])
@pytest.mark.parametrize("adds", [False, True])
def test_a_callback_that_is_bound_later(make, of, adds) -> None:
    trainer, callback = make(of=of), _callback()
    if adds:
        trainer.add_callback(callback)
    callback.bind(trainer)
    callback.bind(trainer)
    assert trainer.callback_handler.callbacks.count(callback) == 1
    _is_right(trainer)
    _logs_rates(trainer)


@pytest.mark.usefixtures("without_the_convenience")
class TestWithoutTheConvenience:
    @pytest.mark.parametrize("of", [Trainer, OwnLoop])
    def test_bind_is_enough(self, make, of) -> None:
        trainer, callback = make(of=of, report_to="tensorboard"), _callback()
        callback.bind(trainer)
        _is_right(trainer)
        _logs_rates(trainer)

    @pytest.mark.parametrize("of", [Trainer, OwnLoop])
    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({"eval_strategy": "epoch"}, "evaluation has its own masks"),
            ({"report_to": "tensorboard"}, "trackers write `mask_rate`"),
        ],
    )
    def test_a_training_that_needs_it_does_not_begin(self, make, of, arguments, reason) -> None:
        trainer = make(_callback(), of=of, **arguments)
        with pytest.raises(RuntimeError, match=rf"must know its Trainer so that {reason}.*`callback.bind\(trainer\)`"):
            trainer.train()
        assert not trainer.model.seen

    def test_neither_does_one_whose_losses_are_saved(self, make, collator) -> None:
        collator.strategy = "adaptive"
        with pytest.raises(RuntimeError, match=r"so that checkpoints hold the losses .*`callback.bind\(trainer\)`"):
            make(MaskRateCallback()).train()

    def test_a_training_that_needs_nothing_of_it_goes_its_way(self, make) -> None:
        trainer = make(_callback())
        trainer.train()
        assert trainer.model.training_rates() == pytest.approx(EXPECTED, abs=0.005)
        _logs_rates(trainer)

    def test_an_evaluation_does_not_go_wrong_in_silence(self, make) -> None:
        trainer = make(_callback())
        with pytest.raises(RuntimeError, match=r"this evaluation has the masks of training. Call `callback.bind\("):
            trainer.evaluate()


class TestAnEvaluation:
    def test_before_a_callback_that_was_added_knows_its_trainer(self, make) -> None:
        trainer = make()
        trainer.add_callback(_callback())
        with pytest.raises(RuntimeError, match=r"Call `callback.bind\(trainer\)` after `trainer.add_callback"):
            trainer.evaluate()

    def test_by_a_loader_that_no_method_makes(self, make, collator) -> None:
        trainer = make(_callback())
        loader = trainer.get_train_dataloader()
        with pytest.raises(RuntimeError, match=r"needs `collator.for_evaluation\(\)` as its `collate_fn`"):
            trainer.evaluation_loop(loader, "evaluation")
        loader.base_dataloader.collate_fn = collator.for_evaluation(0.4)
        trainer.model.seen.clear()
        trainer.evaluation_loop(loader, "evaluation")
        assert [rate for rate, _ in trainer.model.evaluations()] == pytest.approx([0.4] * 10, abs=0.005)


def test_what_is_no_trainer_is_refused() -> None:
    with pytest.raises(ValueError, match="`trainer` must be a transformers `Trainer`, but got a Witness"):
        _callback().bind(Witness())


def test_a_trainer_made_in_a_thread(make) -> None:
    made: list[Trainer] = []
    thread = threading.Thread(target=lambda: made.append(make(_callback())))
    thread.start()
    thread.join()
    _is_right(made[0])
    _logs_rates(made[0])


def test_a_trainer_that_trains_in_a_thread(make) -> None:
    trainer = make(_callback())
    thread = threading.Thread(target=trainer.train)
    thread.start()
    thread.join()
    assert trainer.model.training_rates() == pytest.approx(EXPECTED, abs=0.005)


def test_two_trainers_with_one_collator(make) -> None:
    trainers = [make(MaskRateCallback(rate, eval_mlm_probability=rate / 2)) for rate in (0.2, 0.6)]
    for trainer, rate in zip(trainers, (0.2, 0.6), strict=True):
        trainer.train()
        for each in trainers:
            each.evaluate()
        assert trainer.model.training_rates() == pytest.approx([rate] * 10, abs=0.005)
    for trainer, rate in zip(trainers, (0.2, 0.6), strict=True):
        assert {round(found, 2) for found, _ in trainer.model.evaluations()} == {rate / 2}


def test_two_trainers_with_one_callback(make) -> None:
    callback = _callback()
    first, second = make(callback), make(callback)
    for trainer in (first, second):
        _is_right(trainer)
    first.evaluate()
    assert first.model.evaluations()[-2:] == second.model.evaluations()[-2:]


def _pickled(trainer: Trainer) -> Trainer:
    return pickle.loads(pickle.dumps(trainer))


@pytest.mark.parametrize(("copied", "trained"), [(copy.deepcopy, False), (copy.deepcopy, True), (_pickled, False)])
def test_a_copy_of_a_trainer(make, copied, trained) -> None:
    GradientState._reset_state()  # it refers to every loader of a training, by which no Trainer can be pickled
    trainer = make(_callback())
    if trained:
        trainer.train()
        trainer.model.seen.clear()
    other = copied(trainer)
    (callback,) = (each for each in other.callback_handler.callbacks if isinstance(each, MaskRateCallback))
    assert callback not in trainer.callback_handler.callbacks
    _is_right(other)
    assert not trainer.model.seen
