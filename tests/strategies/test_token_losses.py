"""Masks that follow the model's losses."""

from __future__ import annotations

import copy
import math
import pickle
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from support import resumable
from support.extended import every
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback
from hf_dynmask.strategies import adaptive
from hf_dynmask.strategies.token_losses import TokenLosses

LENGTH, EXAMPLES, BATCH = 24, 96, 8
EASY, HARD = range(5, 28), range(28, 51)


def _examples() -> list[dict[str, list[int]]]:
    """Every other token follows from its place; those between are drawn at random."""
    generator = np.random.default_rng(0)
    rows = np.empty((EXAMPLES, LENGTH), dtype=int)
    rows[:, 0::2] = 5 + np.arange(LENGTH // 2)
    rows[:, 1::2] = generator.choice(HARD, (EXAMPLES, LENGTH // 2))
    return [{"input_ids": row.tolist()} for row in rows]


class Watching(Trainer):
    """Notes the labels of each training batch."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        if model.training:
            self.seen.append(inputs["labels"].clone())
        return super().compute_loss(model, inputs, *args, **kwargs)


class Stop(TrainerCallback):
    """Saves at a step and stops there."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            control.should_save = control.should_training_stop = True


def _model() -> BertForMaskedLM:
    set_seed(1)
    return BertForMaskedLM(
        BertConfig(
            vocab_size=51,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=LENGTH,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )


def _trainer(tokenizer, directory: Path, callbacks=(), compute_loss=True, **arguments) -> Watching:
    collator = DataCollatorForDynamicMasking(tokenizer, strategy="adaptive", mlm_probability=0.3, seed=3)
    defaults = {
        "output_dir": str(directory),
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 4,
        "learning_rate": 1e-2,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "dataloader_pin_memory": False,
    }
    trainer = Watching(
        model=_model(),
        args=TrainingArguments(**{**defaults, **arguments}),
        train_dataset=_examples(),
        eval_dataset=_examples()[:16],
        data_collator=collator,
        compute_loss_func=collator.losses.compute_loss if compute_loss else None,
        callbacks=[MaskRateCallback(eval_mlm_probability=0.15), *callbacks],
    )
    trainer.seen = []
    return trainer


def _hard_share(labels: list[torch.Tensor]) -> list[float]:
    """The share of hard tokens among the masked ones, by epoch."""
    epochs: dict[int, list[torch.Tensor]] = defaultdict(list)
    for number, batch in enumerate(labels):
        epochs[number // (EXAMPLES // BATCH)].append(batch[batch != -100])
    return [float((torch.cat(masked) >= HARD[0]).float().mean()) for masked in epochs.values()]


@pytest.mark.parametrize("workers", [0, 2])
def test_masks_move_to_what_is_not_yet_predicted(wordpiece, tmp_path, workers) -> None:
    trainer = _trainer(wordpiece, tmp_path, dataloader_num_workers=workers, dataloader_persistent_workers=workers > 0)
    trainer.train()
    shares = _hard_share(trainer.seen)
    assert shares[0] == pytest.approx(0.5, abs=0.05), "nothing is known in the first epoch"
    assert shares[0] < shares[1] < shares[2] < shares[3]
    assert shares[3] > 0.7
    masked = np.mean([float((labels != -100).float().mean()) for labels in trainer.seen])
    assert masked == pytest.approx(0.3, abs=0.01), "the rate stays the asked one"


def test_a_single_epoch_which_has_no_losses_to_follow_is_warned_of(wordpiece, tmp_path) -> None:
    with pytest.warns(UserWarning, match=r'`strategy="adaptive"` follows .* but training has a single epoch'):
        _trainer(wordpiece, tmp_path, num_train_epochs=1).train()


@pytest.mark.parametrize("restore", every(2, [False, True]))
@pytest.mark.parametrize(
    "step", [pytest.param(17, marks=resumable.in_order, id="within an epoch"), pytest.param(24, id="between epochs")]
)
def test_a_resumed_run_sees_the_masks_it_would_have_seen(wordpiece, tmp_path, step, restore) -> None:
    whole = _trainer(wordpiece, tmp_path / "whole")
    whole.train()
    _trainer(wordpiece, tmp_path / "stopped", [Stop(step)]).train()
    resumed = _trainer(
        wordpiece,
        tmp_path / "elsewhere",
        restore_callback_states_from_checkpoint=restore,
        save_strategy="epoch",
    )
    resumed.train(resume_from_checkpoint=get_last_checkpoint(tmp_path / "stopped"))
    assert len(resumed.seen) == 48 - step
    assert all(torch.equal(*pair) for pair in zip(resumed.seen, whole.seen[step:], strict=True))
    assert _hard_share(whole.seen)[-1] > 0.7, "and they do depend on the losses"


def test_a_checkpoint_without_losses_resumes_and_saves(wordpiece, tmp_path) -> None:
    run = _trainer(wordpiece, tmp_path, [Stop(17)])
    run.remove_callback(MaskRateCallback)
    run.compute_loss_func = None
    run.train()
    resumed = _trainer(wordpiece, tmp_path, save_strategy="epoch")
    resumed.train(resume_from_checkpoint=get_last_checkpoint(tmp_path))
    assert len(resumed.seen) == 48 - 17
    _trainer(wordpiece, tmp_path, save_strategy="epoch").train(resume_from_checkpoint=get_last_checkpoint(tmp_path))


@pytest.mark.filterwarnings("ignore:This model was already trained")
def test_a_second_training_begins_with_nothing_known(wordpiece, tmp_path) -> None:
    trainer = _trainer(wordpiece, tmp_path)
    for _ in range(2):
        trainer.seen.clear()
        trainer.train()
        shares = _hard_share(trainer.seen)
        assert shares[0] == pytest.approx(0.5, abs=0.05)
        assert shares[-1] > 0.6


def test_evaluation_does_not_follow_the_losses(wordpiece, tmp_path) -> None:
    trainer = _trainer(wordpiece, tmp_path, eval_strategy="epoch")
    batches = []
    evaluation_step = trainer.prediction_step

    def prediction_step(model, inputs, *args, **kwargs):
        batches.append(inputs["labels"].clone())
        return evaluation_step(model, inputs, *args, **kwargs)

    trainer.prediction_step = prediction_step
    trainer.train()
    per_evaluation = len(batches) // 4
    for number in range(per_evaluation):
        assert all(torch.equal(batches[number], later) for later in batches[number::per_evaluation])


def test_a_loss_that_nobody_notes_is_an_error(wordpiece, tmp_path) -> None:
    trainer = _trainer(wordpiece, tmp_path, compute_loss=False)
    with pytest.raises(RuntimeError, match=r"Pass `compute_loss_func=collator.losses.compute_loss`"):
        trainer.train()
    assert len(trainer.seen) <= 2, "at once, not after an epoch"


def test_losses_that_nobody_follows_are_an_error(wordpiece, tmp_path) -> None:
    trainer = _trainer(wordpiece, tmp_path)
    trainer.remove_callback(MaskRateCallback)
    with pytest.raises(RuntimeError, match=r"pass `callbacks=\[MaskRateCallback\(\)\]` to `Trainer`"):
        trainer.train()


class TestLosses:
    @staticmethod
    def _losses(tokenizer, **options) -> tuple[DataCollatorForDynamicMasking, TokenLosses]:
        losses = TokenLosses(**options)
        return DataCollatorForDynamicMasking(tokenizer, strategy=adaptive(losses), seed=0), losses

    @staticmethod
    def _note(losses: TokenLosses, ids: list[int], of_id) -> None:
        """Notes a loss of `of_id(id)` for each id: the other ids share what is left of the probability."""
        labels = torch.tensor([ids])
        chosen = torch.tensor([math.exp(-of_id(id_)) for id_ in ids])
        logits = torch.log((1 - chosen) / 50)[:, None].repeat(1, 51)
        logits[torch.arange(len(ids)), labels[0]] = torch.log(chosen)
        losses.compute_loss({"logits": logits[None].requires_grad_()}, labels)

    def test_the_formula(self, wordpiece) -> None:
        _, losses = self._losses(wordpiece, decay=0.5, smoothing=2.0, floor=0.2)
        losses.start_epoch(0)
        self._note(losses, [5, 5, 6], lambda id_: {5: 1.0, 6: 4.0}[id_])
        losses.start_epoch(1)
        mean = 6 / 3
        expected = np.full(51, mean)
        expected[5], expected[6] = (2 + 2 * mean) / 4, (4 + 2 * mean) / 3
        assert losses._table.values == pytest.approx(expected, rel=1e-5)
        self._note(losses, [5] * 50, lambda id_: 0.001)
        losses.start_epoch(2)
        mean = (0.5 * 2 + 0.05 + 0.5 * 4) / 51.5
        assert losses._table.values[6] == pytest.approx((2 + 2 * mean) / 2.5, rel=1e-5)
        assert losses._table.values[5] == pytest.approx(max((1.05 + 2 * mean) / (51 + 2), 0.2 * mean), rel=1e-3)

    def test_the_loss_is_the_mean_cross_entropy(self, wordpiece) -> None:
        _, losses = self._losses(wordpiece)
        losses.start_epoch(0)
        generator = torch.Generator().manual_seed(0)
        logits, labels = torch.randn(2, 7, 51, generator=generator), torch.randint(0, 51, (2, 7), generator=generator)
        labels[0, :4] = -100
        expected = cross_entropy(logits.flatten(0, 1), labels.flatten())
        assert losses.compute_loss({"logits": logits}, labels) == pytest.approx(expected.item())
        assert losses.compute_loss((logits,), labels, 20) == pytest.approx(expected.item() * 10 / 20)
        nothing = torch.full_like(labels, -100)
        assert losses.compute_loss({"logits": logits}, nothing) == 0

    def test_what_is_not_finite_does_not_count(self, wordpiece) -> None:
        _, losses = self._losses(wordpiece)
        losses.start_epoch(0)
        logits = torch.full((1, 2, 51), math.nan).requires_grad_()
        losses.compute_loss({"logits": logits}, torch.tensor([[5, 6]]))
        self._note(losses, [7], lambda id_: 1.0)
        losses.start_epoch(1)
        assert np.isfinite(losses._table.values).all()

    def test_evaluation_is_not_noted(self, wordpiece) -> None:
        _, losses = self._losses(wordpiece)
        losses.start_epoch(0)
        with torch.no_grad():
            self._note(losses, [5, 6], lambda id_: 1.0)
        with pytest.raises(RuntimeError, match="no loss was recorded"):
            losses.start_epoch(1)

    def test_the_state_is_restored_to_the_bit_through_json(self, wordpiece) -> None:
        import json

        _, losses = self._losses(wordpiece)
        losses.start_epoch(0)
        self._note(losses, [5, 6, 6], lambda id_: id_ / 3)
        losses.start_epoch(1)
        self._note(losses, [8], lambda id_: 2.0)
        losses.synchronize()
        _, other = self._losses(wordpiece)
        other.load_state_dict(json.loads(json.dumps(losses.state_dict())))
        for epoch in (1, 2):
            for each in (losses, other):
                each.start_epoch(epoch)
            assert np.array_equal(losses._table.values, other._table.values)
            for each in (losses, other):
                self._note(each, [9], lambda id_: 1.0)

    def test_a_state_is_restored_before_there_is_a_collator(self, wordpiece) -> None:
        _, losses = self._losses(wordpiece)
        losses.start_epoch(0)
        self._note(losses, [5, 6], float)
        losses.start_epoch(1)
        other = TokenLosses()
        other.load_state_dict(losses.state_dict())
        DataCollatorForDynamicMasking(wordpiece, strategy=adaptive(other))
        assert np.array_equal(losses._table.values, other._table.values)
        assert other.state_dict() == losses.state_dict()
        other = TokenLosses()
        other.load_state_dict(losses.state_dict())
        with pytest.raises(ValueError, match="must hold losses of this vocabulary of 60 ids, but got losses of 51"):
            other._token_weights(60)

    def test_another_vocabulary_is_refused(self, wordpiece) -> None:
        _, losses = self._losses(wordpiece)
        state = losses.state_dict()
        other = TokenLosses()
        other._token_weights(60)
        with pytest.raises(ValueError, match="losses of this vocabulary of 60 ids, but got losses of 51"):
            other.load_state_dict(state)

    @pytest.mark.parametrize("twin", [copy.deepcopy, lambda losses: pickle.loads(pickle.dumps(losses))])
    def test_a_copy_goes_its_own_way(self, wordpiece, twin) -> None:
        _, losses = self._losses(wordpiece)
        losses.start_epoch(0)
        self._note(losses, [5, 6], float)
        other = twin(losses)
        losses.start_epoch(1)
        assert not np.array_equal(losses._table.values, other._table.values)
        other.start_epoch(1)
        assert np.array_equal(losses._table.values, other._table.values)

    def test_a_plain_loop_reaches_spawned_workers(self, wordpiece) -> None:
        collator, losses = self._losses(wordpiece, smoothing=0.01, floor=0.0)
        loader = DataLoader(
            _examples()[:16],
            8,
            collate_fn=collator,
            num_workers=1,
            multiprocessing_context="spawn",
            persistent_workers=True,
        )
        masked = []
        for epoch in range(2):
            collator.set_epoch(epoch)
            labels = torch.cat([batch["labels"] for batch in loader])
            masked.append(int((labels >= HARD[0]).sum()))
            self._note(losses, [*EASY, *HARD], lambda id_: 0.1 if id_ < HARD[0] else 5.0)
        assert masked[1] > 1.5 * masked[0]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"decay": 1.5}, "`decay` must be a number between 0 and 1"),
            ({"floor": -0.1}, "`floor` must be a number between 0 and 1"),
            ({"smoothing": 0}, "`smoothing` must be a finite number above 0"),
        ],
    )
    def test_bad_arguments(self, options, message) -> None:
        with pytest.raises(ValueError, match=message):
            TokenLosses(**options)


def _reduces(rank: int, directory: str, notes: bool, told: object) -> None:
    """A rank that has a loss to note, or none."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{directory}/rendezvous", rank=rank, world_size=2)
    losses = TokenLosses()
    losses._token_weights(10)
    losses.start_epoch(0)
    if notes:
        losses.compute_loss({"logits": torch.zeros(1, 2, 10)}, torch.tensor([[3, 4]]))
    losses.synchronize()
    try:
        losses.check_recorded()
        error = ""
    except RuntimeError as raised:
        error = str(raised)
    told.put((rank, losses.state_dict()["of_epoch"], error))
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("noting", every(3, [((0,),), ((1,),), ((),)]))
def test_a_rank_without_a_loss_takes_part(tmp_path, noting) -> None:
    """Otherwise the others wait for it for ever; only if none has a loss, all of them say so."""
    context = torch.multiprocessing.get_context("spawn")
    told = context.Queue()
    ranks = [context.Process(target=_reduces, args=(n, str(tmp_path), n in noting, told)) for n in range(2)]
    for rank in ranks:
        rank.start()
    (_, first, one), (_, second, other) = sorted(told.get(timeout=120) for _ in ranks)
    for rank in ranks:
        rank.join()
    assert first == second
    assert one == other
    assert ("no loss was recorded" in one) == (not noting)
