"""Entity F1 as an `evaluate.Metric` around seqeval, with strict scores and those of conlleval."""

import re
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support as conlleval_scores
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_scores
from seqeval.scheme import IOB2, Entities

Tags = Sequence[Sequence[str]]

IOB2_TAG = re.compile(r"O|[BI]-[^\s-]\S*")

DESCRIPTION = """
Precision, recall and F1 over entities: an entity is correct if its type and both of its boundaries are.
"""

INPUTS = """
Args:
    predictions (`list[list[str]]`): predicted IOB2 tags, one list per sentence.
    references (`list[list[str]]`): gold IOB2 tags, with the same lengths.
Returns:
    `f1`, `precision`, `recall`: strict IOB2, where an entity starts only at a B- tag.
    `f1_conlleval`, `precision_conlleval`, `recall_conlleval`: as in the CoNLL-2000 script, where an I- tag
        without a preceding tag of its type also starts an entity.
    `accuracy`: fraction of tokens with the correct tag.
    `invalid_transitions`: number of predicted I-X tags that follow neither B-X nor I-X.
    `entities_gold`, `entities_predicted`: numbers of strict IOB2 entities.
    `per_type`: for each entity type its strict `f1`, `precision`, `recall` and gold `support`.
    Scores are fractions in 0..1, and 0.0 if the denominator is 0.
"""

CITATION = """
@misc{seqeval, title={{seqeval}: A Python framework for sequence labeling evaluation}, author={Hiroki Nakayama},
year={2018}, url={https://github.com/chakki-works/seqeval}}
"""


class EntityF1(evaluate.Metric):
    """Entity-level precision, recall and F1 of IOB2 tags, kept in memory so that no two processes share a file.

    `compute(predictions=..., references=...)` raises `ValueError` if there are no sentences, if lengths differ, or
    if tags are not IOB2. Call it in one process, with the sentences of all ranks.
    """

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True, num_process=1)

    def _info(self) -> evaluate.MetricInfo:
        tags = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": tags, "references": tags}),
        )

    def _compute(self, predictions: Tags, references: Tags) -> dict[str, Any]:
        predictions, references = [list(tags) for tags in predictions], [list(tags) for tags in references]
        check_lengths(predictions, references)
        check_tags("predictions", predictions)
        check_tags("references", references)
        return {
            **strict(predictions, references),
            **conlleval(predictions, references),
            "accuracy": float(accuracy_score(references, predictions)) if any(references) else 0.0,
            "invalid_transitions": invalid_transitions(predictions),
        }


def check_lengths(predictions: Tags, references: Tags) -> None:
    """Raises `ValueError` if there are no sentences, or if the numbers of predicted and gold tags differ in one."""
    if not references:
        raise ValueError("references must contain at least one sentence, but is empty. Check the evaluation split.")
    for sentence, (predicted, gold) in enumerate(zip(predictions, references, strict=True)):
        if len(predicted) != len(gold):
            raise ValueError(
                f"predictions[{sentence}] has {len(predicted)} tags, references[{sentence}] has {len(gold)}. "
                "Pass one predicted tag for each gold tag."
            )


def check_tags(argument: str, sentences: Tags) -> None:
    """Raises `ValueError` for the first tag that is neither O nor B- or I- with a type."""
    for sentence, tags in enumerate(sentences):
        for position, tag in enumerate(tags):
            if not IOB2_TAG.fullmatch(tag):
                raise ValueError(
                    f"{argument}[{sentence}][{position}] must be an IOB2 tag, O, B-TYPE or I-TYPE, but is {tag!r}. "
                    "Convert label ids to tags and remove ignored tokens before scoring."
                )


def strict(predictions: Tags, references: Tags) -> dict[str, Any]:
    """Returns strict IOB2 scores, overall and by type, with the numbers of entities.

    The scheme is always passed: without it, seqeval's `f1_score(mode="strict")` is lenient.
    """
    entities = {"entities_true": Entities(references, IOB2), "entities_pred": Entities(predictions, IOB2)}
    options = {"scheme": IOB2, "zero_division": 0, **entities}
    precision, recall, f1, _ = strict_scores(references, predictions, average="micro", **options)
    by_type = zip(*strict_scores(references, predictions, average=None, **options), strict=True)
    types = sorted(entities["entities_true"].unique_tags | entities["entities_pred"].unique_tags)
    return {
        "f1": float(f1),
        "precision": float(precision),
        "recall": float(recall),
        "entities_gold": count(entities["entities_true"]),
        "entities_predicted": count(entities["entities_pred"]),
        "per_type": {name: type_scores(*scores) for name, scores in zip(types, by_type, strict=True)},
    }


def type_scores(precision: float, recall: float, f1: float, support: int) -> dict[str, float | int]:
    return {"f1": float(f1), "precision": float(precision), "recall": float(recall), "support": int(support)}


def count(entities: Entities) -> int:
    return sum(map(len, entities.entities))


def sentence_counts(predictions: Tags, references: Tags) -> dict[str, list[int]]:
    """Counts strict IOB2 entities per sentence: `correct`, `predicted` and `gold`, each `[sentences]`.

    Their sums give the micro-averaged F1, 2 * correct / (predicted + gold), also of any resample of the sentences.
    """
    predicted, gold = (Entities(list(tags), IOB2).entities for tags in (predictions, references))
    return {
        "correct": [len(set(found) & set(wanted)) for found, wanted in zip(predicted, gold, strict=True)],
        "predicted": list(map(len, predicted)),
        "gold": list(map(len, gold)),
    }


def conlleval(predictions: Tags, references: Tags) -> dict[str, float]:
    """Returns the scores of seqeval's default mode, which follows the CoNLL-2000 script."""
    precision, recall, f1, _ = conlleval_scores(references, predictions, average="micro", zero_division=0)
    return {
        "f1_conlleval": float(f1),
        "precision_conlleval": float(precision),
        "recall_conlleval": float(recall),
    }


def invalid_transitions(sentences: Tags) -> int:
    """Counts the I-X tags that follow neither B-X nor I-X in their sentence."""
    return sum(
        tag.startswith("I-") and previous not in (tag, "B" + tag[1:])
        for tags in sentences
        for previous, tag in zip(["O", *tags], tags, strict=False)
    )
