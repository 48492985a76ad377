"""What a model is given in training is checked against what was asked, whoever gave it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.corpora import Numbered, Stream, example
from torch.utils.data import get_worker_info
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainerCallback, TrainingArguments

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorForSpanCorruption,
    MaskAuditError,
    MaskRateCallback,
    linear_schedule,
    uniform_rate,
)
from hf_dynmask.loading import numbering
from hf_dynmask.loading.batch_position import take_position
from hf_dynmask.loading.numbering import PositionedCollate
from hf_dynmask.trainer import training
from hf_dynmask.trainer import training_audit as trainer_audit

EXAMPLES, BATCH = 16, 4
SCHEDULE = linear_schedule(0.8, 0.1)


def _model(vocabulary: int, **changes: Any) -> BertForMaskedLM:
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, **changes}
    return BertForMaskedLM(BertConfig(vocab_size=vocabulary, **sizes))


@pytest.fixture
def made(wordpiece, tmp_path):
    def made(
        callback: MaskRateCallback | None = None,
        *others: TrainerCallback,
        of: type[Trainer] = Trainer,
        data: Any = None,
        collator: Any = None,
        model: Any = None,
        trainer_options: dict | None = None,
        **arguments: Any,
    ) -> Trainer:
        defaults = {
            "output_dir": str(tmp_path),
            "use_cpu": True,
            "report_to": "none",
            "disable_tqdm": True,
            "save_strategy": "no",
            "logging_strategy": "no",
            "dataloader_pin_memory": False,
            "per_device_train_batch_size": BATCH,
            "num_train_epochs": 2,
        }
        return of(
            model=model or _model(len(wordpiece)),
            args=TrainingArguments(**{**defaults, **arguments}),
            train_dataset=Numbered(EXAMPLES) if data is None else data,
            eval_dataset=Numbered(EXAMPLES),
            data_collator=collator or DataCollatorForDynamicMasking(wordpiece, seed=7),
            callbacks=[callback or MaskRateCallback(SCHEDULE, 0.15), *others],
            **(trainer_options or {}),
        )

    return made


@pytest.fixture
def audits(monkeypatch) -> list[Any]:
    """All that the audit finds."""
    found: list[Any] = []
    original = trainer_audit.audit_batch

    def audit_batch(*args: Any, **kwargs: Any) -> Any:
        found.append(original(*args, **kwargs))
        return found[-1]

    monkeypatch.setattr(trainer_audit, "audit_batch", audit_batch)
    return found


class TestRightTrainings:
    @pytest.mark.parametrize("workers", [0, 2])
    @pytest.mark.parametrize("accumulation", [1, 3])
    def test_are_right_at_every_step(self, made, audits, workers, accumulation) -> None:
        callback = MaskRateCallback(SCHEDULE, 0.15, audit="every_step")
        trainer = made(
            callback,
            dataloader_num_workers=workers,
            gradient_accumulation_steps=accumulation,
            eval_strategy="epoch",
        )
        trainer.train()
        assert [audit.coverage for audit in audits] == ["full"] * 8
        assert all(audit.matches and audit.masked for audit in audits)

    def test_are_looked_at_where_that_is_cheap(self, made, audits) -> None:
        made(num_train_epochs=4, logging_strategy="steps", logging_steps=7).train()
        # the first three steps, the first of the three epochs to come, and steps 6 and 13, after which there is a log
        assert len(audits) == 3 + 3 + 2

    @pytest.mark.parametrize("name", ["whole_word", "span", "ngram", "position", "entity"])
    def test_with_a_strategy(self, made, audits, wordpiece, name) -> None:
        tags = [{**example(i), "labels": [1 - token % 2 for token in example(i)["input_ids"]]} for i in range(EXAMPLES)]
        collator = DataCollatorForDynamicMasking(wordpiece, strategy=name, exact_count=name == "ngram")
        made(MaskRateCallback(SCHEDULE, 0.15, "every_step"), data=tags, collator=collator).train()
        assert len(audits) == 8
        assert {audit.coverage for audit in audits} <= {"full", "partial"}
        assert all(audit.matches for audit in audits)

    def test_with_losses_that_the_masks_follow(self, made, audits, wordpiece) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, strategy="adaptive")
        options = {"compute_loss_func": collator.losses.compute_loss}
        made(MaskRateCallback(SCHEDULE, 0.15, "every_step"), collator=collator, trainer_options=options).train()
        assert [audit.coverage for audit in audits] == ["full"] * 8

    @pytest.mark.parametrize("low_discrepancy", [False, True])
    def test_with_a_rate_for_each_sequence(self, made, audits, low_discrepancy) -> None:
        rate = uniform_rate(0.1, 0.9, low_discrepancy=low_discrepancy)
        made(MaskRateCallback(rate, 0.15, "every_step")).train()
        assert [audit.coverage for audit in audits] == ["full"] * 8

    def test_without_padding(self, made, audits, wordpiece) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, padding_free=True, return_flash_attn_kwargs=False)
        with pytest.warns(UserWarning, match="`padding_free=True` needs attention that keeps sequences apart"):
            made(MaskRateCallback(SCHEDULE, 0.15, "every_step"), collator=collator).train()
        assert [audit.coverage for audit in audits] == ["full"] * 8

    def test_of_a_compiled_model(self, made, audits) -> None:
        trainer = made(
            MaskRateCallback(SCHEDULE, 0.15, "every_step"), torch_compile=True, torch_compile_backend="eager"
        )
        trainer.train()
        assert [audit.coverage for audit in audits] == ["full"] * 8

    def test_of_a_stream_that_is_resumed(self, made, audits) -> None:
        made(data=Stream(EXAMPLES), max_steps=8, save_strategy="steps", save_steps=2).train()
        audits.clear()
        resumed = made(MaskRateCallback(SCHEDULE, 0.15, "every_step"), data=Stream(EXAMPLES), max_steps=8)
        resumed.train(resume_from_checkpoint=f"{resumed.args.output_dir}/checkpoint-2")
        assert [audit.coverage for audit in audits] == ["full"] * 6

    def test_of_span_corruption(self, made, audits, with_sentinels) -> None:
        from transformers import T5Config, T5ForConditionalGeneration

        sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 1}
        config = T5Config(vocab_size=len(with_sentinels), decoder_start_token_id=0, **sizes)
        collator = DataCollatorForSpanCorruption(with_sentinels, seed=7)
        callback = MaskRateCallback(linear_schedule(0.4, 0.1), 0.15, "every_step")
        made(callback, collator=collator, model=T5ForConditionalGeneration(config)).train()
        assert [audit.coverage for audit in audits] == ["full"] * 8


class WithSpecialTokensMask(Numbered):
    def __getitem__(self, index: int) -> dict[str, list[int]]:
        each = example(range(self.examples)[index])
        return {**each, "special_tokens_mask": [int(i % 3 == 0) for i in range(len(each["input_ids"]))]}


class TestWhatIsNotInTheBatch:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_is_said_once(self, made, audits, caplog, workers) -> None:
        data = WithSpecialTokensMask(EXAMPLES)
        callback = MaskRateCallback(0.5, 0.15, "every_step")
        made(callback, data=data, remove_unused_columns=False, dataloader_num_workers=workers).train()
        assert {audit.coverage for audit in audits} == {"partial"}
        assert [message for message in caplog.messages if "audited" in message] == [
            "The masks that the model receives are only partly audited: the masks also depend on `special_tokens_mask` "
            "of the examples, which the batch does not contain."
        ]

    def test_shapes_that_differ_from_batch_to_batch_are_said_once(self, made, audits, caplog) -> None:
        class Flattens(Trainer):
            def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
                labels = inputs["labels"]
                try:
                    return model(**{**inputs, "labels": labels[labels != -100]}).loss
                except ValueError:  # the model's own, of shapes that differ
                    return model(input_ids=inputs["input_ids"]).logits.sum()

        made(MaskRateCallback(SCHEDULE, 0.15, "every_step"), of=Flattens).train()
        assert {audit.coverage for audit in audits} == {"none"}
        assert len([message for message in caplog.messages if "not audited" in message]) == 1

    def test_labels_that_are_taken_off(self, made, audits, caplog) -> None:
        made(label_smoothing_factor=0.1).train()
        assert {audit.coverage for audit in audits} == {"none"}
        (message,) = [message for message in caplog.messages if "audited" in message]
        assert message == "The masks that the model receives are not audited: the batch has no `labels`."

    def test_no_audit_on_request(self, made, audits) -> None:
        made(MaskRateCallback(SCHEDULE, 0.15, audit=False)).train()
        assert not audits

    def test_an_unknown_request(self) -> None:
        with pytest.raises(ValueError, match='`audit` must be True, False or "every_step", but got 3'):
            MaskRateCallback(audit=3)


class CountsCalls(PositionedCollate):
    """Takes a batch's number from how often it was called, as if nothing travelled with indices."""

    calls = 0

    def __call__(self, features: Any) -> Any:
        take_position()
        worker = get_worker_info()
        number, self.calls = self.calls, self.calls + 1
        plan = self._plan_at_start
        position = plan.position(number if worker is None else number * worker.num_workers + worker.id)
        return numbering.collate_at(position, lambda: self.data_collator(features))


