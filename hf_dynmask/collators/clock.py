"""The epoch of a batch without a position: the epoch that `set_epoch` has set, or none.

Batches have no position if a collator is called directly, or by a `DataLoader` that neither [`start_epoch`] nor
[`MaskRateCallback`] has numbered.
"""

from __future__ import annotations

import copy
import math
import sys
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import SequentialSampler, get_worker_info

from hf_dynmask.collators.epoch_warnings import warn_another_pass
from hf_dynmask.core.draws import stream_keys
from hf_dynmask.core.shared_memory import SharedArray


class _Pass(NamedTuple):
    """An iteration, as accelerate counts them, over a loader that it has prepared."""

    loader: int
    iteration: int
    batches: float  # the number of all workers' batches; infinite if unknown
    is_evaluation: bool  # whether it reads the data in order while another loader does not


class Clock:
    """Holds the epoch of a collator, in the main process and in the workers of its loaders.

    An epoch is set for one pass over the data. In a later pass over a loader of accelerate, which counts its passes,
    the epoch is unknown.
    """

    def __init__(self) -> None:
        # int64: calls of `set_epoch`, epoch, loader, iteration
        self._announced = SharedArray(np.zeros(4, np.int64), inherited=False)
        self._calls = 0
        self._used: tuple[int, int] = (0, 0)  # calls of `set_epoch`, and batches since the last one
        self._sent_in: _Pass | None = None

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next pass."""
        self._announced.values[:] = [self._announced.values[0] + 1, epoch, 0, 0]

    @property
    def set_epoch_calls(self) -> int:
        return int(self._announced.values[0])

    @property
    def epoch_is_known(self) -> bool:
        return self.set_epoch_calls > 0

    def epoch(self) -> int | None:
        """The epoch of the batch that is collated next; None if unknown."""
        calls, epoch, loader, iteration = self._announced.values.tolist()
        if not calls:
            return None
        current = _current_pass() or self._sent_in
        if current is None:
            return epoch
        if not loader:
            self._announced.values[2:] = current[:2]
        elif current[:2] != (loader, iteration):
            warn_another_pass()
            return None
        return epoch if self._is_of_this_pass(calls, current) else None

    def _is_of_this_pass(self, calls: int, current: _Pass) -> bool:
        """Whether a batch is in the pass that the epoch was set for.

        A persistent worker only sees its first pass. There, a pass ends when the worker has made its share of batches.
        """
        worker = get_worker_info()
        if worker is None:
            return True
        used = self._used[1] if self._used[0] == calls else 0
        self._used = (calls, used + 1)
        if used * worker.num_workers + worker.id >= current.batches:  # workers take turns
            warn_another_pass()
            return False
        return True

    def fresh_pattern(self, seeded: bool) -> int:
        """Makes a pattern for a batch whose epoch is unknown. Each batch gets a new one.

        With a seed, it depends on the number of batches that this collator has made and, in a worker, on the seed of
        the worker, which is new for each iterator. Without a seed, it comes from torch's global generator.
        """
        if not seeded:
            return int(torch.randint(2**62, ()))
        worker = get_worker_info()
        number, self._calls = self._calls, self._calls + 1
        if worker is None:
            return number
        return int(stream_keys(worker.seed, np.array([number], np.uint64), 0)[0] >> np.uint64(2))

    def is_evaluation(self) -> bool:
        """Whether the loaders of accelerate indicate that the batch is for evaluation."""
        current = _current_pass() or self._sent_in
        return current is not None and current.is_evaluation

    def __copy__(self) -> Clock:
        clone = Clock()
        clone.__dict__.update(self.__dict__, _announced=copy.copy(self._announced))
        return clone

    def __getstate__(self) -> dict[str, Any]:
        """Adds the current pass, which a spawned worker cannot see."""
        return {**self.__dict__, "_sent_in": _current_pass()}


def _current_pass() -> _Pass | None:
    """The innermost pass in progress in this process."""
    state = sys.modules.get("accelerate.state")
    references = [] if state is None else state.GradientState().dataloader_references
    loader = references[-1] if references else None
    if loader is None:
        return None
    others = [each for each in references if each is not None and each is not loader]
    is_evaluation = _reads_in_order(loader) and not all(map(_reads_in_order, others))
    return _Pass(id(loader), getattr(loader, "iteration", 0), _batches(loader), is_evaluation)


def _batches(loader: Any) -> float:
    try:
        return len(loader.base_dataloader) if loader.num_workers else math.inf
    except (TypeError, AttributeError):  # a stream, or another type of loader
        return math.inf


def _reads_in_order(loader: Any) -> bool:
    sampler = loader
    for name in ("base_dataloader", "batch_sampler", "batch_sampler", "sampler"):  # a sharded sampler wraps another
        sampler = getattr(sampler, name, sampler)
    return isinstance(sampler, SequentialSampler)
