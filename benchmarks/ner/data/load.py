"""Loads a NER dataset as train, validation and test splits of `words` and IOB2 `tags`."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import datasets
from datasets import Dataset, DatasetDict

from benchmarks.ner.data.file_format import DEFAULT, FileFormat, check_all_files
from benchmarks.ner.data.hub_or_path import check_hub_or_path
from benchmarks.ner.data.readers import from_columns, read_file
from benchmarks.ner.data.synthetic import embedded_corpus

EMBEDDED = "embedded"
VALIDATION_NAMES = ("validation", "dev", "valid")


def load_ner(
    dataset: str = EMBEDDED,
    train_file: str | Path | None = None,
    validation_file: str | Path | None = None,
    test_file: str | Path | None = None,
    form: FileFormat = DEFAULT,
) -> DatasetDict:
    """Returns the splits `train`, `validation` and `test` with the columns `words` and `tags`, both `list[str]`.

    Files take precedence over `dataset`, which is "embedded", a dataset on the Hub, or a local folder.
    `form` is the format of the files, or of the dataset.
    Raises `ValueError` if only some files are given, if a split or a column is missing, or if tags are not IOB2.
    """
    files = {"train": train_file, "validation": validation_file, "test": test_file}
    if any(file is not None for file in files.values()):
        return _load_files(files, form)
    return embedded_corpus() if dataset == EMBEDDED else _load_hub(dataset, form)


def tag_names(dataset: DatasetDict) -> list[str]:
    """Returns O, then B- and I- of every entity type in any split, so that a model can predict any valid IOB2."""
    tags = {tag for split in dataset.values() for row in split["tags"] for tag in row}
    types = {tag[2:] for tag in tags - {"O"}}
    return ["O", *sorted(f"{prefix}-{name}" for prefix in "BI" for name in types)]


def entity_count(sentences: Iterable[Sequence[str]]) -> int:
    """Counts the entities in IOB2 sentences: exactly the entities begin with a B- tag."""
    return sum(tag.startswith("B-") for tags in sentences for tag in tags)


def fingerprint(dataset: DatasetDict) -> str:
    """Returns the SHA-256, in hex, of the words and tags of all splits; the same on every platform."""
    digest = hashlib.sha256()
    for name in sorted(dataset):
        for row in dataset[name]:
            digest.update(json.dumps([name, row["words"], row["tags"]]).encode() + b"\n")
    return digest.hexdigest()


def _load_files(files: dict[str, str | Path | None], form: FileFormat) -> DatasetDict:
    check_all_files(*files.values())
    return DatasetDict({name: read_file(file, form) for name, file in files.items() if file is not None})


def _load_hub(name: str, form: FileFormat) -> DatasetDict:
    check_hub_or_path("dataset", name, EMBEDDED)
    loaded = datasets.load_dataset(name)
    splits = {
        "train": _one_split(loaded, ("train",), name),
        "validation": _one_split(loaded, VALIDATION_NAMES, name),
        "test": _one_split(loaded, ("test",), name),
    }
    return DatasetDict({split: from_columns(found, f"{name}/{split}", form) for split, found in splits.items()})


def _one_split(loaded: DatasetDict, names: tuple[str, ...], dataset: str) -> Dataset:
    present = [name for name in names if name in loaded]
    if len(present) != 1:
        rule = f"dataset must have exactly one split named {' or '.join(names)}"
        raise ValueError(f"{rule}; {dataset!r} has {list(loaded)}; rename its splits or pass files")
    return loaded[present[0]]