class Looks(TrainerCallback):
    def on_epoch_begin(self, args: Any, state: Any, control: Any, train_dataloader: Any, **kwargs: Any) -> None:
        next(iter(train_dataloader))


class ShiftsByCalls(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, train_dataloader: Any, **kwargs: Any) -> None:
        train_dataloader.collate_fn([example(3)])


class KeepsItsLoader(Trainer):
    kept: Any = None

    def get_train_dataloader(self) -> Any:
        self.kept = self.kept or super().get_train_dataloader()
        return self.kept


class LooksAtItsLoader(Trainer):
    def get_train_dataloader(self) -> Any:
        loader = super().get_train_dataloader()
        next(iter(loader))
        return loader


class EvaluatesByItsTrainingLoader(KeepsItsLoader):
    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        return self.get_train_dataloader()


@pytest.fixture
def unmended(monkeypatch) -> Callable[..., None]:
    """Takes out what keeps batches right, so that the audit is alone."""

    def nothing(*args: Any) -> None:
        pass

    def unmended(what: str) -> None:
        if what == "workers are restarted":
            monkeypatch.setattr(training, "restart_workers", nothing)
            monkeypatch.setattr(numbering, "restart_workers", nothing)
        elif what == "positions travel":
            monkeypatch.setattr(training.Training, "_plan", _counts(training.Training._plan))
        elif what == "the loader that is iterated is found":
            monkeypatch.setattr(numbering, "replace_index_sampler", nothing)
        elif what == "each epoch has its plan":
            monkeypatch.setattr(training.Training, "_plan", _plans_once(training.Training._plan))
        elif what == "batches are counted once":
            monkeypatch.setattr(training, "collated_per_batch", lambda loader: 2)
        else:
            raise KeyError(what)

    return unmended


