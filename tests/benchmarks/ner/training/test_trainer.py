from __future__ import annotations

import torch
from datasets import Dataset
from torch import nn
from transformers import TrainingArguments

from benchmarks.ner.training.trainer import TimedTrainer
from benchmarks.ner.training.trainer_arguments import BY_LENGTH, GROUPED


def _epochs(folder, seed: int, global_seed: int) -> list[list[int]]:
    """The order of examples in three epochs, between which the global generator is used."""
    rows = Dataset.from_dict({"input_ids": [[0] * (1 + n % 7) for n in range(64)]})
    arguments = TrainingArguments(str(folder), data_seed=seed, use_cpu=True, report_to=[], **{BY_LENGTH: GROUPED})
    sampler = TimedTrainer(nn.Linear(1, 1), arguments, train_dataset=rows, count=len)._get_train_sampler()
    torch.manual_seed(global_seed)
    orders = []
    for _ in range(3):
        orders.append(list(sampler))
        torch.rand(global_seed)
    return orders


def test_batches_by_length_are_the_same_on_ranks_whose_dropout_differs(tmp_path) -> None:
    first = _epochs(tmp_path, seed=0, global_seed=1)
    assert first == _epochs(tmp_path, seed=0, global_seed=7)
    assert first != _epochs(tmp_path, seed=1, global_seed=1)
    assert all(sorted(order) == list(range(64)) for order in first)
    assert len({str(order) for order in first}) == 3
