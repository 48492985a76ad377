"""What a model receives in training, and the statistics of that: an oracle for those in the logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import Trainer

SPECIAL = 5  # the number of special tokens of the WordPiece tokenizer of the tests, which have the first ids
Batch = dict[str, torch.Tensor]


class AnyBatch(nn.Module):
    """A model that takes the batches of every collator and layout; its loss depends on none."""

    def __init__(self, loss: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.loss = loss

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: Any = None,
        labels: Any = None,
        position_ids: Any = None,
        seq_idx: Any = None,
    ) -> dict:
        return {"loss": self.weight**2 + self.loss, "logits": input_ids[:, :1].float()}


class Recount:
    """Keeps each training batch that the model of a `Trainer` receives, with the steps done before: `batches`."""

    def __init__(self, trainer: Trainer) -> None:
        self.batches: list[tuple[int, Batch]] = []

        def keep(model: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
            if model.training:
                self.batches.append((trainer.state.global_step, {name: kwargs[name].clone() for name in kwargs}))

        trainer.model.register_forward_pre_hook(keep, with_kwargs=True)

    def between(self, first: int, last: int) -> list[Batch]:
        """The batches of the steps from `first`, from 0, until before `last`."""
        return [batch for step, batch in self.batches if first <= step < last]


def statistics(recounts: Sequence[Recount], steps: Sequence[int], first: int = 0) -> list[dict[str, float]]:
    """For logs after these steps, what they are to contain: of the batches since the log before, over all ranks.

    Args:
        recounts: of each rank.
        steps: the steps of the logs.
        first: the step in which the training began.
    """
    spans = zip([first, *steps], steps, strict=False)
    return [_statistics([b for each in recounts for b in each.between(*span)], *span) for span in spans]


def totals(batches: Sequence[Batch]) -> tuple[int, int, int, int]:
    """The number of labels, of maskable tokens, of padding tokens, and of all tokens."""
    labels = maskable = padding = tokens = 0
    for batch in batches:
        is_padding = _padding(batch)
        original = torch.where(batch["labels"] == -100, batch["input_ids"], batch["labels"])
        labels += int((batch["labels"] != -100).sum())
        maskable += int(((original >= SPECIAL) & ~is_padding).sum())
        padding += int(is_padding.sum())
        tokens += is_padding.numel()
    return labels, maskable, padding, tokens


def _statistics(batches: Sequence[Batch], first: int, last: int) -> dict[str, float]:
    labels, maskable, padding, tokens = totals(batches)
    return {
        "step": last,
        "masked_fraction": labels / maskable,
        "num_labels": labels / (last - first),
        "padding_fraction": padding / tokens,
    }


def _padding(batch: Batch) -> torch.Tensor:
    if "seq_idx" in batch:
        return batch["seq_idx"] == -1
    if "attention_mask" in batch:
        return batch["attention_mask"] == 0
    return torch.zeros_like(batch["input_ids"], dtype=torch.bool)
