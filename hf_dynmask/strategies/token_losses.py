"""The loss function that records how badly the model predicts each token id, so that masks can follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from hf_dynmask.core.checks import checked_fraction, checked_positive
from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.core.shared_memory import SharedArray
from hf_dynmask.strategies.loss_statistics import (
    add_epoch,
    add_losses,
    add_ranks,
    decode,
    encode,
    reduction_device,
    smoothed_means,
    zero_totals,
)
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.units import Units
from hf_dynmask.strategies.weights import mean_token_weights

_NO_LOSS_RECORDED = (
    '`strategy="adaptive"` follows the losses of the model, but no loss was recorded. Pass '
    "`compute_loss_func=collator.losses.compute_loss` to `Trainer`, or call `compute_loss` in a custom training loop."
)


class TokenLosses:
    """A running mean of the masked language modeling loss of each token id, which determines masking probabilities.

    `weight(id) = max((sum(id) + smoothing * mean) / (count(id) + smoothing), floor * mean)`. `sum` and `count` are over
    all losses of `id` so far, where each epoch multiplies earlier losses by `decay`. `mean` is the mean loss of all
    ids. The losses of an epoch take effect in the next epoch. Weights are constant within an epoch, so masks are a pure
    function of the state that a checkpoint holds.

    Yang, Zhang and Zhao 2023 ("Learning better masking for better language model pre-training") weight parts of speech
    by a running loss. Here, each token id has its own weight.

    Args:
        decay: in [0, 1]; 0 forgets all epochs except the last one.
        smoothing: the number of losses at the mean that are added to those of each id; positive.
        floor: the least weight, as a fraction of the mean, in [0, 1], so that tokens that the model predicts well are
            still masked now and then.

    Raises:
        ValueError: if an argument is out of its range.

    >>> losses = TokenLosses()
    >>> guessed, known = [0.0, 0.0], [9.0, 0.0]
    >>> with torch.no_grad():  # evaluation records no losses
    ...     loss = losses.compute_loss({"logits": torch.tensor([[guessed, known]])}, torch.tensor([[1, 0]]))
    >>> round(loss.item(), 4)  # slightly more than half of ln(2)
    0.3466
    """

    def __init__(self, decay: float = 0.5, smoothing: float = 5.0, floor: float = 0.1) -> None:
        self.decay = checked_fraction(decay, "decay", "Pass 0.5.")
        self.floor = checked_fraction(floor, "floor", "Pass 0.1.")
        self.smoothing = checked_positive(smoothing, "smoothing")
        self.label_observer: Callable[[torch.Tensor], None] | None = None  # called with the labels of each batch
        self._table: SharedArray | None = None  # float64 [ids]; made before workers are
        self.reset()

    def reset(self) -> None:
        """Forgets all losses."""
        self._epoch: int | None = None
        self._history = np.zeros((2, self._size))  # float64: sums and counts of losses
        self._epoch_totals: torch.Tensor | None = None  # int64 [2, ids]: this epoch's, of all ranks
        self._step_totals: torch.Tensor | None = None  # int64 [2, ids]: this rank's since `synchronize`
        self._is_silent = True  # whether no rank recorded a loss before the last `synchronize`
        self._write_weights()

    def weights(self, tokens: MaskingTokens, units: Units) -> np.ndarray:
        """The weight of each unit, float64 `[units]`: the mean over its tokens."""
        return mean_token_weights(tokens, units, self._token_weights(tokens.vocabulary.size))

    def compute_loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        """The mean cross entropy, for `compute_loss_func` of `Trainer`. Records all losses while gradients are enabled.

        Args:
            outputs: the outputs of the model, with `logits`, float `[batch, length, ids]`.
            labels: int64 `[batch, length]`, -100 where there is no loss.
            num_items_in_batch: the number that the sum of losses is divided by; None for the number of labels.

        Returns:
            A scalar.

        Raises:
            RuntimeError: if gradients are enabled but no collator follows these losses.
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
        """Adds the losses of all ranks. `MaskRateCallback` calls it on every rank after each optimizer step.

        A rank that recorded no loss in a step takes part as well, because the other ranks wait for it.
        """
        if self._table is None:
            return
        recorded = self._step_totals
        step_totals = zero_totals(self._size, reduction_device()) if recorded is None else recorded
        add_ranks(step_totals)
        self._is_silent = recorded is None and not step_totals[1].any()
        earlier = self._epoch_totals
        self._epoch_totals = step_totals if earlier is None else earlier.to(step_totals.device) + step_totals
        self._step_totals = None

    def check_recorded(self) -> None:
        """Checks that some rank recorded a loss before [`synchronize`]. `MaskRateCallback` calls it on every rank.

        Raises:
            RuntimeError: if no rank did.
        """
        if self._is_silent:
            raise RuntimeError(_NO_LOSS_RECORDED)

    def start_epoch(self, epoch: int) -> None:
        """Starts an epoch, whose weights follow from the losses of the epochs before it.

        Raises:
            RuntimeError: if the epoch before recorded no loss.
        """
        if self._epoch not in (None, epoch):
            self.synchronize()
            self._close_epoch()
        self._epoch = epoch

    def state_dict(self) -> dict[str, Any]:
        """The epoch and all losses, in types that JSON can hold."""
        totals = zero_totals(self._history.shape[1], "cpu") if self._epoch_totals is None else self._epoch_totals
        return {
            "epoch": self._epoch,
            "history": encode(self._history, "<f8"),
            "of_epoch": encode(totals.cpu().numpy(), "<i8"),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the result of [`state_dict`].

        Raises:
            ValueError: if it belongs to another vocabulary.
        """
        history, totals = decode(state["history"], "<f8"), decode(state["of_epoch"], "<i8")
        if self._table is not None:
            _check_size(history, self._size)
        self.reset()
        self._epoch = state["epoch"]
        if history.size:
            self._history, self._epoch_totals = history, torch.from_numpy(totals)
        self._write_weights()

    def __getstate__(self) -> dict[str, Any]:
        """Moves tensors to the CPU, because a spawned worker process may have no access to their device."""
        state = {**self.__dict__, "label_observer": None}
        for name in ("_epoch_totals", "_step_totals"):
            state[name] = None if state[name] is None else state[name].cpu()
        return state

    def _token_weights(self, size: int) -> np.ndarray:
        """The weight of each of `size` ids: float64 `[ids]`."""
        if self._table is None:
            _check_size(self._history, size)
            self._table = SharedArray(np.ones(size))
            if self._history.size:  # restored before there was a collator
                self._write_weights()
            else:
                self.reset()
        return self._table.values

    @property
    def _size(self) -> int:
        """The number of ids; 0 until a collator uses these losses."""
        return 0 if self._table is None else len(self._table.values)

    def _record(self, labels: torch.Tensor, losses: torch.Tensor) -> None:
        if self._table is None or self._epoch is None:
            raise RuntimeError(
                "`compute_loss` records losses, but no collator follows them. Pass "
                "`strategy=strategies.adaptive(losses)` to a collator, and pass `callbacks=[MaskRateCallback()]` to "
                "`Trainer`, or call `collator.start_epoch` in a custom training loop."
            )
        if self._step_totals is None:
            self._step_totals = zero_totals(self._size, labels.device)
        add_losses(self._step_totals, labels, losses)

    def _close_epoch(self) -> None:
        if self._epoch_totals is None or (self._is_silent and not self._epoch_totals.any()):
            raise RuntimeError(_NO_LOSS_RECORDED)
        self._history = add_epoch(self._history, self._epoch_totals, self.decay)
        self._epoch_totals = None
        self._write_weights()

    def _write_weights(self) -> None:
        """Writes the weights to the memory that workers read."""
        if self._table is not None:
            self._table.values[:] = smoothed_means(self._history, self.smoothing, self.floor)


def _check_size(history: np.ndarray, size: int) -> None:
    if history.shape[1] not in (0, size):
        raise ValueError(
            f"`state` must hold losses of this vocabulary of {size} ids, but got losses of {history.shape[1]} ids. "
            "Resume with the tokenizer of the checkpoint."
        )
