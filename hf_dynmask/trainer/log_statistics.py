"""Statistics for the training logs: masked tokens, labels, padding, and the time spent waiting for batches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter

import torch
from transformers.training_args import TrainingArguments

from hf_dynmask.loading.batch_counts import Counts, UsedCounts

_LOGGER = logging.getLogger("hf_dynmask")


class LogStatistics:
    """The statistics of the batches and the steps since the last log, over all ranks.

    Args:
        used: the counts of the batches that this rank collates; None if another rank collates them.
        args: of the `Trainer`.
        is_shared: whether several ranks load the same batches, so that their labels cannot be added up.
    """

    def __init__(self, used: UsedCounts | None, args: TrainingArguments, is_shared: bool) -> None:
        self._used, self._args, self._is_shared = used, args, is_shared
        self._clock = WaitingClock(perf_counter)
        self._steps = 0
        self._reported: set[str] = set()

    def wait(self) -> None:
        """Records the end of work that is neither part of a step nor waiting, such as evaluation or saving."""
        self._clock.wait()

    def end_epoch(self) -> None:
        """Records the end of an epoch, which may come within a step."""
        if self._clock.is_in_step:
            self._clock.end_step()

    def begin_step(self) -> None:
        """Records that the batches of an optimizer step are there."""
        self._clock.begin_step()

    def end_step(self) -> None:
        """Records the end of an optimizer step."""
        self._clock.end_step()
        self._steps += 1

    def take(self) -> dict[str, float]:
        """The statistics since the last call, without those that are unknown. All ranks must call this together.

        It returns nothing within a step, or if no step has ended: `Trainer` logs its steps between them.
        """
        if self._clock.is_in_step or not self._steps:
            return {}
        reason = None if self._used is None else self._used.reason
        counts = Counts() if self._used is None else self._used.take()
        if reason is not None:
            self._report("masked_fraction, num_labels and padding_fraction are", reason)
        totals = self._sum_over_ranks([float(reason is not None), self._clock.take(), 1.0, *map(float, counts)])
        steps, self._steps = self._steps, 0
        if totals is None:
            self._report("statistics are", "the ranks have no process group of torch.distributed")
            return {}
        unknown, waiting, ranks, *summed = totals
        statistics = {} if unknown else self._of_tokens(Counts(*map(int, summed)), steps)
        return {**statistics, "waiting_fraction": waiting / ranks}

    def _of_tokens(self, counts: Counts, steps: int) -> dict[str, float]:
        statistics = {}
        if counts.maskable:
            statistics["masked_fraction"] = counts.masked / counts.maskable
        if self._is_shared:
            self._report("num_labels is", "several ranks train on the same batches")
        elif counts.labels >= 0:
            statistics["num_labels"] = counts.labels / steps
        if counts.tokens:
            statistics["padding_fraction"] = counts.padding / counts.tokens
        return statistics

    def _report(self, names: str, reason: str) -> None:
        """Logs once why values are left out."""
        if reason not in self._reported:
            self._reported.add(reason)
            _LOGGER.warning("%s left out of a log, as their counts are unknown: %s.", names, reason)

    def _sum_over_ranks(self, values: list[float]) -> list[float] | None:
        """The sums over all ranks; None if they cannot be added up. Counts are exact below 2^53."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            totals = torch.tensor(values, dtype=torch.float64, device=self._args.device)
            torch.distributed.all_reduce(totals)
            return totals.tolist()
        return values if self._args.world_size == 1 else None


def ranks_share_batches() -> bool:
    """Whether several ranks load the same batches, as they do under tensor, context or sequence parallelism."""
    from accelerate.state import AcceleratorState, is_initialized  # not at import, whose time it would double

    config = getattr(AcceleratorState(), "parallelism_config", None) if is_initialized() else None
    return getattr(config, "non_data_parallel_size", 1) > 1


class WaitingClock:
    """Measures the fraction of time in which training waits for batches.

    Time is either part of a step, or waiting, from the last event after a step to the next step, or neither. `Trainer`
    fetches all batches of a step just before it begins.

    Args:
        now: returns the time in seconds.

    >>> seconds = iter([0.0, 3.0, 4.0, 9.0, 10.0, 13.0])
    >>> clock = WaitingClock(lambda: next(seconds))
    >>> clock.wait(); clock.begin_step(); clock.end_step()  # 3 s of waiting, 1 s of training
    >>> clock.wait(); clock.begin_step(); clock.end_step()  # 5 s of evaluation, then 1 s of waiting, 3 s of training
    >>> clock.take()
    0.5
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waiting = self._training = 0.0
        self._since = 0.0
        self.is_in_step = False

    def wait(self) -> None:
        """Starts waiting, unless a step is in progress."""
        if not self.is_in_step:
            self._since = self._now()

    def begin_step(self) -> None:
        """Ends waiting, and begins a step."""
        before, self._since, self.is_in_step = self._since, self._now(), True
        self._waiting += self._since - before

    def end_step(self) -> None:
        """Ends a step, and starts waiting."""
        before, self._since, self.is_in_step = self._since, self._now(), False
        self._training += self._since - before

    def take(self) -> float:
        """The fraction of waiting since the last call, in [0, 1]."""
        waiting, training = self._waiting, self._training
        self._waiting = self._training = 0.0
        return waiting / (waiting + training) if waiting + training else 0.0
