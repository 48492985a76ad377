"""The audit detects if the model receives other masks than the expected ones."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

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
def make_trainer(wordpiece, tmp_path):
    def make_trainer(
        callback: MaskRateCallback | None = None,
        *others: TrainerCallback,
        trainer_class: type[Trainer] = Trainer,
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
        return trainer_class(
            model=model or _model(len(wordpiece)),
            args=TrainingArguments(**{**defaults, **arguments}),
            train_dataset=Numbered(EXAMPLES) if data is None else data,
            eval_dataset=Numbered(EXAMPLES),
            data_collator=collator or DataCollatorForDynamicMasking(wordpiece, seed=7),
            callbacks=[callback or MaskRateCallback(SCHEDULE, 0.15), *others],
            **(trainer_options or {}),
        )

    return make_trainer


@pytest.fixture
def audits(monkeypatch) -> list[Any]:
    """Collects the results of all audits."""
    found: list[Any] = []
    original = trainer_audit.audit_batch

    def audit_batch(*args: Any, **kwargs: Any) -> Any:
        found.append(original(*args, **kwargs))
        return found[-1]

    monkeypatch.setattr(trainer_audit, "audit_batch", audit_batch)
    return found


class TestCorrectTrainings:
    @pytest.mark.parametrize("workers", [0, 2])
    @pytest.mark.parametrize("accumulation", [1, 3])
    def test_every_step_matches(self, make_trainer, audits, workers, accumulation) -> None:
        callback = MaskRateCallback(SCHEDULE, 0.15, audit="every_step")
        trainer = make_trainer(
            callback,
            dataloader_num_workers=workers,
            gradient_accumulation_steps=accumulation,
            eval_strategy="epoch",
        )
        trainer.train()
        assert [audit.coverage for audit in audits] == ["full"] * 8
        assert all(audit.matches and audit.masked for audit in audits)

    def test_default_checks_few_steps(self, make_trainer, audits) -> None:
        make_trainer(num_train_epochs=4, logging_strategy="steps", logging_steps=7).train()
        # the first three steps, the first steps of three later epochs, and steps 6 and 13, which are logged
        assert len(audits) == 3 + 3 + 2

    @pytest.mark.parametrize("name", ["whole_word", "span", "ngram", "position", "entity"])
    def test_with_a_strategy(self, make_trainer, audits, wordpiece, name) -> None:
        tags = [{**example(i), "labels": [1 - token % 2 for token in example(i)["input_ids"]]} for i in range(EXAMPLES)]
        collator = DataCollatorForDynamicMasking(wordpiece, strategy=name, exact_count=name == "ngram")
        make_trainer(MaskRateCallback(SCHEDULE, 0.15, "every_step"), data=tags, collator=collator).train()
        assert len(audits) == 8
        assert {audit.coverage for audit in audits} <= {"full", "partial"}
        assert all(audit.matches for audit in audits)

    def test_with_adaptive_masks(self, make_trainer, audits, wordpiece) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, strategy="adaptive")
        options = {"compute_loss_func": collator.losses.compute_loss}
        make_trainer(MaskRateCallback(SCHEDULE, 0.15, "every_step"), collator=collator, trainer_options=options).train()
        assert [audit.coverage for audit in audits] == ["full"] * 8

    @pytest.mark.parametrize("low_discrepancy", [False, True])
    def test_with_a_rate_for_each_sequence(self, make_trainer, audits, low_discrepancy) -> None:
        rate = uniform_rate(0.1, 0.9, low_discrepancy=low_discrepancy)
        make_trainer(MaskRateCallback(rate, 0.15, "every_step")).train()
        assert [audit.coverage for audit in audits] == ["full"] * 8

    def test_without_padding(self, make_trainer, audits, wordpiece) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, padding_free=True, return_flash_attn_kwargs=False)
        with pytest.warns(UserWarning, match="`padding_free=True` needs attention that keeps sequences apart"):
            make_trainer(MaskRateCallback(SCHEDULE, 0.15, "every_step"), collator=collator).train()
        assert [audit.coverage for audit in audits] == ["full"] * 8

    @patch.dict(os.environ)  # where the arguments would leave it for later trainings
    def test_with_a_compiled_model(self, make_trainer, audits) -> None:
        trainer = make_trainer(
            MaskRateCallback(SCHEDULE, 0.15, "every_step"), torch_compile=True, torch_compile_backend="eager"
        )
        trainer.train()
        assert [audit.coverage for audit in audits] == ["full"] * 8

    def test_with_a_resumed_stream(self, make_trainer, audits) -> None:
        make_trainer(data=Stream(EXAMPLES), max_steps=8, save_strategy="steps", save_steps=2).train()
        audits.clear()
        resumed = make_trainer(MaskRateCallback(SCHEDULE, 0.15, "every_step"), data=Stream(EXAMPLES), max_steps=8)
        resumed.train(resume_from_checkpoint=f"{resumed.args.output_dir}/checkpoint-2")
        assert [audit.coverage for audit in audits] == ["full"] * 6

    def test_with_span_corruption(self, make_trainer, audits, with_sentinels) -> None:
        from transformers import T5Config, T5ForConditionalGeneration

        sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 1}
        config = T5Config(vocab_size=len(with_sentinels), decoder_start_token_id=0, **sizes)
        collator = DataCollatorForSpanCorruption(with_sentinels, seed=7)
        callback = MaskRateCallback(linear_schedule(0.4, 0.1), 0.15, "every_step")
        make_trainer(callback, collator=collator, model=T5ForConditionalGeneration(config)).train()
        assert [audit.coverage for audit in audits] == ["full"] * 8


class WithSpecialTokensMask(Numbered):
    def __getitem__(self, index: int) -> dict[str, list[int]]:
        each = example(range(self.examples)[index])
        return {**each, "special_tokens_mask": [int(i % 3 == 0) for i in range(len(each["input_ids"]))]}


class TestIncompleteBatches:
    @pytest.mark.parametrize("workers", [0, 2])
    def test_partial_audit_is_logged_once(self, make_trainer, audits, caplog, workers) -> None:
        data = WithSpecialTokensMask(EXAMPLES)
        callback = MaskRateCallback(0.5, 0.15, "every_step")
        make_trainer(callback, data=data, remove_unused_columns=False, dataloader_num_workers=workers).train()
        assert {audit.coverage for audit in audits} == {"partial"}
        assert [message for message in caplog.messages if "audited" in message] == [
            "The masks that the model receives are only partly audited: the masks also depend on `special_tokens_mask` "
            "of the examples, which the batch does not contain."
        ]

    def test_varying_shapes_are_logged_once(self, make_trainer, audits, caplog) -> None:
        class FlattensLabels(Trainer):
            def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
                labels = inputs["labels"]
                try:
                    return model(**{**inputs, "labels": labels[labels != -100]}).loss
                except ValueError:  # the model rejects labels of another shape
                    return model(input_ids=inputs["input_ids"]).logits.sum()

        make_trainer(MaskRateCallback(SCHEDULE, 0.15, "every_step"), trainer_class=FlattensLabels).train()
        assert {audit.coverage for audit in audits} == {"none"}
        assert len([message for message in caplog.messages if "not audited" in message]) == 1

    def test_labels_that_are_removed(self, make_trainer, audits, caplog) -> None:
        make_trainer(label_smoothing_factor=0.1).train()
        assert {audit.coverage for audit in audits} == {"none"}
        (message,) = [message for message in caplog.messages if "audited" in message]
        assert message == "The masks that the model receives are not audited: the batch has no `labels`."

    def test_no_audit_on_request(self, make_trainer, audits) -> None:
        make_trainer(MaskRateCallback(SCHEDULE, 0.15, audit=False)).train()
        assert not audits

    def test_invalid_audit_argument(self) -> None:
        with pytest.raises(ValueError, match='`audit` must be True, False or "every_step", but got 3'):
            MaskRateCallback(audit=3)


class NumbersByCalls(PositionedCollate):
    """Numbers batches by counting calls, instead of reading the number that comes with the indices."""

    calls = 0

    def __call__(self, features: Any) -> Any:
        take_position()
        worker = get_worker_info()
        number, self.calls = self.calls, self.calls + 1
        plan = self._plan_at_start
        position = plan.position(number if worker is None else number * worker.num_workers + worker.id)
        return numbering.collate_at(position, lambda: self.data_collator(features))


class PeeksAtABatch(TrainerCallback):
    def on_epoch_begin(self, args: Any, state: Any, control: Any, train_dataloader: Any, **kwargs: Any) -> None:
        next(iter(train_dataloader))


class CallsTheCollator(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, train_dataloader: Any, **kwargs: Any) -> None:
        train_dataloader.collate_fn([example(3)])


class KeepsItsLoader(Trainer):
    kept: Any = None

    def get_train_dataloader(self) -> Any:
        self.kept = self.kept or super().get_train_dataloader()
        return self.kept


class PeeksAtItsLoader(Trainer):
    def get_train_dataloader(self) -> Any:
        loader = super().get_train_dataloader()
        next(iter(loader))
        return loader


class EvaluatesWithItsTrainingLoader(KeepsItsLoader):
    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        return self.get_train_dataloader()


@pytest.fixture
def without_safeguard(monkeypatch) -> Callable[..., None]:
    """Disables a safeguard of the numbering of batches, so that only the audit is left."""

    def nothing(*args: Any) -> None:
        pass

    def disable(safeguard: str) -> None:
        if safeguard == "restart workers":
            monkeypatch.setattr(training, "restart_workers", nothing)
            monkeypatch.setattr(numbering, "restart_workers", nothing)
        elif safeguard == "send positions":
            monkeypatch.setattr(training.Training, "_plan", _number_by_calls(training.Training._plan))
        elif safeguard == "find the inner loader":
            monkeypatch.setattr(numbering, "replace_index_sampler", nothing)
        elif safeguard == "plan each epoch":
            monkeypatch.setattr(training.Training, "_plan", _plan_once(training.Training._plan))
        elif safeguard == "count batches once":
            monkeypatch.setattr(training, "collated_per_batch", lambda loader: 2)
        else:
            raise KeyError(safeguard)

    return disable


def _number_by_calls(plan: Callable[..., None]) -> Callable[..., None]:
    def number_by_calls(self: Any, state: Any) -> None:
        plan(self, state)
        self._collate.__class__ = NumbersByCalls
        self._collate._plan_at_start, self._collate.calls = self._sampler.plan, 0

    return number_by_calls


def _plan_once(plan: Callable[..., None]) -> Callable[..., None]:
    def plan_once(self: Any, state: Any) -> None:
        if self.epoch == 0:
            plan(self, state)

    return plan_once


class TestWithoutSafeguards:
    """The numbering of batches prevents these faults. Without it, the audit stops training before the step."""

    @pytest.mark.parametrize("trainer_class", [KeepsItsLoader, PeeksAtItsLoader])
    def test_workers_that_started_before_training(self, make_trainer, without_safeguard, trainer_class) -> None:
        without_safeguard("restart workers")
        workers = {"dataloader_num_workers": 2, "dataloader_persistent_workers": True}
        trainer = make_trainer(trainer_class=trainer_class, **workers)
        if trainer_class is KeepsItsLoader:
            next(iter(trainer.get_train_dataloader()))
        with pytest.raises(
            MaskAuditError, match=r"must receive the masks of step 0 of epoch 0 at a rate of 0.8, but it"
        ):
            trainer.train()

    @pytest.mark.parametrize("callback", [PeeksAtABatch, CallsTheCollator])
    def test_a_peek_at_a_batch(self, make_trainer, without_safeguard, callback) -> None:
        without_safeguard("send positions")
        with pytest.raises(
            MaskAuditError, match=r"masks of step \d of epoch 0 .* received masks of step \d of epoch 0"
        ):
            make_trainer(None, callback()).train()

    def test_a_nested_loader(self, make_trainer, without_safeguard) -> None:
        without_safeguard("find the inner loader")
        with pytest.raises(MaskAuditError, match="received masks that match none of"):
            make_trainer(dataloader_num_workers=1).train()

    def test_one_loader_for_training_and_evaluation(self, make_trainer, without_safeguard) -> None:
        without_safeguard("plan each epoch")
        trainer = make_trainer(trainer_class=EvaluatesWithItsTrainingLoader, eval_strategy="epoch")
        with pytest.raises(MaskAuditError, match=r"step 4 of epoch 1 .* received masks of evaluation \(rate 0.15\)"):
            trainer.train()

    def test_a_stale_epoch(self, make_trainer, without_safeguard) -> None:
        """Another process sets its own epoch, or the new epoch is not set."""
        without_safeguard("plan each epoch")
        with pytest.raises(
            MaskAuditError, match=r"step 4 of epoch 1 at a rate of 0.45, but .* received masks of .* epoch 0"
        ):
            make_trainer(MaskRateCallback(SCHEDULE, 0.15)).train()

    def test_replicated_batches(self, make_trainer, without_safeguard) -> None:
        without_safeguard("count batches once")
        with pytest.raises(
            MaskAuditError, match=r"step 1 of epoch 0 at a rate of 0.713, but it received masks of step 0"
        ):
            make_trainer().train()

    def test_a_constant_rate_of_another_epoch(self, make_trainer, without_safeguard) -> None:
        without_safeguard("plan each epoch")
        with pytest.raises(
            MaskAuditError, match=r"step 4 of epoch 1 at a rate of 0.3, but it received masks of .*epoch 0"
        ):
            make_trainer(MaskRateCallback(0.3, 0.15)).train()

    def test_no_optimizer_step_is_taken(self, make_trainer, without_safeguard) -> None:
        without_safeguard("count batches once")
        trainer = make_trainer()
        with pytest.raises(MaskAuditError):
            trainer.train()
        assert trainer.state.global_step == 1


class DropsAMask(Trainer):
    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = {**inputs, "labels": inputs["labels"].clone()}
        inputs["labels"][0, (inputs["labels"][0] != -100).nonzero()[0, 0]] = -100
        return super().compute_loss(model, inputs, *args, **kwargs)


def test_a_batch_that_other_code_changes(make_trainer) -> None:
    with pytest.raises(MaskAuditError, match="pass `audit=False`"):
        make_trainer(trainer_class=DropsAMask).train()


def test_copies_of_a_model_are_not_audited(make_trainer) -> None:
    trainer = make_trainer()
    copies: list[Any] = []

    class CopiesTheModel(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any, **kwargs: Any) -> None:
            copies.extend([copy.deepcopy(model), pickle.loads(pickle.dumps(model))])

    trainer.add_callback(CopiesTheModel())
    trainer.train()
    labels = torch.full((1, 2), 5)
    for each in copies[:2]:
        assert each.train()(input_ids=labels, labels=labels).loss.isfinite()
    assert not trainer.model._forward_pre_hooks


def test_logged_steps_are_checked(make_trainer, audits) -> None:
    trainer = make_trainer(logging_strategy="epoch")
    trainer.train()
    # the first steps, the first step of the second epoch, and the last step of each epoch
    assert len(audits) == 3 + 1 + 2
    logged = [entry["mask_rate"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == [SCHEDULE(3 / 8), SCHEDULE(7 / 8)]


class CallsTwice(Trainer):
    """Computes a loss with two forward passes. One of them has other labels."""

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        others = {**inputs, "labels": torch.full_like(inputs["labels"], 7)}
        return super().compute_loss(model, inputs, *args, **kwargs) + model(**others).loss


class PassesPositionalArguments(Trainer):
    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return model(inputs["input_ids"], inputs["attention_mask"], labels=inputs["labels"]).loss


class TestOtherForwardPasses:
    @pytest.mark.parametrize(("trainer_class", "audited"), [(CallsTwice, 16), (PassesPositionalArguments, 8)])
    def test_in_the_loss(self, make_trainer, audits, trainer_class, audited) -> None:
        make_trainer(MaskRateCallback(SCHEDULE, 0.15, "every_step"), trainer_class=trainer_class).train()
        assert len(audits) == audited
        assert sum(audit.matches for audit in audits) == 8

    def test_only_other_inputs_are_a_mismatch(self, make_trainer) -> None:
        class ReplacesLabels(Trainer):
            def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
                inputs = {**inputs, "labels": torch.full_like(inputs["labels"], 7)}
                return super().compute_loss(model, inputs, *args, **kwargs)

        with pytest.raises(MaskAuditError, match="received masks that match none of"):
            make_trainer(trainer_class=ReplacesLabels).train()

    @pytest.mark.parametrize("event", ["on_step_begin", "on_step_end", "on_epoch_begin"])
    def test_in_a_callback(self, make_trainer, audits, event) -> None:
        class CallsTheModel(TrainerCallback):
            pass

        def call(self: Any, args: Any, state: Any, control: Any, model: Any, **kwargs: Any) -> None:
            model.train()(input_ids=torch.full((1, 6), 9), labels=torch.full((1, 6), 8))

        setattr(CallsTheModel, event, call)
        make_trainer(MaskRateCallback(SCHEDULE, 0.15, "every_step"), CallsTheModel()).train()
        assert sum(audit.matches for audit in audits) == 8

    def test_a_model_hook_that_changes_the_inputs(self, make_trainer, audits) -> None:
        """For example, a hook that drops tokens without a label."""
        trainer = make_trainer(MaskRateCallback(SCHEDULE, 0.15, "every_step"))

        def truncate(model: Any, args: Any, kwargs: dict[str, Any]) -> Any:
            tensors = {name: values for name, values in kwargs.items() if torch.is_tensor(values) and values.ndim == 2}
            return args, {name: values[:, :12].contiguous() for name, values in tensors.items()}

        trainer.model.register_forward_pre_hook(truncate, with_kwargs=True)
        trainer.train()
        assert [audit.coverage for audit in audits] == ["full"] * 8

    def test_a_model_that_is_compiled_in_place(self, make_trainer, audits) -> None:
        trainer = make_trainer(MaskRateCallback(SCHEDULE, 0.15, "every_step"))
        trainer.model.compile(backend="eager")
        trainer.train()
        assert [audit.coverage for audit in audits] == ["full"] * 8


class Interrupted(TrainerCallback):
    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt


class TestAfterAnInterruption:
    """A hook that remains on the model has no effect on later trainings."""

    @pytest.fixture
    def interrupted(self, make_trainer) -> Trainer:
        trainer = make_trainer(MaskRateCallback(0.6, 0.15), Interrupted(), gradient_accumulation_steps=2)
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
        return trainer

    @pytest.mark.parametrize("audit", [True, False])
    def test_a_new_training(self, make_trainer, interrupted, audits, audit) -> None:
        audits.clear()
        make_trainer(MaskRateCallback(0.2, 0.15, audit=audit), model=interrupted.model, seed=5).train()
        assert len(audits) == 4 * audit
        assert all(found.matches for found in audits)

    def test_a_custom_loop(self, interrupted) -> None:
        ids = torch.full((2, 5), 9)
        for _ in range(40):
            interrupted.model.train()(input_ids=ids, labels=ids).loss.backward()

    def test_the_same_trainer_again(self, interrupted, audits) -> None:
        interrupted.remove_callback(Interrupted)
        audits.clear()
        interrupted.train()
        assert all(found.matches for found in audits)


class AlternatesCollators:
    """Alternates between collators of this package."""

    def __init__(self, *collators: Any) -> None:
        self._collators, self._calls = list(collators), 0

    def __call__(self, features: Any) -> Any:
        self._calls += 1
        return self._collators[self._calls % 2](features)


def test_several_collators_are_not_audited(make_trainer, audits, wordpiece) -> None:
    one, other = (DataCollatorForDynamicMasking(wordpiece, seed=7, strategy=name) for name in ("token", "span"))
    make_trainer(MaskRateCallback(SCHEDULE, 0.15, "every_step"), collator=AlternatesCollators(one, other)).train()
    assert not audits


def test_training_leaves_no_references(make_trainer) -> None:
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        trainer = make_trainer(
            trainer_class=KeepsItsLoader, dataloader_num_workers=1, dataloader_persistent_workers=True
        )
        trainer.train()
        loader = weakref.ref(trainer.kept.base_dataloader)
        assert pickle.loads(pickle.dumps(trainer.callback_handler.callbacks[0])).audit is True
        del trainer
        assert loader() is None
    finally:
        gc.enable()
