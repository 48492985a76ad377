"""Entities counted by test sentence: `quality["test_sentences"]` of a result, which older ones lack."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.ner.data.strict_json import schema_errors

PLACE = "quality.test_sentences"
FIELDS = {
    **dict.fromkeys(("correct", "predicted", "gold"), "a list of counts"),  # of each sentence
    "documents?": "a list of counts",  # the sentences of each document; null where each is its own
}


def entity_count_errors(quality: Mapping[str, Any]) -> Iterator[str]:
    """Why the counts in the `quality` of a result are none, or not those of its scores."""
    counts = quality.get("test_sentences")
    if counts is None:
        return
    if found := list(schema_errors(counts, FIELDS, PLACE)):
        yield from found
        return
    correct, predicted, gold = (counts[name] for name in ("correct", "predicted", "gold"))
    documents = [1] * len(gold) if counts["documents"] is None else counts["documents"]
    if not len(correct) == len(predicted) == len(gold) == sum(documents) > 0 or 0 in documents:
        received = f"{len(correct)}, {len(predicted)}, {len(gold)}, {sum(documents)}"
        yield f"{PLACE} must have equally many correct, predicted, gold, and documents of sentences; got {received}"
        return
    if any(right > min(of) for right, *of in zip(correct, predicted, gold, strict=True)):
        yield f"{PLACE}.correct must not be more than predicted or gold in any sentence"
    for name in ("predicted", "gold"):
        if sum(counts[name]) != quality.get(f"test_entities_{name}"):
            yield f"{PLACE}.{name} must add up to test_entities_{name} and is {sum(counts[name])}"
    f1 = 2 * sum(correct) / max(sum(predicted) + sum(gold), 1)
    if not math.isclose(f1, quality["test_f1"] or 0.0, rel_tol=1e-9):
        yield f"{PLACE} must give test_f1 and gives {f1}"


def by_document(counts: Mapping[str, list[int]]) -> np.ndarray:
    """Twice the correct entities, and the predicted and the gold ones together: int `[documents, 2]`."""
    correct, predicted, gold = (np.array(counts[name]) for name in ("correct", "predicted", "gold"))
    by_sentence = np.stack([2 * correct, predicted + gold], axis=-1)
    if counts["documents"] is None:
        return by_sentence
    return np.add.reduceat(by_sentence, np.cumsum([0, *counts["documents"][:-1]]))
