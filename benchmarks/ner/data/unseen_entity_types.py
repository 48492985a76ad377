"""Finds entity types that a model cannot learn because the training split does not contain them."""

from collections.abc import Iterable

from datasets import Dataset, DatasetDict

SHOWN = 10  # types per split


def unseen_types(name: str, data: DatasetDict) -> str | None:
    """Returns a warning about entity types that are missing from the training split, or None if there are none."""
    known = _types(data["train"])
    unseen = {split: types for split in ("validation", "test") if (types := _types(data[split]) - known)}
    if not unseen:
        return None
    missed = " and ".join(f"{split} ({_listed(types)})" for split, types in unseen.items())
    return (
        f"{name} has entity types in {missed} that its training split lacks ({_listed(known) or 'none'}), so no model "
        "can learn them. If they are the same types with another spelling, rename them."
    )


def _types(split: Dataset) -> set[str]:
    return {tag[2:] for tags in split["tags"] for tag in tags if tag != "O"}


def _listed(types: Iterable[str]) -> str:
    names = sorted(types)
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
