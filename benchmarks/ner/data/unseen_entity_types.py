"""Entity types that no model can learn, since the training split has none: rare ones, or ones it spells otherwise."""

from collections.abc import Iterable

from datasets import Dataset, DatasetDict

SHOWN = 10  # types of a split


def unseen_types(name: str, data: DatasetDict) -> str | None:
    """A warning of a dataset's entity types that are not in its training split; None where all are."""
    known = _types(data["train"])
    unseen = {split: types for split in ("validation", "test") if (types := _types(data[split]) - known)}
    if not unseen:
        return None
    missed = " and ".join(f"{split} ({_listed(types)})" for split, types in unseen.items())
    return (
        f"{name} has entity types in {missed} that its training split has not ({_listed(known) or 'none'}), so no "
        "model learns them. Where these are the same types in another spelling, rename them."
    )


def _types(split: Dataset) -> set[str]:
    return {tag[2:] for tags in split["tags"] for tag in tags if tag != "O"}


def _listed(types: Iterable[str]) -> str:
    names = sorted(types)
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
