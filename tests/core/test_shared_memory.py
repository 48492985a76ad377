"""What a collator shares, it shares with the workers of its own loaders, and with no other process."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import resource
from typing import Any

import numpy as np
import pytest
import torch
from support.corpora import Numbered
from support.extended import every
from torch.utils.data import DataLoader

from hf_dynmask import DataCollatorForDynamicMasking
from hf_dynmask.core.shared_memory import SharedArray

STARTS = ["fork", "spawn", "forkserver"]


def _writes(array: SharedArray, told: Any, go_on: Any) -> None:
    """In another process: what it finds, and what it finds after its parent has written."""
    told.put(array.values.tolist())
    array.values[0] = 7
    go_on.wait(60)
    told.put(array.values.tolist())


@pytest.mark.parametrize("start", every(3, STARTS))
def test_another_process_has_a_copy(start) -> None:
    context = multiprocessing.get_context(start)
    array = SharedArray(np.array([1, 2]))
    told, go_on = context.Queue(), context.Event()
    process = context.Process(target=_writes, args=(array, told, go_on))
    process.start()
    assert told.get(timeout=120) == [1, 2]
    array.values[1] = 5
    go_on.set()
    assert told.get(timeout=120) == [7, 2]
    process.join()
    assert array.values.tolist() == [1, 5]


class Reads(Numbered):
    """Examples that hold what a worker finds in an array; it notes that it was there."""

    def __init__(self, array: SharedArray) -> None:
        super().__init__(4)
        self.array = array

    def __getitem__(self, index: int) -> int:
        range(self.examples)[index]
        self.array.values[1] += 1
        return int(self.array.values[0])


@pytest.mark.parametrize("start", STARTS)
def test_workers_see_what_is_written_later(start) -> None:
    array = SharedArray(np.zeros(2, np.int64))
    loader = DataLoader(Reads(array), num_workers=1, persistent_workers=True, multiprocessing_context=start)
    for written in (3, 4):
        array.values[0] = written
        assert [int(value) for value in loader] == [written] * 4
    assert array.values[1] == 8


def _trains(collator: DataCollatorForDynamicMasking, start: str, told: Any) -> None:
    """A rank that makes its loader from a collator which it got, and tells it an epoch of its own."""
    loader = DataLoader(Numbered(8), batch_size=4, collate_fn=collator, num_workers=1, multiprocessing_context=start)
    unknown = [batch["labels"].tolist() for batch in loader]
    collator.set_epoch(5)
    told.put((unknown, [batch["labels"].tolist() for batch in loader]))


@pytest.mark.parametrize("start", every(3, STARTS))
def test_ranks_do_not_tell_each_other_the_epoch(wordpiece, start) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, seed=0)
    collator.set_epoch(1)
    before = _labels(collator, 1)
    context = multiprocessing.get_context(start)
    told = context.Queue()
    process = context.Process(target=_trains, args=(collator, start, told))
    process.start()
    unknown, known = told.get(timeout=180)
    process.join()
    assert known == _labels(collator, 5)
    assert before == [collator(batch)["labels"].tolist() for batch in _batches()] == _labels(collator, 1)
    assert unknown not in (known, before), "the epoch of another process is not its own"


def _batches() -> list[list[dict[str, Any]]]:
    data = Numbered(8)
    return [[data[i] for i in range(begin, begin + 4)] for begin in (0, 4)]


def _labels(collator: DataCollatorForDynamicMasking, epoch: int) -> list[Any]:
    return [collator(batch, epoch=epoch)["labels"].tolist() for batch in _batches()]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_has_a_clock_of_its_own(wordpiece, make) -> None:
    collator = DataCollatorForDynamicMasking(wordpiece, seed=0)
    collator.set_epoch(1)
    twin = make(collator)
    (examples, _), expected = _batches(), _labels(collator, 1)[0]
    assert twin(examples)["labels"].tolist() == expected
    twin.set_epoch(2)
    assert collator(examples)["labels"].tolist() == expected
    assert twin(examples)["labels"].tolist() == _labels(collator, 2)[0]


@pytest.mark.parametrize("strategy", ["token", "adaptive"])
def test_collators_take_no_file_descriptor_each(wordpiece, strategy) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        collators = [DataCollatorForDynamicMasking(wordpiece, strategy=strategy) for _ in range(400)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(collators) == 400


@pytest.mark.parametrize("strategy", ["token", "adaptive"])
def test_a_collator_is_made_under_any_default_device(wordpiece, strategy) -> None:
    with torch.device("meta"):
        collator = DataCollatorForDynamicMasking(wordpiece, strategy=strategy, return_tensors="np")
    assert (collator(_batches()[0], epoch=0)["labels"] != -100).any()
