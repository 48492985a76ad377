"""Which epoch a batch belongs to whose position nobody knows: the one that `set_epoch` told, or none.

A collator that is called by hand, or by a `DataLoader` that [`start_epoch`] and [`MaskRateCallback`] have not seen,
knows no more than what `set_epoch` told it last.
"""

from __future__ import annotations

import copy
import math
import sys
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import SequentialSampler, get_worker_info

from hf_dynmask.collators import warned
from hf_dynmask.core.draws import stream_keys
from hf_dynmask.core.shared import SharedArray


class _Pass(NamedTuple):
    """An iteration, by accelerate's count, over a loader that it has prepared."""

    loader: int
    iteration: int
    batches_a_worker: float  # infinite where it is not known
    is_evaluation: bool  # whether it reads in order, after or within a pass that shuffles


class Clock:
    """Tells a collator the epoch, alike in the main process and in the workers of its loaders.

    An epoch that is told is for one pass over the data. A pass by a loader that accelerate has prepared, such as any of
    a `Trainer`'s, is known as such: in the pass after it, the epoch is not known.
    """

    def __init__(self) -> None:
        self._announced = SharedArray(np.zeros(4, np.int64), inherited=False)  # times told, epoch, and its pass
        self._calls = 0
        self._used: tuple[int, int] = (0, 0)  # times told, batches since
        self._sent_in: _Pass | None = None

    def set_epoch(self, epoch: int) -> None:
        """The next pass is this epoch's."""
        self._announced.values[:] = [self._announced.values[0] + 1, epoch, 0, 0]

    @property
    def set_epoch_calls(self) -> int:
        return int(self._announced.values[0])

    @property
    def epoch_is_known(self) -> bool:
        return self.set_epoch_calls > 0

    def epoch(self) -> int | None:
        """The epoch of a batch that is about to be collated; None if it is not known."""
        calls, epoch, loader, iteration = self._announced.values.tolist()
        if not calls:
            return None
        current = _current_pass() or self._sent_in
        if current is None:
            return epoch
        if not loader:
            self._announced.values[2:] = current[:2]
        elif current[:2] != (loader, iteration):
            warned.warn_another_pass()
            return None
        return epoch if self._is_of_this_pass(calls, current) else None

    def _is_of_this_pass(self, calls: int, current: _Pass) -> bool:
        """A persistent worker sees no other pass than its first: there, a pass is as long as a worker's share of it."""
        if get_worker_info() is None:
            return True
        self._used = (calls, self._used[1] + 1 if self._used[0] == calls else 1)
        if self._used[1] > current.batches_a_worker:
            warned.warn_another_pass()
            return False
        return True

    def fresh_pattern(self, seeded: bool) -> int:
        """A number in the place of an epoch that is not known, another one for each batch.

        It follows from how many this collator has made, and in a worker from the worker's own seed as well, which is
        new for each iterator. Without a seed it comes from torch's global generator.
        """
        if not seeded:
            return int(torch.randint(2**62, ()))
        worker = get_worker_info()
        number, self._calls = self._calls, self._calls + 1
        if worker is None:
            return number
        return int(stream_keys(worker.seed, np.array([number], np.uint64), 0)[0] >> np.uint64(2))

    def is_evaluation(self) -> bool:
        """Whether the batch seems to be for evaluation, as far as accelerate's loaders show it."""
        current = _current_pass() or self._sent_in
        return current is not None and current.is_evaluation

    def __copy__(self) -> Clock:
        clone = Clock()
        clone.__dict__.update(self.__dict__, _announced=copy.copy(self._announced))
        return clone

    def __getstate__(self) -> dict[str, Any]:
        """A worker that is spawned does not see the pass that it is for."""
        return {**self.__dict__, "_sent_in": _current_pass()}


def _current_pass() -> _Pass | None:
    """The innermost pass that is going on here."""
    state = sys.modules.get("accelerate.state")
    references = [] if state is None else state.GradientState().dataloader_references
    loader = references[-1] if references else None
    if loader is None:
        return None
    others = [each for each in references if each is not None and each is not loader]
    is_evaluation = _reads_in_order(loader) and not all(map(_reads_in_order, others))
    return _Pass(id(loader), getattr(loader, "iteration", 0), _batches_a_worker(loader), is_evaluation)


def _reads_in_order(loader: Any) -> bool:
    sampler = loader
    for name in (
        "base_dataloader",
        "batch_sampler",
        "batch_sampler",
        "sampler",
    ):  # one may be sharded, and hold another
        sampler = getattr(sampler, name, sampler)
    return isinstance(sampler, SequentialSampler)


def _batches_a_worker(loader: Any) -> float:
    try:
        batches, workers = len(loader.base_dataloader), loader.num_workers
    except (TypeError, AttributeError):  # a stream; a loader of another kind
        return math.inf
    worker = get_worker_info()
    return math.inf if worker is None or not workers else math.ceil((batches - worker.id) / workers)
