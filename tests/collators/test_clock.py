"""An epoch counts where it was announced for: what was said before a `Trainer` began is not of its epochs."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from support.long_sequences import Numbers, Witness, masks_by_epoch, quiet_arguments
from support.worker_starts import workers_started_by
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback

from hf_dynmask import DataCollatorForDynamicMasking, linear_schedule
from hf_dynmask.collators import epoch_warnings

WORKERS = [{}, {"dataloader_num_workers": 1}, {"dataloader_num_workers": 1, "dataloader_persistent_workers": True}]
OLD = "`set_epoch` sets the epoch of one pass over the data, but another pass has begun"


@pytest.fixture
def collator(wordpiece) -> DataCollatorForDynamicMasking:
    epoch_warnings.warn_another_pass.cache_clear()
    epoch_warnings.warn_seed_without_epoch.cache_clear()
    return DataCollatorForDynamicMasking(wordpiece)


def _trained(collator: Any, directory: Any, *callbacks: TrainerCallback, of: type = Trainer, **arguments: Any) -> int:
    """How many of three epochs have masks of their own."""
    trainer = of(
        model=Witness(),
        args=quiet_arguments(directory, **arguments),
        train_dataset=Numbers(),
        data_collator=collator,
        callbacks=list(callbacks),
    )
    trainer.train()
    return len({tuple(sorted(masks.items())) for masks in masks_by_epoch(trainer.model)})


@pytest.mark.filterwarnings(f"ignore:{OLD}")
@pytest.mark.parametrize("workers", WORKERS)
def test_a_look_at_a_batch_makes_no_training_static(collator, tmp_path, workers) -> None:
    collator.set_epoch(0)
    collator([{"input_ids": [5, 6, 7]}])
    assert _trained(collator, tmp_path, **workers) == 3


@pytest.mark.parametrize("workers", [*WORKERS[1:], {**WORKERS[2], "dataloader_num_workers": 2}])
def test_neither_do_workers_that_do_not_see_who_calls(collator, tmp_path, workers) -> None:
    collator.set_epoch(0)
    with workers_started_by("forkserver"):
        assert _trained(collator, tmp_path, **workers) == 3


def test_the_user_is_told_once(collator, tmp_path) -> None:
    collator.set_epoch(0)
    with pytest.warns(UserWarning, match=OLD) as caught:
        _trained(collator, tmp_path)
    assert len(caught) == 1


class OwnLoop(Trainer):
    """Trains by a loop of its own, which nobody knows by its name."""

    def train(self) -> None:
        loader = self.get_train_dataloader()
        self.model.train()
        for _ in range(3):
            for batch in loader:
                self.model(**batch)


@pytest.mark.filterwarnings(f"ignore:{OLD}")
@pytest.mark.parametrize("workers", WORKERS)
def test_a_trainer_with_a_loop_of_its_own_is_not_static_either(collator, tmp_path, workers) -> None:
    collator.set_epoch(0)
    assert _trained(collator, tmp_path, of=OwnLoop, **workers) == 3


class TestWithASeedAndWithoutAnEpoch:
    """Masks are dynamic, reproducible, and no global state is touched."""

    EXAMPLES = [{"input_ids": list(range(5, 45))}] * 4

    def _made(self, collator: Any, seed: int = 42) -> DataCollatorForDynamicMasking:
        return DataCollatorForDynamicMasking(collator.tokenizer, seed=seed)

    def test_two_collators_give_the_same_masks(self, collator) -> None:
        one, two, other = self._made(collator), self._made(collator), self._made(collator, seed=43)
        before = torch.random.get_rng_state()
        first, second = ([one(self.EXAMPLES)["labels"].tolist() for one in (one, two, other)] for _ in range(2))
        assert torch.equal(before, torch.random.get_rng_state())
        assert first[0] == first[1] != first[2]
        assert second[0] == second[1] != first[0]

    @pytest.mark.parametrize("persistent", [False, True])
    def test_so_do_workers_anew_in_each_pass(self, collator, persistent) -> None:
        runs = []
        for _ in range(2):
            torch.manual_seed(3)
            options = {"num_workers": 2, "persistent_workers": persistent}
            loader = DataLoader(self.EXAMPLES, collate_fn=self._made(collator), **options)
            runs.append([[batch["labels"].tolist() for batch in loader] for _ in range(3)])
        assert runs[0] == runs[1]
        masks = [mask for each in runs[0] for mask in map(str, each)]
        assert len(set(masks)) == len(masks), "no mask comes twice, in no worker and in no pass"

    def test_patterns_take_turns(self, collator) -> None:
        static = DataCollatorForDynamicMasking(collator.tokenizer, seed=42, num_mask_patterns=2)
        masks = [str(static(self.EXAMPLES[:1])["labels"]) for _ in range(4)]
        assert masks[0] == masks[2] != masks[1] == masks[3]


class TellsTheEpoch(TrainerCallback):
    """A callback of one's own."""

    def __init__(self, collator: DataCollatorForDynamicMasking) -> None:
        self.collator = collator

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.collator.set_epoch(7)


@pytest.mark.parametrize("workers", WORKERS)
def test_what_is_announced_in_the_training_counts(collator, tmp_path, workers) -> None:
    assert _trained(collator, tmp_path, TellsTheEpoch(collator), **workers) == 1


def test_a_schedule_needs_the_training_s_own_steps(collator, tmp_path) -> None:
    collator.mlm_probability = linear_schedule(0.3, 0.15)
    with pytest.raises(ValueError, match=r"the current optimizer step is unknown\. Pass `callbacks"):
        _trained(collator, tmp_path)


def test_a_seed_without_an_epoch_is_told_of(collator) -> None:
    one = DataCollatorForDynamicMasking(collator.tokenizer, seed=0)
    with pytest.warns(UserWarning, match="`seed` is set but the epoch is unknown"):
        one([{"input_ids": [5, 6, 7]}])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one([{"input_ids": [5, 6, 7]}])


@pytest.mark.filterwarnings("error")
def test_a_seed_that_is_not_given_or_does_its_work_is_not(collator) -> None:
    examples = [{"input_ids": [5, 6, 7]}]
    collator(examples)
    collator.seed = 0
    collator.set_epoch(0)
    collator(examples)
    DataCollatorForDynamicMasking(collator.tokenizer, seed=0, num_mask_patterns=1)(examples)
