"""Entity counts per test sentence: `quality["test_sentences"]` of a result. Older results lack them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.ner.data.strict_json import schema_errors

KEY_PATH = "quality.test_sentences"
FIELDS = {
    **dict.fromkeys(("correct", "predicted", "gold"), "a list of counts"),  # per sentence
    "documents?": "a list of counts",  # sentences per document; null if each is its own document
}


def entity_count_errors(quality: Mapping[str, Any]) -> Iterator[str]:
    """Yields each error in the counts in the `quality` of a result, and each contradiction to its scores."""
    counts = quality.get("test_sentences")
    if counts is None:
        return
    if found := list(schema_errors(counts, FIELDS, KEY_PATH)):
        yield from found
        return
    correct, predicted, gold = (counts[name] for name in ("correct", "predicted", "gold"))
    documents = [1] * len(gold) if counts["documents"] is None else counts["documents"]
    if not len(correct) == len(predicted) == len(gold) == sum(documents) > 0 or 0 in documents:
        received = f"{len(correct)}, {len(predicted)}, {len(gold)}, {sum(documents)}"
        yield f"{KEY_PATH} must count the same sentences in correct, predicted, gold and documents; got {received}"
        return
    if any(right > min(of) for right, *of in zip(correct, predicted, gold, strict=True)):
        yield f"{KEY_PATH}.correct must not exceed predicted or gold in any sentence"
    for name in ("predicted", "gold"):
        if sum(counts[name]) != quality.get(f"test_entities_{name}"):
            yield f"{KEY_PATH}.{name} must add up to test_entities_{name}, but adds up to {sum(counts[name])}"
    f1 = 2 * sum(correct) / max(sum(predicted) + sum(gold), 1)
    if not math.isclose(f1, quality["test_f1"] or 0.0, rel_tol=1e-9):
        yield f"{KEY_PATH} must agree with test_f1, but gives {f1}"


def by_document(counts: Mapping[str, list[int]]) -> np.ndarray:
    """Returns twice the correct entities, and the sum of predicted and gold entities: int `[documents, 2]`."""
    correct, predicted, gold = (np.array(counts[name]) for name in ("correct", "predicted", "gold"))
    by_sentence = np.stack([2 * correct, predicted + gold], axis=-1)
    if counts["documents"] is None:
        return by_sentence
    return np.add.reduceat(by_sentence, np.cumsum([0, *counts["documents"][:-1]]))
