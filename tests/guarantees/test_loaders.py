"""Masks and rates are the same however batches are loaded."""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import datasets
import numpy as np
import pytest
from support.corpora import Numbered, Stream, example
from support.extended import every, pairs
from support.witness import Witness, witnessed
from support.worker_starts import workers_started_by
from torch.utils.data import DataLoader
from transformers import TrainingArguments

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, linear_schedule

EXAMPLES, EPOCHS, STEPS = 36, 2, 12  # an optimizer step takes 6 examples
# Rates that differ from step to step, but by less than the draws of any two tokens here: the masks are all the same,
# whichever step an example comes in.
SCHEDULE = linear_schedule(0.3, 0.30001)


class Loader(NamedTuple):
    workers: int
    start: str
    persistent: bool
    prefetch: int | None


class Data(NamedTuple):
    kind: str
    dispatch: bool
    split: bool
    sampling: str
    accumulation: int


def _samplings() -> tuple[str, ...]:
    """All that this version of transformers has."""
    for field in dataclasses.fields(TrainingArguments):
        if field.name == "train_sampling_strategy":
            return tuple(field.metadata["choices"])
    return "random", "group_by_length"  # transformers 4


SAMPLINGS = _samplings()
LOADERS = [
    Loader(0, "fork", False, None),
    *(
        Loader(*choice)
        for choice in itertools.product((1, 2, 3), ("fork", "forkserver", "spawn"), (False, True), (1, 2, 4))
    ),
]
DATA = [
    Data(*choice)
    for choice in itertools.product(
        ("map-style", "iterable", "streaming"), (False, True), (False, True), SAMPLINGS, (1, 3)
    )
    if choice[3] == "random" or choice[0] == "map-style"
    if choice[3] != "batch_rebalance" or not choice[2]  # accelerate splits batches of one size only
]


def _dataset(kind: str) -> object:
    if kind == "streaming":
        return datasets.Dataset.from_list([example(i) for i in range(EXAMPLES)]).to_iterable_dataset(num_shards=6)
    return Numbered(EXAMPLES) if kind == "map-style" else Stream(EXAMPLES)


def _trained(tokenizer, directory, loader: Loader, data: Data) -> Witness:
    trainer = witnessed(
        DataCollatorForDynamicMasking(tokenizer, seed=7, return_mask_rate=True),
        _dataset(data.kind),
        directory,
        [MaskRateCallback(SCHEDULE, audit="every_step")],
        per_device_train_batch_size=6 // data.accumulation,
        gradient_accumulation_steps=data.accumulation,
        dataloader_num_workers=loader.workers,
        dataloader_persistent_workers=loader.persistent,
        dataloader_prefetch_factor=loader.prefetch,
        accelerator_config={"dispatch_batches": data.dispatch, "split_batches": data.split},
        **_sampling(data.sampling),
        **({"num_train_epochs": EPOCHS} if data.kind == "map-style" else {"max_steps": STEPS}),
    )
    with workers_started_by(loader.start):
        trainer.train()
    return trainer.model


def _sampling(name: str) -> dict[str, object]:
    return {"group_by_length": name == "group_by_length"} if len(SAMPLINGS) == 2 else {"train_sampling_strategy": name}


@pytest.fixture(scope="module")
def expected(wordpiece) -> tuple[str, str]:
    return _without_a_loader(wordpiece).hashes()


def _without_a_loader(wordpiece) -> Witness:
    witness, collator = Witness(), DataCollatorForDynamicMasking(wordpiece, 0.3, seed=7, return_mask_rate=True)
    for witness.epoch in range(EPOCHS):
        collator.set_epoch(witness.epoch)
        witness(**collator([example(i) for i in range(EXAMPLES)]))
    witness.rates = {step: {float(np.float32(SCHEDULE(step / STEPS)))} for step in range(STEPS)}
    assert len(witness.masks) == EPOCHS * EXAMPLES
    return witness


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "combination" in metafunc.fixturenames:
        chosen = _every() if metafunc.config.getoption("--stress") else _a_few()
        chosen = every(7, [(each,) for each in chosen])
        metafunc.parametrize("combination", chosen, ids=lambda choice: "-".join(map(str, itertools.chain(*choice))))


