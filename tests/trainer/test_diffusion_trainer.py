"""The trainer of masked diffusion: its losses are the bound, however batches are cut, and its masks are audited."""

from __future__ import annotations

import copy
import math
import re
from typing import Any

import pytest
import torch
from datasets import Dataset
from support.corpora import Numbered, example
from support.diffusion import FIRST_WORD, LENGTH, TEXT, TableModel, nats, nelbo
from support.diffusion_training import small_bert
from transformers import TrainingArguments, masking_utils

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    MaskAuditError,
    MaskRateCallback,
    cosine_rate,
    linear_schedule,
    packed_attention,
    strategies,
    uniform_rate,
)
from hf_dynmask.batching.packing import Packing
from hf_dynmask.trainer import training_audit
from hf_dynmask.trainer.diffusion_trainer import MaskedDiffusionTrainer

RIGHT = {"min_masked": 0, "mask_replace_prob": 1.0, "random_replace_prob": 0.0, "return_mask_rate": True}
CLIPPED = uniform_rate(1e-3, 1.0)
EVEN = uniform_rate(1e-3, 1.0, low_discrepancy=True)


@pytest.fixture
def make_trainer(wordpiece, tmp_path):
    def make_trainer(
        model: Any = None,
        data: Any = None,
        collator: Any = None,
        rate: Any = CLIPPED,
        trainer_class: type[MaskedDiffusionTrainer] = MaskedDiffusionTrainer,
        trainer_options: dict[str, Any] | None = None,
        tokenizer: Any = wordpiece,
        **arguments: Any,
    ) -> MaskedDiffusionTrainer:
        defaults = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no"}
        defaults |= {"dataloader_pin_memory": False, "logging_strategy": "no", "num_train_epochs": 1}
        callback = MaskRateCallback(eval_mlm_probability=rate, audit="every_step")
        options = {"callbacks": [callback], "eval_dataset": data or Numbered(8)}
        return trainer_class(
            model or small_bert(len(wordpiece)),
            TrainingArguments(str(tmp_path), **{**defaults, **arguments}),
            train_dataset=data or Numbered(8),
            data_collator=collator or DataCollatorForDynamicMasking(tokenizer, rate, seed=7, **RIGHT),
            **options | (trainer_options or {}),
        )

    return make_trainer


@pytest.fixture
def audits(monkeypatch) -> list[Any]:
    """Collects the results of all audits."""
    found: list[Any] = []
    original = training_audit.audit_batch

    def audit_batch(*args: Any, **kwargs: Any) -> Any:
        found.append(original(*args, **kwargs))
        return found[-1]

    monkeypatch.setattr(training_audit, "audit_batch", audit_batch)
    return found


