"""Which head a model has."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from transformers import PreTrainedModel


def has_head(model: PreTrainedModel, types: Collection[str], class_names: Mapping[str, str]) -> bool:
    """Whether a model is of one of these types, with the class that a mapping of transformers names, or a subclass."""
    known = [class_names.get(type_) for type_ in types]
    return any(base.__name__ in known for base in type(model).__mro__)
