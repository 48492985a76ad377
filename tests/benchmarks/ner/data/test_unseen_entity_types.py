"""Entity types that the training split lacks are named."""

import pytest

from benchmarks.ner.data.readers import ner_dataset
from benchmarks.ner.data.unseen_entity_types import unseen_types


def splits(train, validation, test):
    tags = {"train": train, "validation": validation, "test": test}
    return {name: ner_dataset([["a"] * len(row)], [row]) for name, row in tags.items()}


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ((["B-person"], ["O"], ["B-person", "I-person"]), None),
        ((["B-a", "B-b"], ["B-a"], ["O"]), None),
        (
            (["B-person"], ["O"], ["B-PER"]),
            "mine has entity types in test (PER) that its training split lacks (person)",
        ),
        ((["O"], ["B-b", "B-a"], ["B-c"]), "mine has entity types in validation (a, b) and test (c) that its training"),
        ((["O"], ["O"], ["B-a"]), "split lacks (none), so no model can learn them. If they are the same types with"),
        ((["O"], ["O"], [f"B-{i}" for i in range(10, 30)]), "(10, 11, 12, 13, 14, 15, 16, 17, 18, 19, ...)"),
    ],
)
def test_types_that_no_model_can_learn_are_named(tags, said) -> None:
    found = unseen_types("mine", splits(*tags))
    assert found is said is None or said in found
