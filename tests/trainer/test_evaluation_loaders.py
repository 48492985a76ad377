"""`MaskRateCallback` serves what evaluates, and leaves the `Trainer`'s collator for all else as it is."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import pytest
from support.long_sequences import Numbers, Witness, masks_by_epoch, quiet_arguments
from torch.utils.data import DataLoader
from transformers import Trainer, default_data_collator

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback


@pytest.fixture
def collator(wordpiece) -> DataCollatorForDynamicMasking:
    return DataCollatorForDynamicMasking(wordpiece, mlm_probability=0.6)


@pytest.fixture
def made(collator, tmp_path):
    def made(*callbacks: MaskRateCallback, of: type[Trainer] = Trainer, using: Any = collator, **arguments: Any) -> Any:
        return of(
            model=Witness(),
            args=quiet_arguments(tmp_path, **arguments),
            train_dataset=Numbers(),
            eval_dataset=Numbers(),
            data_collator=using,
            callbacks=list(callbacks),
        )

    return made


def _rate(batch: Any) -> float:
    return (batch["labels"] != -100).float().mean().item()


def _evaluated(trainer: Trainer) -> list[float]:
    """The rates that two evaluations see; the same masks in both."""
    for _ in range(2):
        trainer.evaluate()
    seen = trainer.model.evaluations()
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]
    return [rate for rate, _ in seen]


def test_a_look_at_a_training_batch_shows_training_masks(made, collator) -> None:
    trainer = made(MaskRateCallback())
    assert trainer.data_collator is collator
    batches = [next(iter(trainer.get_train_dataloader())) for _ in range(2)]
    assert [_rate(batch) for batch in batches] == pytest.approx([0.6, 0.6], abs=0.08)


def test_another_trainer_takes_over_the_collator(made) -> None:
    trainer = made(using=made(MaskRateCallback()).data_collator)
    trainer.train()
    assert trainer.model.training_rates() == pytest.approx([0.6] * 30, abs=0.08)
    assert len({tuple(sorted(masks.items())) for masks in masks_by_epoch(trainer.model)}) == 3


@pytest.mark.filterwarnings("ignore:Evaluation uses the training collator")
def test_a_callback_that_was_removed_serves_no_more(made) -> None:
    trainer = made(MaskRateCallback())
    trainer.remove_callback(MaskRateCallback)
    trainer.train()
    assert len({tuple(sorted(masks.items())) for masks in masks_by_epoch(trainer.model)}) == 3
    trainer.evaluate()
    assert trainer.model.evaluations()[0][0] == pytest.approx(0.6, abs=0.05)


def test_what_is_set_on_the_collator_later_counts(made, collator) -> None:
    trainer = made(MaskRateCallback(eval_mlm_probability=0.15))
    trainer.data_collator.mlm_probability = 0.9
    trainer.train()
    assert trainer.model.training_rates() == pytest.approx([0.9] * 30, abs=0.08)


@pytest.mark.parametrize("persistent", [False, True])
def test_of_two_callbacks_the_later_counts(made, persistent) -> None:
    callbacks = MaskRateCallback(eval_mlm_probability=0.5), MaskRateCallback(eval_mlm_probability=0.3)
    workers = {"dataloader_num_workers": 1, "dataloader_persistent_workers": True} if persistent else {}
    assert _evaluated(made(*callbacks, **workers)) == pytest.approx([0.3] * 6, abs=0.05)


def test_without_a_seed_of_its_own_evaluation_takes_the_trainers(made, collator) -> None:
    masks = []
    for collator_seed, seed in ((None, 1), (1, 5), (None, 2)):
        collator.seed = collator_seed
        trainer = made(MaskRateCallback(eval_mlm_probability=0.3), seed=seed)
        trainer.evaluate()
        masks.append(trainer.model.evaluations())
    assert masks[0] == masks[1] != masks[2]


class OwnEvaluationLoader(Trainer):
    collate: Any

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        return DataLoader(eval_dataset or self.eval_dataset, batch_size=5, collate_fn=self.collate)


def test_a_loader_of_ones_own_with_the_collator_is_served(made, collator) -> None:
    trainer = made(MaskRateCallback(eval_mlm_probability=0.2), of=OwnEvaluationLoader)
    trainer.collate = collator
    assert _evaluated(trainer) == pytest.approx([0.2] * 8, abs=0.05)


def test_a_loader_of_ones_own_with_its_own_twin_keeps_it(made, collator) -> None:
    trainer = made(MaskRateCallback(eval_mlm_probability=0.2), of=OwnEvaluationLoader)
    trainer.collate = collator.for_evaluation(0.4)
    assert _evaluated(trainer) == pytest.approx([0.4] * 8, abs=0.05)


class OwnTrainingLoader(Trainer):
    collate: Any

    def get_train_dataloader(self) -> DataLoader:
        return DataLoader(self.train_dataset, batch_size=2, collate_fn=self.collate)


def test_a_training_loader_of_ones_own_is_what_must_have_a_collator(made, collator) -> None:
    trainer = made(MaskRateCallback(0.3), of=OwnTrainingLoader, using=default_data_collator)
    trainer.collate = collator
    trainer.eval_dataset = None
    trainer.train()
    assert trainer.model.training_rates() == pytest.approx([0.3] * 30, abs=0.08)


def test_a_trainer_is_freed_with_its_last_use(made) -> None:
    gc.collect()
    gc.disable()
    try:
        trainer = made(
            MaskRateCallback(eval_mlm_probability=0.15), dataloader_num_workers=1, dataloader_persistent_workers=True
        )
        trainer.evaluate()
        trainer.train()
        let_go = weakref.ref(trainer), weakref.ref(trainer.model)
        del trainer
        assert [reference() for reference in let_go] == [None, None]
    finally:
        gc.enable()


def test_a_copied_trainer_is_served_by_its_own_callback(made) -> None:
    trainer = made(MaskRateCallback(eval_mlm_probability=0.2), of=OwnEvaluationLoader)
    copy_of_it = copy.deepcopy(trainer)
    trainer.remove_callback(MaskRateCallback)
    trainer.eval_dataset = []
    copy_of_it.collate = copy_of_it.data_collator
    assert _evaluated(copy_of_it) == pytest.approx([0.2] * 8, abs=0.05)


def test_what_an_instance_makes_its_loaders_with_is_served(made, collator) -> None:
    trainer = made(eval_strategy="epoch")
    trainer.get_eval_dataloader = lambda dataset=None: DataLoader(Numbers(), batch_size=5, collate_fn=collator)
    trainer.add_callback(MaskRateCallback(eval_mlm_probability=0.2))
    trainer.train()
    assert [rate for rate, _ in trainer.model.evaluations()] == pytest.approx([0.2] * 12, abs=0.05)


def test_a_method_outlives_its_trainer_with_an_error_that_says_so(made) -> None:
    with pytest.raises(ReferenceError, match="`get_eval_dataloader` must be called while its Trainer exists"):
        made(MaskRateCallback()).get_eval_dataloader()