def _copies(text: tuple[int, ...], count: int) -> list[dict[str, list[int]]]:
    """The same text after different special tokens, which are never masked: each has its own masks."""
    return [{"input_ids": [1 + number // 3**digit % 3 for digit in range(6)] + list(text)} for number in range(count)]


def _evaluations(make_trainer, model: Any, data: Any, rate: Any, epochs: int, **options: Any) -> torch.Tensor:
    """The losses of an evaluation with the masks of each epoch, as the masks of evaluation are always the same."""
    trainer = make_trainer(model, data, rate=rate, per_device_eval_batch_size=len(data), **options)
    losses = []
    for epoch in range(epochs):
        trainer.data_collator.seed = epoch  # with `MaskRateCallback`
        trainer.data_collator.set_epoch(epoch)  # without
        losses.append(trainer.evaluate()["eval_loss"])
    return torch.tensor(losses)


class Follows(torch.nn.Module):
    """Knows the one word of a text the better, the more of it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = torch.nn.Parameter(torch.tensor(12.0))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        shown = (input_ids == FIRST_WORD).float().mean(1)
        logits = torch.zeros(*input_ids.shape, 9)
        logits[:, :, FIRST_WORD] = self.strength * shown[:, None]
        return {"logits": logits}


class TestBound:
    def test_evaluation_estimates_the_bound(self, make_trainer) -> None:
        model = TableModel()
        losses = _evaluations(make_trainer, model, _copies(TEXT, 256), uniform_rate(0, 1), 16)
        exact, error = nelbo(nats(model)) / LENGTH, losses.std().item() / 4
        assert error < 0.03 * exact
        assert abs(losses.mean().item() - exact) < 4 * error

    def test_rates_of_blocks(self, make_trainer) -> None:
        """Blocks of two tokens, of which the first three are the special tokens of a copy."""
        model, rate = TableModel(), uniform_rate(0, 1, block_size=2)
        losses = _evaluations(make_trainer, model, _copies(TEXT, 256), rate, 16)
        exact, error = nelbo(nats(model), [(0, 1), (2, 3)]) / LENGTH, losses.std().item() / 4
        assert error < 0.03 * exact
        assert abs(losses.mean().item() - exact) < 4 * error

    def test_low_discrepancy_has_less_variance(self, make_trainer) -> None:
        """Without the callback, evaluation has the rates of the collator."""
        data, options = _copies((FIRST_WORD,) * 60, 16), {"trainer_options": {"callbacks": []}}
        plain, even = (_evaluations(make_trainer, Follows(), data, rate, 24, **options) for rate in (CLIPPED, EVEN))
        assert even.std() < 0.6 * plain.std()
        assert abs(even.mean() - plain.mean()) < 4 * plain.std() / 24**0.5

    @pytest.mark.parametrize("side", ["left", "right"])
    @pytest.mark.parametrize("batch_size", [1, 3, 8])
    def test_all_tokens_of_the_evaluation_count_alike(self, make_trainer, wordpiece, side, batch_size) -> None:
        """Texts have different lengths, and special tokens in them."""
        wordpiece = copy.deepcopy(wordpiece)
        wordpiece.padding_side = side
        rows = [{"input_ids": [2, *example(i)["input_ids"], 1, 3]} for i in range(8)]
        trainer = make_trainer(data=rows, tokenizer=wordpiece, per_device_eval_batch_size=batch_size)
        collator, total = trainer.data_collator.for_evaluation(CLIPPED), 0.0
        for first in range(0, 8, batch_size):
            batch = collator(rows[first : first + batch_size])
            with torch.no_grad():
                log_probs = trainer.model.eval()(batch["input_ids"], batch["attention_mask"]).logits.log_softmax(-1)
            for row, i in (batch["labels"] != -100).nonzero().tolist():
                total -= log_probs[row, i, batch["labels"][row, i]].item() / batch["mask_rate"][row].item()
        expected = total / sum(len(row["input_ids"]) - 3 for row in rows)
        assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-4)
        assert trainer.predict(rows).metrics["test_loss"] == pytest.approx(expected, rel=1e-4)

    def test_a_rate_for_each_token(self, make_trainer, wordpiece) -> None:
        trainer = make_trainer()
        expected = trainer.evaluate()["eval_loss"]
        collator = trainer.data_collator.for_evaluation(CLIPPED)

        def per_token(features: Any) -> Any:
            batch = collator(features)
            rates = batch["mask_rate"][:, None].expand(batch["labels"].shape)
            return {**batch, "mask_rate": rates.where(batch["attention_mask"] == 1, 1.0)}

        options = {"processing_class": wordpiece, "callbacks": []}
        trainer = make_trainer(collator=per_token, trainer_options=options, remove_unused_columns=False)
        assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-6)

    @pytest.mark.skipif(not hasattr(masking_utils, "create_bidirectional_mask"), reason="needs transformers 5")
    @pytest.mark.parametrize("rate", [CLIPPED, uniform_rate(1e-3, 1.0, block_size=4)])
    def test_packed_rows(self, make_trainer, wordpiece, rate) -> None:
        expected = make_trainer(rate=rate).evaluate()["eval_loss"]
        model = small_bert(len(wordpiece))
        options = {**RIGHT, "return_mask_rate": "token", "packing": packed_attention(model)}
        collator = DataCollatorForDynamicMasking(wordpiece, rate, seed=7, **options)
        trainer = make_trainer(model, collator=collator, rate=rate)
        assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-4)


class TestTraining:
    def test_accumulated_batches_are_one_batch(self, make_trainer) -> None:
        """The last step has two texts instead of six; lengths, padding and masked tokens differ between batches."""
        results = []
        for batch_size, accumulation in ((6, 1), (2, 3), (1, 6)):
            trainer = make_trainer(
                per_device_train_batch_size=batch_size,
                gradient_accumulation_steps=accumulation,
                num_train_epochs=2,
                optim="sgd",
                learning_rate=1.0,
                max_grad_norm=0.0,
                logging_strategy="steps",
                logging_steps=1,
            )
            trainer.train()
            losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
            results.append((losses, torch.cat([value.flatten() for value in trainer.model.parameters()])))
        (losses, weights), *others = results
        assert len(losses) == 4
        for other_losses, other_weights in others:
            assert other_losses == pytest.approx(losses, rel=1e-3)
            torch.testing.assert_close(other_weights, weights, rtol=1e-4, atol=1e-5)
        start = torch.cat([value.flatten() for value in make_trainer().model.parameters()])
        assert (weights - start).abs().max() > 0.01

    @pytest.mark.parametrize(
        "rate", [CLIPPED, uniform_rate(1e-3, 1.0, low_discrepancy=True), uniform_rate(block_size=4)]
    )
    @pytest.mark.parametrize("workers", [0, 1])
    def test_masks_are_audited(self, make_trainer, audits, rate, workers) -> None:
        options = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "eval_strategy": "epoch"}
        make_trainer(rate=rate, dataloader_num_workers=workers, **options).train()
        assert [audit.coverage for audit in audits] == ["full"] * 4
        assert all(audit.matches and audit.masked for audit in audits)

    def test_other_masks_are_an_error(self, make_trainer) -> None:
        class Unmasks(MaskedDiffusionTrainer):
            def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
                inputs["labels"][:, ::2] = -100
                return super().compute_loss(model, inputs, *args, **kwargs)

        with pytest.raises(MaskAuditError):
            make_trainer(trainer_class=Unmasks).train()

    def test_the_model_computes_no_loss(self, make_trainer, wordpiece) -> None:
        model, seen = small_bert(len(wordpiece)), []
        model.register_forward_pre_hook(lambda module, args, kwargs: seen.append(set(kwargs)), with_kwargs=True)
        make_trainer(model, eval_strategy="epoch").train()
        assert seen == [{"input_ids", "attention_mask"}] * 2

    def test_outside_of_the_training_loop(self, make_trainer) -> None:
        trainer = make_trainer()
        batch = trainer.data_collator([example(0), example(1)], epoch=0)
        loss = trainer.compute_loss(trainer.model.train(), batch)
        assert loss == trainer.compute_loss(trainer.model.eval(), batch, num_items_in_batch=3)
        assert set(batch) == {"input_ids", "attention_mask", "labels", "mask_rate"}


class AsTuple(torch.nn.Module):
    """A model whose outputs are a tuple."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        return (self.model(input_ids, attention_mask).logits,)


@pytest.mark.parametrize("wrap", [lambda model: model, AsTuple])
def test_metrics_receive_logits_and_labels(make_trainer, wordpiece, wrap) -> None:
    shapes = []

    def compute_metrics(prediction: Any) -> dict[str, float]:
        shapes.append((prediction.predictions.shape, prediction.label_ids.shape))
        return {"accuracy": 0.5}

    trainer = make_trainer(wrap(small_bert(len(wordpiece))), trainer_options={"compute_metrics": compute_metrics})
    metrics = trainer.evaluate()
    assert metrics["eval_accuracy"] == 0.5
    assert math.isfinite(metrics["eval_loss"])
    assert shapes == [((8, 27, len(wordpiece)), (8, 27))]


class TestErrors:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"min_masked": 1},
            {"mask_replace_prob": 0.8},
            {"mask_replace_prob": 0.9, "random_replace_prob": 0.1},
            {"exact_count": True},
            {"return_mask_rate": False},
            {"return_mask_rate": True, "padding_free": True},
            {"return_mask_rate": True, "packing": Packing(one_row=False)},
            {"strategy": "whole_word"},
            {"strategy": strategies.weighted(lambda tokens, units: units.size.astype(float))},
            {"whole_word_mask": True},
            {"mntp": True},
            {"mlm": False},
        ],
        ids=str,
    )
    def test_settings_that_give_no_bound(self, make_trainer, wordpiece, wrong) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, CLIPPED, **{**RIGHT, **wrong})
        named = "strategy" if "whole_word_mask" in wrong else next(iter(wrong))
        with pytest.raises(ValueError, match=f"`data_collator` must mask each token on its own .* Pass `{named}="):
            make_trainer(collator=collator)

    def test_all_of_them_are_named(self, make_trainer, wordpiece) -> None:
        named = "`min_masked=0`, `mask_replace_prob=1.0`, `random_replace_prob=0.0`, `return_mask_rate=True`"
        with pytest.raises(ValueError, match=f"Pass {named} to it"):
            make_trainer(collator=DataCollatorForDynamicMasking(wordpiece))

    def test_ids_that_are_never_masked_do_not_count(self, make_trainer, wordpiece) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, CLIPPED, unmaskable_ids=(5, 6), **RIGHT)
        batch = collator([{"input_ids": [2, 5, 7, 6, 8, 3]}], epoch=0)
        assert make_trainer(collator=collator).count_tokens(batch) == 2

    def test_a_batch_without_rates(self, make_trainer, wordpiece) -> None:
        def collate(features: Any) -> Any:
            ids = torch.tensor([row["input_ids"][:5] for row in features])
            return {"input_ids": ids, "labels": ids}

        options = {"processing_class": wordpiece, "callbacks": []}
        trainer = make_trainer(collator=collate, trainer_options=options)
        for method in (trainer.train, trainer.evaluate):
            with pytest.raises(ValueError, match=r"`inputs` must have .* Pass `return_mask_rate=True` to"):
                method()

    def test_a_rate_for_each_sequence_of_packed_rows(self, make_trainer) -> None:
        trainer = make_trainer()
        ids = torch.tensor([[5, 6, 7, 8]])
        batch = {"input_ids": ids, "labels": ids, "seq_idx": torch.zeros_like(ids), "mask_rate": torch.ones(1)}
        with pytest.raises(ValueError, match='Pass `return_mask_rate="token"`'):
            trainer.compute_loss(trainer.model, batch)

    def test_another_loss(self, make_trainer) -> None:
        with pytest.raises(ValueError, match="`compute_loss_func` must be left out"):
            make_trainer(trainer_options={"compute_loss_func": lambda outputs, labels, **kwargs: outputs.logits.sum()})
        with pytest.raises(ValueError, match=r"`label_smoothing_factor` must be left out .* but got 0.1"):
            make_trainer(label_smoothing_factor=0.1)

    def test_no_tokenizer(self, make_trainer) -> None:
        with pytest.raises(ValueError, match=r"`processing_class` must be the tokenizer .* but got None"):
            make_trainer(collator=list, trainer_options={"callbacks": []})


