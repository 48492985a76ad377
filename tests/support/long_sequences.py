"""Sequences so long that the masked fraction of a batch tells its rate, and a model that notes what it is given."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset, IterableDataset
from transformers import TrainingArguments

EXAMPLES, LENGTH, BATCH = 20, 400, 2


class Numbers(Dataset):
    """Long sequences, so that a batch's masked fraction tells its rate; each begins with its own id."""

    def __len__(self) -> int:
        return EXAMPLES

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return {"input_ids": [5 + (index + i) % 40 for i in range(LENGTH)]}


class Stream(IterableDataset):
    def __iter__(self):
        return (Numbers()[index] for index in range(EXAMPLES))


class Witness(nn.Module):
    """A model that notes what it sees: (training, rate, first tokens, masked places) a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[bool, float, tuple[int, ...], tuple[tuple[bool, ...], ...]]] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor) -> dict:
        masked = labels != -100
        ids = torch.where(masked, labels, input_ids)
        rate = masked.float().mean().item()
        self.seen.append((self.training, rate, tuple(ids[:, 0].tolist()), tuple(map(tuple, masked.tolist()))))
        return {"loss": self.weight**2 + 1.0, "logits": ids[:, :1].float()}

    def training_rates(self) -> list[float]:
        return [rate for training, rate, _, _ in self.seen if training]

    def evaluations(self) -> list[tuple]:
        return [(rate, masks) for training, rate, _, masks in self.seen if not training]


def masks_by_epoch(model: Witness, batches: int = EXAMPLES // BATCH) -> list[dict]:
    """For each epoch, what is masked in each example (by its first token)."""
    epochs: list[dict] = defaultdict(dict)
    training = [entry for entry in model.seen if entry[0]]
    for number, (_, _, ids, masks) in enumerate(training):
        epochs[number // batches].update(zip(ids, masks, strict=True))
    return [epochs[number] for number in sorted(epochs)]


def quiet_arguments(directory: Path, **arguments: Any) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(directory),
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        logging_strategy="no",
        dataloader_pin_memory=False,
        per_device_train_batch_size=2,
        **arguments,
    )
