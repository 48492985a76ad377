"""Measures the speed of a training, step by step.

The time of a step begins at the end of the previous step, so it includes everything in between: waiting for data,
forward and backward passes, the optimizer, and waiting for other ranks. It excludes only evaluation.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from transformers import TrainerCallback

Clock = Callable[[], float]
Step = tuple[float, float, int | torch.Tensor]  # seconds, seconds of waiting for data, tokens


class StepTimer(TrainerCallback):
    """Records when steps end, how long each waits for data, and its tokens on this rank.

    Args:
        warmup_steps: the number of first steps that are not timed; at most a tenth of the training.
        clock: returns seconds.
    """

    def __init__(self, warmup_steps: int = 10, clock: Clock = time.perf_counter) -> None:
        self.warmup_steps, self.clock = warmup_steps, clock
        self.steps: list[Step] = []
        self.seconds = 0.0  # of all steps, including those that are not timed individually
        self._waited = 0.0
        self._tokens: int | torch.Tensor = 0
        self._last_end: float | None = None
        self._since = clock()

    def fetched(self, seconds: float, tokens: int | torch.Tensor) -> None:
        """Records that the batches of a step were fetched; [`TimedTrainer`] calls it."""
        self._waited, self._tokens = self._waited + seconds, self._tokens + tokens

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._since = self.clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        end = self.clock()
        self.seconds, self._since = self.seconds + end - self._since, end
        if self._last_end is not None and state.global_step > min(self.warmup_steps, state.max_steps // 10):
            self.steps.append((end - self._last_end, self._waited, self._tokens))
        self._last_end, self._waited, self._tokens = end, 0.0, 0

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._last_end = None  # the step that contains an evaluation is not timed
        self._since = self.clock()

    on_save = on_evaluate


def speed_summary(
    steps: Sequence[tuple[float, float, int | torch.Tensor]], collate_seconds: float | None
) -> dict[str, Any] | None:
    """Summarizes the speed over all ranks; a collective call.

    Args:
        steps: the `steps` of the [`StepTimer`] of this rank.
        collate_seconds: see [`collate_time`].

    Returns:
        `tokens_per_second` summed over ranks, `step_time_median` and `step_time_p95` in seconds, `data_wait_share` of
        the step time, `collate_time_median` in seconds, `steps_timed`; or None if no step was timed.
    """
    ranks = [rank for rank in gather_object([[(*times, int(tokens)) for *times, tokens in steps]]) if rank]
    if not ranks:
        return None
    seconds = [sum(step[0] for step in rank) for rank in ranks]
    of_steps = [step[0] for rank in ranks for step in rank]
    return {
        "tokens_per_second": sum(step[2] for rank in ranks for step in rank) / max(seconds),
        "step_time_median": statistics.median(of_steps),
        "step_time_p95": float(np.quantile(of_steps, 0.95)),
        "data_wait_share": sum(step[1] for rank in ranks for step in rank) / sum(seconds),
        "collate_time_median": collate_seconds,
        "steps_timed": len(ranks[0]),
    }


def collate_time(
    collator: Callable[[list[Any]], Any],
    dataset: Any,
    batch_size: int,
    batches: int = 20,
    clock: Clock = time.perf_counter,
) -> float | None:
    """Returns the median seconds that a collator takes for a batch of a dataset, in this process."""
    seconds = []
    for start in range(0, min(len(dataset), batches * batch_size), batch_size):
        examples = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
        begin = clock()
        collator(examples)
        seconds.append(clock() - begin)
    return statistics.median(seconds) if seconds else None
