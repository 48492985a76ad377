"""The rows of a `datasets.Dataset` at the speed of Arrow, for any `DataLoader` and `Trainer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset

if TYPE_CHECKING:
    import datasets


class ArrowRows(Dataset[dict[str, Any]]):
    """Reads the rows of a `datasets.Dataset` several times faster than the dataset itself does.

    A batch of rows is read from Arrow's memory at once, and its lists of numbers become views of one numpy array per
    column. A `datasets.Dataset` makes a Python object for each token, or with `with_format("numpy")` an array for each
    value. The values, and therefore the masks, are the same.

    Pass it to `Trainer` or a `DataLoader` in place of the dataset, which may be in memory or on disk, sliced, shuffled,
    selected or concatenated. It reads only the columns of the dataset's format, and ignores the type of the format. A
    stream (`datasets.IterableDataset`) cannot be read by index: pass it to `Trainer` directly.

    Args:
        dataset: the dataset.

    Raises:
        ValueError: if `dataset` is not a `datasets.Dataset`, or has a transform, which would be ignored.

    >>> from datasets import Dataset
    >>> rows = ArrowRows(Dataset.from_dict({"input_ids": [[2, 5, 3], [2, 7, 8, 3]]}))
    >>> len(rows), rows[1]["input_ids"].tolist()
    (2, [2, 7, 8, 3])
    """

    def __init__(self, dataset: datasets.Dataset) -> None:
        kind = f"{type(dataset).__module__.split('.')[0]}.{type(dataset).__name__}"
        if not hasattr(dataset, "with_format") or not hasattr(dataset, "__getitems__"):
            raise ValueError(f"`dataset` must be a `datasets.Dataset`, but got a `{kind}`. Pass {_remedy(dataset)}.")
        if dataset.format["type"] == "custom":
            raise ValueError(
                "`dataset` must have no transform, which would be ignored, but has one. Apply it once with "
                "`dataset.map(...)`, or remove it with `dataset.reset_format()`."
            )
        self.dataset = dataset.with_format("arrow", columns=dataset.format["columns"])

    @property
    def column_names(self) -> list[str]:
        """The names of the columns that are read."""
        return list(self.dataset.format["columns"])

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The row at an index, which may be negative."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """The rows at these indices. A `DataLoader` reads its batches with this method."""
        from hf_dynmask.batching.arrow import table_rows  # here, as pyarrow is installed only with `datasets`

        if min(indices, default=0) < 0:  # for which `datasets` fails after `shuffle` or `select`
            indices = [range(len(self))[index] for index in indices]
        columns = table_rows(self.dataset[list(indices)])
        return [dict(zip(columns, row)) for row in zip(*columns.values())]  # noqa: B905  # faster without a check


def _remedy(dataset: Any) -> str:
    if isinstance(dataset, dict):
        return 'one split, such as `dataset["train"]`'
    if isinstance(dataset, ArrowRows):
        return "its `dataset`"
    if hasattr(dataset, "iter"):
        return "a stream to `Trainer` or `DataLoader` directly"
    return "`datasets.Dataset.from_list(examples)`, for example"
