"""A `Trainer` that measures its speed and counts its tokens, with public hooks."""

from typing import Any

import torch
from transformers import Trainer
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_pt_utils import LengthGroupedSampler

from benchmarks.ner.training.speed import StepTimer
from benchmarks.ner.training.token_counts import Count, TokenCounter


class TimedTrainer(Trainer):
    """A `Trainer` that reports the time of waiting for data to a [`StepTimer`] among its callbacks.

    It adds to its training logs `train_seconds`, without evaluation, and the logs of a [`TokenCounter`]. accelerate
    prefetches one batch, so the waiting time is that of the next batch.

    Args:
        count: counts the tokens of a batch, see `token_counts.py`.
        evaluation_collator: the collator of evaluations; None to use that of training.
    """

    def __init__(self, *args: Any, count: Count, evaluation_collator: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.evaluation_collator = evaluation_collator
        self.remove_callback(PrinterCallback)
        self.timer = next((cb for cb in self.callback_handler.callbacks if isinstance(cb, StepTimer)), StepTimer())
        self.count, self.observed = count, TokenCounter()

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        begin = self.timer.clock()
        fetched = super().get_batch_samples(*args, **kwargs)
        seconds = self.timer.clock() - begin
        # The counts stay on the device: reading them would make the step wait for the device.
        counts = [self.count(batch) for batch in fetched[0]]
        self.timer.fetched(seconds, sum((each[0] for each in counts), 0))
        for each in counts:
            self.observed.add(each)
        return fetched

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the sampler of Trainer; batches by length have a generator of their own.

        They would follow the global one, which dropout advances differently on each rank, so that ranks would disagree
        on the order of an epoch.
        """
        sampler = super()._get_train_sampler(*args, **kwargs)
        if isinstance(sampler, LengthGroupedSampler):
            sampler.generator = torch.Generator().manual_seed(self.args.data_seed or 0)
        return sampler

    def get_eval_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        of_training = self.data_collator
        self.data_collator = self.evaluation_collator or of_training
        try:
            return super().get_eval_dataloader(*args, **kwargs)
        finally:
            self.data_collator = of_training

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:  # a training log, on all ranks
            logs |= {"train_seconds": self.timer.seconds, **self.observed.logs(self._sum_over_ranks)}
        super().log(logs, *args, **kwargs)

    def _sum_over_ranks(self, counts: torch.Tensor) -> torch.Tensor:
        return self.accelerator.reduce(counts, reduction="sum")
