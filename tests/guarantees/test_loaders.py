"""Masks and rates are the same however batches are loaded."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import datasets
import numpy as np
import pytest
from corpora import Numbered, Stream, example
from witness import Witness, witnessed

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
    by_length: bool
    accumulation: int


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
        ("map-style", "iterable", "streaming"), (False, True), (False, True), (False, True), (1, 3)
    )
    if choice[0] == "map-style" or not choice[3]
]


def _dataset(kind: str) -> object:
    if kind == "streaming":
        return datasets.Dataset.from_list([example(i) for i in range(EXAMPLES)]).to_iterable_dataset(num_shards=6)
    return Numbered(EXAMPLES) if kind == "map-style" else Stream(EXAMPLES)


@contextmanager
def _started_by(method: str) -> Iterator[None]:
    """`Trainer` has no argument for how workers start: they start as all processes of the program do."""
    multiprocessing.set_forkserver_preload(["torch", "transformers.tokenization_utils_fast", "hf_dynmask"])
    multiprocessing.set_start_method(method, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(None, force=True)


def _trained(tokenizer, directory, loader: Loader, data: Data) -> Witness:
    trainer = witnessed(
        DataCollatorForDynamicMasking(tokenizer, seed=7, return_mask_rate=True),
        _dataset(data.kind),
        directory,
        [MaskRateCallback(SCHEDULE)],
        per_device_train_batch_size=6 // data.accumulation,
        gradient_accumulation_steps=data.accumulation,
        dataloader_num_workers=loader.workers,
        dataloader_persistent_workers=loader.persistent,
        dataloader_prefetch_factor=loader.prefetch,
        accelerator_config={"dispatch_batches": data.dispatch, "split_batches": data.split},
        group_by_length=data.by_length,
        **({"num_train_epochs": EPOCHS} if data.kind == "map-style" else {"max_steps": STEPS}),
    )
    with _started_by(loader.start):
        trainer.train()
    return trainer.model


@pytest.fixture(scope="module")
def expected(wordpiece) -> tuple[str, str]:
    """The same, without a loader."""
    witness, collator = Witness(), DataCollatorForDynamicMasking(wordpiece, 0.3, seed=7, return_mask_rate=True)
    for witness.epoch in range(EPOCHS):
        collator.set_epoch(witness.epoch)
        witness(**collator([example(i) for i in range(EXAMPLES)]))
    witness.rates = {step: {float(np.float32(SCHEDULE(step / STEPS)))} for step in range(STEPS)}
    assert len(witness.masks) == EPOCHS * EXAMPLES
    return witness.hashes()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "combination" in metafunc.fixturenames:
        chosen = _every() if metafunc.config.getoption("--stress") else _a_few()
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
    return [*zip(itertools.cycle(forked), DATA), *zip(others, DATA[5::10])]


def test_masks_and_rates_are_those_without_a_loader(wordpiece, tmp_path, combination, expected, report_figure) -> None:
    assert _trained(wordpiece, tmp_path, *combination).hashes() == expected