def _counts(plan: Callable[..., None]) -> Callable[..., None]:
    def counts(self: Any, state: Any) -> None:
        plan(self, state)
        self._collate.__class__ = CountsCalls
        self._collate._plan_at_start, self._collate.calls = self._sampler.plan, 0

    return counts


def _plans_once(plan: Callable[..., None]) -> Callable[..., None]:
    def once(self: Any, state: Any) -> None:
        if self.epoch == 0:
            plan(self, state)

    return once


class TestTheAuditAlone:
    """Each fault that the numbering of batches prevents, with that taken out: the audit ends it before the step."""

    @pytest.mark.parametrize("of", [KeepsItsLoader, LooksAtItsLoader])
    def test_workers_that_began_before(self, made, unmended, of) -> None:
        unmended("workers are restarted")
        workers = {"dataloader_num_workers": 2, "dataloader_persistent_workers": True}
        trainer = made(of=of, **workers)
        if of is KeepsItsLoader:
            next(iter(trainer.get_train_dataloader()))
        with pytest.raises(
            MaskAuditError, match=r"must receive the masks of step 0 of epoch 0 at a rate of 0.8, but it"
        ):
            trainer.train()

    @pytest.mark.parametrize("looks", [Looks, ShiftsByCalls])
    def test_a_look_at_a_batch(self, made, unmended, looks) -> None:
        unmended("positions travel")
        with pytest.raises(
            MaskAuditError, match=r"masks of step \d of epoch 0 .* received masks of step \d of epoch 0"
        ):
            made(None, looks()).train()

    def test_a_loader_in_a_loader(self, made, unmended) -> None:
        unmended("the loader that is iterated is found")
        with pytest.raises(MaskAuditError, match="received masks that match none of"):
            made(dataloader_num_workers=1).train()

    def test_one_loader_for_training_and_evaluation(self, made, unmended) -> None:
        unmended("each epoch has its plan")
        trainer = made(of=EvaluatesByItsTrainingLoader, eval_strategy="epoch")
        with pytest.raises(MaskAuditError, match=r"step 4 of epoch 1 .* received masks of evaluation \(rate 0.15\)"):
            trainer.train()

    def test_a_clock_that_is_shared(self, made, unmended) -> None:
        """Another process tells its own epoch, or nobody tells that a new one has begun."""
        unmended("each epoch has its plan")
        with pytest.raises(
            MaskAuditError, match=r"step 4 of epoch 1 at a rate of 0.45, but .* received masks of .* epoch 0"
        ):
            made(MaskRateCallback(SCHEDULE, 0.15)).train()

    def test_batches_that_are_replicated(self, made, unmended) -> None:
        unmended("batches are counted once")
        with pytest.raises(
            MaskAuditError, match=r"step 1 of epoch 0 at a rate of 0.713, but it received masks of step 0"
        ):
            made().train()

    def test_a_constant_rate_of_another_epoch(self, made, unmended) -> None:
        unmended("each epoch has its plan")
        with pytest.raises(
            MaskAuditError, match=r"step 4 of epoch 1 at a rate of 0.3, but it received masks of .*epoch 0"
        ):
            made(MaskRateCallback(0.3, 0.15)).train()

    def test_no_step_is_made(self, made, unmended) -> None:
        unmended("batches are counted once")
        trainer = made()
        with pytest.raises(MaskAuditError):
            trainer.train()
        assert trainer.state.global_step == 1


