"""Checks that the workers of a loader take turns until the data ends, because the turn of a batch tells its step.

With a map-style dataset they do. A streamed dataset comes in one share for each worker. Once a share ends, the other
workers take over its turns, and nothing tells in advance when that happens. So each worker records how many batches it
has collated. A batch is out of turn if the worker whose turn it was has not collated enough batches.
"""

from __future__ import annotations

import numpy as np
from torch.utils.data import get_worker_info

from hf_dynmask.core.shared_memory import SharedArray
from hf_dynmask.loading.batch_position import BatchPosition


class WorkerOrderMonitor:
    """Checks, in the main process, that the batches that training uses were collated in turn.

    Args:
        num_workers: of the loader.
        collated_per_batch: how many collated batches make one batch that the training uses.
    """

    def __init__(self, num_workers: int, collated_per_batch: int) -> None:
        # for each worker: the epoch of the batch that it collated last, and how many batches of it it has collated
        self._collated = SharedArray(np.full(2 * num_workers, -1, np.int64))
        self._num_workers, self._per_batch = num_workers, collated_per_batch
        self._epoch = self._used = 0

    def start_epoch(self, epoch: int, used: int) -> None:
        """Starts an epoch whose first `used` batches are collated and skipped, as a resumed training does."""
        self._epoch, self._used = epoch, used

    def record_collated(self, position: BatchPosition) -> None:
        """Records, in a worker, the batch at this position before the worker hands it out."""
        worker = get_worker_info()
        if worker is not None and not position.is_evaluation:
            slots = slice(2 * worker.id, 2 * worker.id + 2)
            self._collated.values[slots] = position.epoch, position.number // self._num_workers + 1

    def record_consumed(self) -> None:
        """Records that the training has used a batch, and checks that batch.

        Raises:
            RuntimeError: if the batch was out of turn.
        """
        self._used += 1
        self._check(self._used - 1)

    def check_next(self) -> None:
        """Checks the batch that the training uses next, once it has been handed out.

        Raises:
            RuntimeError: if the batch is out of turn.
        """
        self._check(self._used)

    def _check(self, batch: int) -> None:
        first = batch * self._per_batch  # of the collated batches that make it; an epoch may end before the others
        round_, worker = divmod(first, self._num_workers)
        epoch, collated = self._collated.values[2 * worker : 2 * worker + 2].tolist()
        collated = collated if epoch == self._epoch else 0
        if collated <= round_:
            raise RuntimeError(
                "the workers must take turns until the streamed data ends under a mask rate schedule, but worker "
                f"{worker} reached the end of its share after {collated} batches, before batch {batch} of the epoch. "
                "Later batches would get the rates of other steps. Use at most as many `dataloader_num_workers` as the "
                "data has shards, and shards of equal length; 1 worker always works."
            )
