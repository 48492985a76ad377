"""A `Trainer` that measures its speed and counts its tokens, through public hooks."""

from typing import Any

import torch
from transformers import Trainer
from transformers.trainer_callback import PrinterCallback

from benchmarks.ner.training.speed import StepTimer
from benchmarks.ner.training.token_counts import Count, TokenCounter


class TimedTrainer(Trainer):
    """A `Trainer` that tells a [`StepTimer`] among its callbacks how long it waits for data, and adds to what it logs
    of training: `train_seconds` without evaluation, and what [`TokenCounter`] tells.

    accelerate reads one batch ahead of the one it hands out, so the time is that of making the next batch.

    Args:
        count: counts a batch, see `token_counts.py`.
    """

    def __init__(self, *args: Any, count: Count, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)
        self.timer = next((cb for cb in self.callback_handler.callbacks if isinstance(cb, StepTimer)), StepTimer())
        self.count, self.observed = count, TokenCounter()

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        begin = self.timer.clock()
        fetched = super().get_batch_samples(*args, **kwargs)
        seconds = self.timer.clock() - begin
        # The counts stay on the device: asking for them would have the step wait for the device to be idle.
        counts = [self.count(batch) for batch in fetched[0]]
        self.timer.fetched(seconds, sum((each[0] for each in counts), 0))
        for each in counts:
            self.observed.add(each)
        return fetched

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:  # of training; all ranks are here
            logs |= {"train_seconds": self.timer.seconds, **self.observed.logs(self._sum_over_ranks)}
        super().log(logs, *args, **kwargs)

    def _sum_over_ranks(self, counts: torch.Tensor) -> torch.Tensor:
        return self.accelerator.reduce(counts, reduction="sum")
