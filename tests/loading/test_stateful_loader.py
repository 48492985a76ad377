"""torchdata's `StatefulDataLoader`, which is resumed by its own state."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from support.corpora import Numbered
from support.witness import TellsTheTime, Witness, witnessed
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader
from transformers import Trainer

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, linear_schedule

EXAMPLES, BATCH, STEPS = 16, 2, 16  # two epochs of eight steps
SCHEDULE = linear_schedule(0.8, 0.1)
WORKERS = [(0, False), (2, False), (2, True)]
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # which torchdata calls


@pytest.fixture
def collator(wordpiece) -> DataCollatorForDynamicMasking:
    return DataCollatorForDynamicMasking(wordpiece, SCHEDULE, seed=7, return_mask_rate=True)


def _loader(collator: Any, workers: tuple[int, bool]) -> StatefulDataLoader:
    return StatefulDataLoader(
        Numbered(EXAMPLES),
        batch_size=BATCH,
        shuffle=True,
        generator=torch.Generator().manual_seed(0),
        collate_fn=collator,
        num_workers=workers[0],
        persistent_workers=workers[1],
    )


class Own(Trainer):
    workers: tuple[int, bool]
    prepared: bool

    def get_train_dataloader(self) -> DataLoader:
        loader = _loader(self.data_collator, self.workers)
        if not self.prepared:
            return loader
        accelerator = Accelerator(
            cpu=True, dataloader_config=DataLoaderConfiguration(use_stateful_dataloader=True, non_blocking=False)
        )
        return accelerator.prepare(loader)


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("workers", WORKERS)
def test_a_trainer_trains_by_it(collator, tmp_path, workers, prepared) -> None:
    plain = witnessed(collator, Numbered(EXAMPLES), tmp_path, [], num_train_epochs=2)
    witness = Witness()
    trainer = Own(
        model=witness,
        args=plain.args,
        train_dataset=plain.train_dataset,
        data_collator=collator,
        callbacks=[MaskRateCallback(), TellsTheTime(witness)],
    )
    trainer.workers, trainer.prepared = workers, prepared
    trainer.train()
    assert {step: [pytest.approx(SCHEDULE(step / STEPS))] for step in range(STEPS)} == {
        step: list(rates) for step, rates in witness.rates.items()
    }
    assert len(witness.masks) == 2 * EXAMPLES


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("batches", [1, 3, 4])
def test_it_goes_on_with_its_state(collator, workers, batches) -> None:
    """What a run would have seen, a resumed one sees: the same examples, masks and rates."""
    loader = _loader(collator, workers)
    collator.start_epoch(loader, 1, total_steps=STEPS)
    seen = []
    for number, batch in enumerate(loader, start=1):
        seen.append({name: values.tolist() for name, values in batch.items()})
        if number == batches:
            state = loader.state_dict()
    resumed = _loader(collator, workers)
    resumed.load_state_dict(state)
    collator.start_epoch(resumed, 1, total_steps=STEPS)
    assert [{name: values.tolist() for name, values in batch.items()} for batch in resumed] == seen[batches:]
    assert seen[0]["mask_rate"] == pytest.approx([SCHEDULE(8 / STEPS)] * BATCH)