class CountsLabels(MaskedDiffusionTrainer):
    def count_tokens(self, inputs: Any) -> torch.Tensor:
        return (inputs["labels"] != -100).sum()


class Rows(torch.utils.data.Dataset):
    """Examples with the tokens 2, 5, 6 and 3, of which 2 and 3 are special, and another column."""

    def __init__(self, column: str, values: list[int]) -> None:
        self.row = {"input_ids": [2, 5, 6, 3], column: values}

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {name: torch.tensor(values) for name, values in self.row.items()}


def _list_of(rows: Rows) -> list[dict[str, list[int]]]:
    return [rows.row] * 4


def _table_of(rows: Rows) -> Dataset:
    return Dataset.from_list(_list_of(rows))


def _stream_of(rows: Rows) -> Any:
    return _table_of(rows).to_iterable_dataset()


class TestWarnings:
    @pytest.mark.parametrize("kind", [lambda rows: rows, _list_of, _table_of, _stream_of])
    def test_labels_that_the_batch_does_not_show(self, make_trainer, kind) -> None:
        data = kind(Rows("labels", [-100, 5, -100, -100]))
        arguments = {"data": data, "max_steps": 1}
        with pytest.warns(UserWarning, match="Override `count_tokens`, or drop the column"):
            make_trainer(**arguments)
        make_trainer(**arguments, trainer_class=CountsLabels)

    @pytest.mark.parametrize("kind", [lambda rows: rows, _list_of, _table_of])
    @pytest.mark.parametrize("mask", [[1, 1, 0, 1], [0, 0, 1, 0]])
    def test_ordinary_tokens_in_special_tokens_mask(self, make_trainer, kind, mask) -> None:
        data = kind(Rows("special_tokens_mask", mask))
        with pytest.warns(UserWarning, match="column `special_tokens_mask`.* Override `count_tokens`"):
            make_trainer(data=data, remove_unused_columns=False)
        make_trainer(data=data)  # which removes the column
        make_trainer(data=data, remove_unused_columns=False, trainer_class=CountsLabels)

    @pytest.mark.parametrize("kind", [lambda rows: rows, _list_of, _table_of])
    def test_special_tokens_mask_of_the_tokenizer(self, make_trainer, kind) -> None:
        """Warnings are errors."""
        make_trainer(data=kind(Rows("special_tokens_mask", [1, 0, 0, 1])), remove_unused_columns=False)

    def test_an_evaluation_dataset(self, make_trainer) -> None:
        evaluated = {"first": Numbered(2), "second": Rows("labels", [-100, 5, 6, 3])}
        with pytest.warns(UserWarning, match="column `labels`"):
            make_trainer(trainer_options={"eval_dataset": evaluated})

    @pytest.mark.parametrize("rate", [0.15, linear_schedule(0.3, 0.1)])
    def test_training_at_a_fixed_rate(self, make_trainer, wordpiece, rate) -> None:
        fixed = DataCollatorForDynamicMasking(wordpiece, rate, **RIGHT)
        replaces = MaskRateCallback(rate, eval_mlm_probability=CLIPPED)
        message = (
            rf"should be a distribution of rates, but is {re.escape(repr(rate))}, so the loss is not a bound. Pass"
        )
        for callbacks in ([], [MaskRateCallback(eval_mlm_probability=CLIPPED)]):
            with pytest.warns(UserWarning, match=f"`mlm_probability` {message} `uniform_rate"):
                make_trainer(collator=fixed, trainer_options={"callbacks": callbacks})
        with pytest.warns(UserWarning, match=f"`schedule` of `MaskRateCallback` {message} `schedule=uniform_rate"):
            make_trainer(trainer_options={"callbacks": [replaces]})

    def test_a_distribution_of_the_callback(self, make_trainer, wordpiece) -> None:
        """Warnings are errors."""
        fixed = DataCollatorForDynamicMasking(wordpiece, **RIGHT)
        callback = MaskRateCallback(CLIPPED, eval_mlm_probability=CLIPPED)
        make_trainer(collator=fixed, trainer_options={"callbacks": [callback]}).evaluate()

    def test_evaluation_at_a_fixed_rate(self, make_trainer) -> None:
        trainer = make_trainer(trainer_options={"callbacks": [MaskRateCallback(eval_mlm_probability=0.15)]})
        with pytest.warns(UserWarning, match=r"is 0.15, so `eval_loss` is not a bound"):
            trainer.evaluate()

    @pytest.mark.parametrize("rate", [uniform_rate(0.0, 0.3), uniform_rate(0.45, 0.95), cosine_rate()])
    def test_evaluation_at_rates_that_give_no_bound(self, make_trainer, wordpiece, rate) -> None:
        message = (
            rf"should be U\(0, 1\), or nearly so, but is {re.escape(repr(rate))}, so `eval_loss` is not a bound. Pass"
        )
        callback = MaskRateCallback(eval_mlm_probability=rate)
        with pytest.warns(UserWarning, match=f"`eval_mlm_probability` of `MaskRateCallback` {message} `eval_mlm_prob"):
            make_trainer(trainer_options={"callbacks": [callback]}).evaluate()
        clipped = DataCollatorForDynamicMasking(wordpiece, rate, **RIGHT)
        with pytest.warns(UserWarning, match=f"`mlm_probability` {message} `uniform_rate"):
            make_trainer(collator=clipped, trainer_options={"callbacks": []}).evaluate()

    def test_evaluation_at_the_fixed_rate_of_the_collator(self, make_trainer) -> None:
        trainer = make_trainer(trainer_options={"callbacks": []})
        trainer.data_collator.mlm_probability = 0.15
        with pytest.warns(UserWarning, match=r"`mlm_probability` should .* is 0.15, so `eval_loss` is not a bound"):
            trainer.evaluate()