class DropsAMask(Trainer):
    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = {**inputs, "labels": inputs["labels"].clone()}
        inputs["labels"][0, (inputs["labels"][0] != -100).nonzero()[0, 0]] = -100
        return super().compute_loss(model, inputs, *args, **kwargs)


def test_a_batch_that_is_changed_on_its_way(made) -> None:
    with pytest.raises(MaskAuditError, match="pass `audit=False`"):
        made(of=DropsAMask).train()


def test_a_model_goes_without_when_it_is_copied(made) -> None:
    trainer = made()
    copies: list[Any] = []

    class Copies(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **kwargs: Any) -> None:
            copies.extend([copy.deepcopy(model), pickle.loads(pickle.dumps(model))])

    trainer.add_callback(Copies())
    trainer.train()
    labels = torch.full((1, 2), 5)
    for each in copies[:2]:
        assert each.train()(input_ids=labels, labels=labels).loss.isfinite()
    assert not trainer.model._forward_pre_hooks


def test_the_logged_rate_is_that_of_a_step_that_was_checked(made, audits) -> None:
    trainer = made(logging_strategy="epoch")
    trainer.train()
    assert len(audits) == 3 + 1 + 2  # the first steps, the second epoch's first, and the last of each epoch
    logged = [entry["mask_rate"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == [SCHEDULE(3 / 8), SCHEDULE(7 / 8)]


class CallsTwice(Trainer):
    """A loss of two forward passes, of which one has labels of its own."""

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        others = {**inputs, "labels": torch.full_like(inputs["labels"], 7)}
        return super().compute_loss(model, inputs, *args, **kwargs) + model(**others).loss


class ByPosition(Trainer):
    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return model(inputs["input_ids"], inputs["attention_mask"], labels=inputs["labels"]).loss


class TestOtherForwards:
    @pytest.mark.parametrize(("of", "audited"), [(CallsTwice, 16), (ByPosition, 8)])
    def test_in_the_loss(self, made, audits, of, audited) -> None:
        made(MaskRateCallback(SCHEDULE, 0.15, "every_step"), of=of).train()
        assert len(audits) == audited
        assert sum(audit.matches for audit in audits) == 8

    def test_only_others_are_a_mismatch(self, made) -> None:
        class Replaces(Trainer):
            def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
                inputs = {**inputs, "labels": torch.full_like(inputs["labels"], 7)}
                return super().compute_loss(model, inputs, *args, **kwargs)

        with pytest.raises(MaskAuditError, match="received masks that match none of"):
            made(of=Replaces).train()

    @pytest.mark.parametrize("event", ["on_step_begin", "on_step_end", "on_epoch_begin"])
    def test_in_a_callback(self, made, audits, event) -> None:
        class Calls(TrainerCallback):
            pass

        def call(self: Any, args: Any, state: Any, control: Any, model: Any, **kwargs: Any) -> None:
            model.train()(input_ids=torch.full((1, 6), 9), labels=torch.full((1, 6), 8))

        setattr(Calls, event, call)
        made(MaskRateCallback(SCHEDULE, 0.15, "every_step"), Calls()).train()
        assert sum(audit.matches for audit in audits) == 8

    def test_a_hook_of_the_models_own_that_changes_what_it_is_given(self, made, audits) -> None:
        """Such as one that leaves out what has no label."""
        trainer = made(MaskRateCallback(SCHEDULE, 0.15, "every_step"))

        def shortens(model: Any, args: Any, kwargs: dict[str, Any]) -> Any:
            tensors = {name: values for name, values in kwargs.items() if torch.is_tensor(values) and values.ndim == 2}
            return args, {name: values[:, :12].contiguous() for name, values in tensors.items()}

        trainer.model.register_forward_pre_hook(shortens, with_kwargs=True)
        trainer.train()
        assert [audit.coverage for audit in audits] == ["full"] * 8

    def test_of_a_model_that_is_compiled_in_place(self, made, audits) -> None:
        trainer = made(MaskRateCallback(SCHEDULE, 0.15, "every_step"))
        trainer.model.compile(backend="eager")
        trainer.train()
        assert [audit.coverage for audit in audits] == ["full"] * 8


class Interrupted(TrainerCallback):
    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt


class TestAfterAnInterruption:
    """A hook that is left on the model stops nothing that comes after."""

    @pytest.fixture
    def interrupted(self, made) -> Trainer:
        trainer = made(MaskRateCallback(0.6, 0.15), Interrupted(), gradient_accumulation_steps=2)
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
        return trainer

    @pytest.mark.parametrize("audit", [True, False])
    def test_a_new_training(self, made, interrupted, audits, audit) -> None:
        audits.clear()
        made(MaskRateCallback(0.2, 0.15, audit=audit), model=interrupted.model, seed=5).train()
        assert len(audits) == 4 * audit
        assert all(found.matches for found in audits)

    def test_a_loop_of_ones_own(self, interrupted) -> None:
        ids = torch.full((2, 5), 9)
        for _ in range(40):
            interrupted.model.train()(input_ids=ids, labels=ids).loss.backward()

    def test_the_same_trainer_again(self, interrupted, audits) -> None:
        interrupted.remove_callback(Interrupted)
        audits.clear()
        interrupted.train()
        assert all(found.matches for found in audits)


class Chooses:
    """A collator of two of this package, one for each kind of batch."""

    def __init__(self, *collators: Any) -> None:
        self._collators, self._calls = list(collators), 0

    def __call__(self, features: Any) -> Any:
        self._calls += 1
        return self._collators[self._calls % 2](features)


def test_several_collators_are_not_audited(made, audits, wordpiece) -> None:
    one, other = (DataCollatorForDynamicMasking(wordpiece, seed=7, strategy=name) for name in ("token", "span"))
    made(MaskRateCallback(SCHEDULE, 0.15, "every_step"), collator=Chooses(one, other)).train()
    assert not audits


def test_nothing_is_left_of_a_training(made) -> None:
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        trainer = made(of=KeepsItsLoader, dataloader_num_workers=1, dataloader_persistent_workers=True)
        trainer.train()
        loader = weakref.ref(trainer.kept.base_dataloader)
        assert pickle.loads(pickle.dumps(trainer.callback_handler.callbacks[0])).audit is True
        del trainer
        assert loader() is None
    finally:
        gc.enable()
