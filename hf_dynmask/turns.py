"""Whether a loader's workers take turns to its end: from a batch's turn the clock tells its optimizer step.

With a map-style dataset they do. Streamed data comes in shares: a worker whose share has ended leaves its turns to the
others, and nobody knows beforehand when that will be. So each worker notes how many batches it has collated, and a
batch that was handed out is out of turn if the worker whose turn it was has not collated as many.
"""

from __future__ import annotations

import torch
from torch.utils.data import IterableDataset, get_worker_info


class Turns:
    """Checks, in the main process, that the batches which a training uses come in turn.

    Args:
        num_workers: of the loader.
        collated_per_batch: how many collated batches make one that is used.
        checked: False for a loader of which it is sure.
    """

    def __init__(self, num_workers: int, collated_per_batch: int, checked: bool) -> None:
        self._collated = torch.zeros(num_workers, dtype=torch.int64).share_memory_()  # in the epoch, by each worker
        self._per_batch, self._checked = collated_per_batch, checked
        self._used = 0

    def start_epoch(self, used: int) -> None:
        """An epoch begins; `used` batches of it have been used already, and will be collated and skipped."""
        self._collated.zero_()
        self._used = used

    def note(self, worker: int, collated: int) -> None:
        """Called in a worker, before it hands a batch out."""
        self._collated[worker] = collated

    def use(self) -> None:
        """A batch has been used."""
        self._used += 1
        self._check(self._used - 1)

    def check_next(self) -> None:
        """The next batch to be used has been handed out."""
        self._check(self._used)

    def _check(self, batch: int) -> None:
        if not self._checked:
            return
        collated = batch * self._per_batch  # the first of those that make it; the last ones of an epoch may be missing
        round_, worker = divmod(collated, len(self._collated))
        if self._collated[worker] <= round_:
            raise RuntimeError(
                f"the workers must take turns to the end of the streamed data under a mask rate schedule, but worker "
                f"{worker} has read its share of it, {int(self._collated[worker])} batches, before batch {batch} of "
                "the epoch, and the rates would go out of step. Resume, or start, with at most as many "
                "`dataloader_num_workers` as the data has shards, all of one length; 1 is always right."
            )


def may_come_out_of_turn() -> bool:
    """Whether this is a worker whose batches may come out of turn."""
    worker = get_worker_info()
    return worker is not None and worker.num_workers > 1 and isinstance(worker.dataset, IterableDataset)
