"""Whether a loader's workers take turns to its end: from a batch's turn follows its optimizer step.

With a map-style dataset they do. Streamed data comes in shares: a worker whose share has ended leaves its turns to the
others, and nobody knows beforehand when that will be. So each worker notes how many batches it has collated, and a
batch that was handed out is out of turn if the worker whose turn it was has not collated as many.
"""

from __future__ import annotations

import numpy as np
from torch.utils.data import get_worker_info

from hf_dynmask.core.shared import SharedArray
from hf_dynmask.loading.position import BatchPosition


class WorkerOrderMonitor:
    """Checks, in the main process, that the batches which a training uses are collated in turn.

    Args:
        num_workers: of the loader.
        collated_per_batch: how many collated batches make one that is used.
    """

    def __init__(self, num_workers: int, collated_per_batch: int) -> None:
        # for each worker, the epoch of the batch that it collated last, and how many it has collated of it
        self._collated = SharedArray(np.full(2 * num_workers, -1, np.int64))
        self._num_workers, self._per_batch = num_workers, collated_per_batch
        self._epoch = self._used = 0

    def start_epoch(self, epoch: int, used: int) -> None:
        """An epoch begins; `used` batches of it have been used already, and are collated and skipped."""
        self._epoch, self._used = epoch, used

    def record_collated(self, position: BatchPosition) -> None:
        """Called in a worker, before it hands out the batch at this position."""
        worker = get_worker_info()
        if worker is not None and not position.is_evaluation:
            of_worker = slice(2 * worker.id, 2 * worker.id + 2)
            self._collated.values[of_worker] = position.epoch, position.number // self._num_workers + 1

    def record_consumed(self) -> None:
        """A batch has been used."""
        self._used += 1
        self._check(self._used - 1)

    def check_next(self) -> None:
        """The next batch to be used has been handed out."""
        self._check(self._used)

    def _check(self, batch: int) -> None:
        first = batch * self._per_batch  # of those that make it; the last ones of an epoch may be missing
        round_, worker = divmod(first, self._num_workers)
        epoch, collated = self._collated.values[2 * worker : 2 * worker + 2].tolist()
        collated = collated if epoch == self._epoch else 0
        if collated <= round_:
            raise RuntimeError(
                f"the workers must take turns to the end of the streamed data under a mask rate schedule, but worker "
                f"{worker} has read its share of it, {collated} batches, before batch {batch} of the epoch, and the "
                "rates would go out of step. Resume, or start, with at most as many `dataloader_num_workers` as the "
                "data has shards, all of one length; 1 is always right."
            )