def _every() -> list[tuple[Loader, Data]]:
    """All combinations; where workers are spawned, which takes seconds for each of them, each loader with two."""
    spawned = [loader for loader in LOADERS if loader.start == "spawn"]
    others = [loader for loader in LOADERS if loader.start != "spawn"]
    return [*itertools.product(others, DATA), *zip(spawned * 2, itertools.cycle(DATA))]


def _a_few() -> list[tuple[Loader, Data]]:
    """Each data with a loader, each loader whose workers are forked, and a few others."""
    forked = [loader for loader in LOADERS if loader.start == "fork"]
    others = [Loader(2, "forkserver", False, 2), Loader(3, "forkserver", True, 4), Loader(2, "spawn", True, 1)]
    return [*zip(itertools.cycle(forked), DATA), *zip(others, DATA[5 :: len(DATA) // 3], strict=True)]


def test_masks_and_rates_are_those_without_a_loader(wordpiece, tmp_path, combination, expected, report_figure) -> None:
    assert _trained(wordpiece, tmp_path, *combination).hashes() == expected


class TestStreamsOfUnequalShares:
    """A worker that ends early leaves its turns to the others: a batch's place, and so its step, cannot be known."""

    def _trainer(self, tokenizer, directory, data, schedule=SCHEDULE, accumulation=1):
        return witnessed(
            DataCollatorForDynamicMasking(tokenizer, seed=7, return_mask_rate=True),
            data,
            directory,
            [MaskRateCallback(schedule)],
            per_device_train_batch_size=6 // accumulation,
            gradient_accumulation_steps=accumulation,
            dataloader_num_workers=2,
            max_steps=STEPS,
        )

    @pytest.mark.parametrize(("shared", "accumulation"), pairs([((24, 12), 5), ((12, 24), 4), ((0, 36), 0)], [1, 3]))
    def test_a_schedule_ends_in_an_error_where_it_would_go_wrong(
        self, wordpiece, tmp_path, shared, accumulation
    ) -> None:
        shares, right_steps = shared
        trainer = self._trainer(wordpiece, tmp_path, Stream(EXAMPLES, shares), accumulation=accumulation)
        with pytest.raises(RuntimeError, match=r"worker . reached the end of its share after .* Use at most as many"):
            trainer.train()
        rates = trainer.model.rates
        assert len(rates) in (right_steps, right_steps + 1)
        assert all(rates[step] == {float(np.float32(SCHEDULE(step / STEPS)))} for step in range(right_steps))

    def test_so_it_does_with_fewer_shards_than_workers(self, wordpiece, tmp_path) -> None:
        data = datasets.Dataset.from_list([example(i) for i in range(EXAMPLES)]).to_iterable_dataset(num_shards=1)
        with pytest.raises(RuntimeError, match="dataloader_num_workers"):
            self._trainer(wordpiece, tmp_path, data).train()

    @pytest.mark.parametrize("shares", [(18, 12), (18, 13), (15, 12)])
    def test_shares_that_differ_in_the_last_round_only_are_fine(self, wordpiece, tmp_path, shares) -> None:
        trainer = self._trainer(wordpiece, tmp_path, Stream(EXAMPLES, shares))
        trainer.train()
        assert trainer.model.rates == {step: {float(np.float32(SCHEDULE(step / STEPS)))} for step in range(STEPS)}

    def test_a_constant_rate_is_fine(self, wordpiece, tmp_path) -> None:
        trainer = self._trainer(wordpiece, tmp_path, Stream(EXAMPLES, (24, 12)), schedule=0.3)
        trainer.train()
        masks = trainer.model.masks
        assert len(masks) == EPOCHS * EXAMPLES
        assert trainer.model.hashes()[0] == _without_a_loader(wordpiece).hashes()[0]

    def test_in_a_loop_of_ones_own_nobody_would_notice(self, wordpiece) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, SCHEDULE)
        loader = DataLoader(Stream(EXAMPLES), batch_size=6, num_workers=2, collate_fn=collator)
        with pytest.raises(ValueError, match="`num_workers` must be 0 or 1 for streamed data when"):
            collator.start_epoch(loader, 0, total_steps=STEPS)
