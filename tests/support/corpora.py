"""Numbered examples, map-style and streamed. Workers import this module: it brings in as little as it can."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import Dataset, IterableDataset, get_worker_info


def example(index: int) -> dict[str, list[int]]:
    """The example of this number, which is that of its first token; 12 to 28 tokens."""
    return {"input_ids": [5 + index, *(5 + (7 * index + 3 * i) % 40 for i in range(11 + 5 * index % 17))]}


class Numbered(Dataset):
    def __init__(self, examples: int) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return example(range(self.examples)[index])  # beyond the end, an IndexError: it ends iteration


class Stream(IterableDataset):
    """The same in order. Each worker has a share; `shares` are their sizes, or None for equal ones."""

    def __init__(self, examples: int, shares: tuple[int, ...] | None = None) -> None:
        self.examples, self.shares = examples, shares

    def __iter__(self) -> Iterator[dict[str, list[int]]]:
        worker = get_worker_info()
        if worker is None:
            return map(example, range(self.examples))
        size = self.examples // worker.num_workers
        shares = self.shares or (size,) * worker.num_workers
        begin = sum(shares[: worker.id])
        return map(example, range(begin, begin + shares[worker.id]))
