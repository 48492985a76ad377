"""How badly the model predicts each token, so that masks can go where there is something left to learn.

Losses are summed in fixed point: integers add up to the same in any order, so the weights that come of them are equal
to the bit for any number of ranks, and on a GPU too.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from hf_dynmask.core.checks import checked_fraction, checked_positive
from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.core.shared_memory import SharedArray
from hf_dynmask.strategies.partitions import MaskingTokens, Units
from hf_dynmask.strategies.weights import mean_token_weights

_FIXED_POINT = float(1 << 20)
_NO_LOSS_RECORDED = (
    'no loss was noted, and `strategy="adaptive"` follows the losses. Pass '
    "`compute_loss_func=collator.losses.compute_loss` to `Trainer`, or call it in your own loop."
)


class TokenLosses:
    """A running mean of the masked language modeling loss of each token id, which adaptive masks follow.

    `weight(id) = max((sum(id) + smoothing * mean) / (count(id) + smoothing), floor * mean)`, where `sum` and `count`
    are over all losses of `id` so far, those of an epoch counting `decay` times as much as those of the next, and
    `mean` is the mean loss of all ids. What an epoch's losses tell is used from the next epoch on: within an epoch the
    weights do not change, so masks stay a pure function of what a checkpoint holds.

    Yang, Zhang and Zhao 2023 ("Learning better masking for better language model pre-training") weigh parts of speech
    by a running loss; here each token has its own.

    Args:
        decay: in [0, 1]; 0 forgets all but the last epoch.
        smoothing: how many losses at the mean each id is given to begin with; positive.
        floor: the least weight, as a fraction of the mean, in [0, 1]: what is predicted well is still masked at times.

    Raises:
        ValueError: if an argument is out of its range.

    >>> losses = TokenLosses()
    >>> guessed, known = [0.0, 0.0], [9.0, 0.0]
    >>> with torch.no_grad():  # in evaluation, nothing is noted
    ...     loss = losses.compute_loss({"logits": torch.tensor([[guessed, known]])}, torch.tensor([[1, 0]]))
    >>> round(loss.item(), 4)  # half of ln(2), and a little
    0.3466
    """

    def __init__(self, decay: float = 0.5, smoothing: float = 5.0, floor: float = 0.1) -> None:
        self.decay, self.floor = checked_fraction(decay, "decay"), checked_fraction(floor, "floor")
        self.smoothing = checked_positive(smoothing, "smoothing")
        self.label_observer: Callable[[torch.Tensor], None] | None = None  # is given the labels that are trained on
        self._table: SharedArray | None = None  # float64 [ids]; shared with workers, and made before they are
        self.reset()

    def reset(self) -> None:
        """Forgets all losses."""
        self._epoch: int | None = None
        self._history = np.zeros(
            (2, 0 if self._table is None else len(self._table.values))
        )  # sums and counts of losses
        self._epoch_totals: torch.Tensor | None = None  # int64 [2, ids]: the same in fixed point, of all ranks
        self._step_totals: torch.Tensor | None = None  # ... and of this rank since `synchronize`
        self._is_silent = True  # whether no rank has noted a loss for the last `synchronize`
        self._publish()

    def weights(self, tokens: MaskingTokens, units: Units) -> np.ndarray:
        """The weights of units, float64 `[units]`: the mean of their tokens'."""
        return mean_token_weights(tokens, units, self._weights_of(tokens.vocabulary.size))

    def compute_loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        """The mean cross entropy, as `Trainer` takes it for `compute_loss_func`; notes each token's while training.

        Args:
            outputs: what the model returned: `logits`, float `[batch, length, ids]`.
            labels: int64 `[batch, length]`, -100 where there is no loss.
            num_items_in_batch: the labels that the sum of losses is divided by; None for those at hand.
        """
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        losses = cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), reduction="none")
        if torch.is_grad_enabled():
            if self.label_observer is not None:
                self.label_observer(labels)
            self._record(labels.flatten(), losses.detach())
        if num_items_in_batch is None:
            num_items_in_batch = (labels != IGNORE_INDEX).sum().clamp(min=1)
        return losses.sum() / num_items_in_batch

    def synchronize(self) -> None:
        """Adds up what all ranks have noted. Called by all of them after each optimizer step, by the callback.

        A rank without a label in a step has noted nothing, and takes part all the same: the others wait for it.
        """
        if self._table is None:
            return
        noted = self._step_totals
        of_step = self._zeros(_reduction_device()) if noted is None else noted
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(of_step)
        self._is_silent = noted is None and not of_step[1].any()
        known = torch.zeros_like(of_step) if self._epoch_totals is None else self._epoch_totals.to(of_step.device)
        self._epoch_totals, self._step_totals = known + of_step, None

    def check_recorded(self) -> None:
        """Called by all ranks after [`synchronize`].

        Raises:
            RuntimeError: if neither this rank nor another has noted a loss for it.
        """
        if self._is_silent:
            raise RuntimeError(_NO_LOSS_RECORDED)

    def start_epoch(self, epoch: int) -> None:
        """Makes what the epoch before told count from now on.

        Raises:
            RuntimeError: if no loss was noted.
        """
        if self._epoch not in (None, epoch):
            self.synchronize()
            self._fold()
        self._epoch = epoch

    def state_dict(self) -> dict[str, Any]:
        """All there is to know, as JSON carries it."""
        of_epoch = (
            np.zeros(self._history.shape, np.int64) if self._epoch_totals is None else self._epoch_totals.cpu().numpy()
        )
        return {"epoch": self._epoch, "history": _encoded(self._history, "<f8"), "of_epoch": _encoded(of_epoch, "<i8")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up what [`state_dict`] gave.

        Raises:
            ValueError: if it is of another vocabulary.
        """
        history, of_epoch = _decoded(state["history"], "<f8"), _decoded(state["of_epoch"], "<i8")
        if self._table is not None:
            _check_size(history, len(self._table.values))
        self.reset()
        self._epoch = state["epoch"]
        if history.size:
            self._history, self._epoch_totals = history, torch.from_numpy(of_epoch)
        self._publish()

    def __getstate__(self) -> dict[str, Any]:
        """What is on a device comes to the CPU: a worker process that is spawned need not have the device."""
        state = {**self.__dict__, "label_observer": None}
        for name in ("_epoch_totals", "_step_totals"):
            state[name] = None if state[name] is None else state[name].cpu()
        return state

    def _weights_of(self, size: int) -> np.ndarray:
        """float64 `[ids]`."""
        if self._table is None:
            _check_size(self._history, size)
            self._table = SharedArray(np.ones(size))
            if self._history.size:  # restored before there was a collator
                self._publish()
            else:
                self.reset()
        return self._table.values

    def _zeros(self, device: torch.device | str) -> torch.Tensor:
        """Sums and counts of losses, in fixed point, int64 `[2, ids]`."""
        return torch.zeros((2, 0 if self._table is None else len(self._table.values)), dtype=torch.int64, device=device)

    def _record(self, labels: torch.Tensor, losses: torch.Tensor) -> None:
        if self._table is None or self._epoch is None:
            raise RuntimeError(
                "losses are noted, but no collator follows them. Make a collator with the strategy of these losses, "
                "and pass `callbacks=[MaskRateCallback()]` to `Trainer`, or call `collator.start_epoch` in your loop."
            )
        if self._step_totals is None:
            self._step_totals = self._zeros(labels.device)
        count_per_row = (labels != IGNORE_INDEX) & losses.isfinite()
        fixed = torch.where(count_per_row, losses * _FIXED_POINT, 0.0).round().long()
        self._step_totals.index_add_(1, labels.clamp(min=0), torch.stack([fixed, count_per_row.long()]))

    def _fold(self) -> None:
        if self._epoch_totals is None or (self._is_silent and not self._epoch_totals.any()):
            raise RuntimeError(_NO_LOSS_RECORDED)
        sums, counts = self._epoch_totals.cpu().numpy()
        self._history = self.decay * self._history + np.stack([sums / _FIXED_POINT, counts])
        self._epoch_totals = None
        self._publish()

    def _publish(self) -> None:
        """Writes the weights to where workers read them."""
        if self._table is None:
            return
        (sums, counts), weights = self._history, np.ones(len(self._table.values))
        if counts.any():
            mean = sums.sum() / counts.sum()
            weights = (sums + self.smoothing * mean) / (counts + self.smoothing)
            weights = np.maximum(weights, self.floor * mean)
        self._table.values[:] = weights


def _reduction_device() -> str:
    """Where ranks can add up what this one has nothing of."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return "cuda" if distributed and torch.distributed.get_backend() == "nccl" else "cpu"


def _encoded(values: np.ndarray, dtype: str) -> str:
    return base64.b64encode(zlib.compress(values.astype(dtype).tobytes())).decode()


def _decoded(text: str, dtype: str) -> np.ndarray:
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=dtype)
    return values.astype(dtype[1:]).reshape(2, -1)


def _check_size(history: np.ndarray, size: int) -> None:
    if history.shape[1] not in (0, size):
        raise ValueError(
            f"the losses in the checkpoint must be of this vocabulary of {size} ids, but are of {history.shape[1]}. "
            "Resume with the tokenizer of the checkpoint."
        )
