"""Entity F1 against a chunker written here by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.ner.training.metrics import EntityF1, sentence_counts

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
SENTENCE_PAIR = st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), max_size=7)
METRIC = EntityF1()


def chunks(tags, lenient):
    """All (type, first, last) such that every token between belongs to the entity and no longer one does."""
    found = set()
    for first, tag in enumerate(tags):
        kind = tag[2:]
        previous = tags[first - 1] if first else "O"
        starts = tag.startswith("B-") or (lenient and tag.startswith("I-") and previous[2:] != kind)
        if starts:
            last = first
            while last + 1 < len(tags) and tags[last + 1] == f"I-{kind}":
                last += 1
            found.add((kind, first, last))
    return found


def expected(predictions, references, lenient, kind=None):
    gold, predicted = (
        {
            (index, *chunk)
            for index, tags in enumerate(sentences)
            for chunk in chunks(tags, lenient)
            if kind in (None, chunk[0])
        }
        for sentences in (references, predictions)
    )
    right = len(gold & predicted)
    precision = right / len(predicted) if predicted else 0.0
    recall = right / len(gold) if gold else 0.0
    f1 = 2 * right / (len(gold) + len(predicted)) if right else 0.0
    return {"f1": f1, "precision": precision, "recall": recall}, len(gold), len(predicted)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(SENTENCE_PAIR, min_size=1, max_size=4))
def test_scores_equal_the_hand_written_chunker(pairs):
    predictions = [[predicted for predicted, _ in sentence] for sentence in pairs]
    references = [[gold for _, gold in sentence] for sentence in pairs]
    scores = METRIC.compute(predictions=predictions, references=references)
    strict, gold, predicted = expected(predictions, references, lenient=False)
    lenient, _, _ = expected(predictions, references, lenient=True)
    assert {name: scores[name] for name in strict} == pytest.approx(strict)
    assert {name: scores[f"{name}_conlleval"] for name in lenient} == pytest.approx(lenient)
    assert (scores["entities_gold"], scores["entities_predicted"]) == (gold, predicted)
    for kind, by_type in scores["per_type"].items():
        strict, support, _ = expected(predictions, references, lenient=False, kind=kind)
        assert by_type == pytest.approx({**strict, "support": support})
    assert sum(by_type["support"] for by_type in scores["per_type"].values()) == gold


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(SENTENCE_PAIR, min_size=1, max_size=4))
def test_the_counts_of_each_sentence_are_those_of_the_hand_written_chunker(pairs):
    predictions = [[predicted for predicted, _ in sentence] for sentence in pairs]
    references = [[gold for _, gold in sentence] for sentence in pairs]
    predicted, gold = ([chunks(tags, lenient=False) for tags in tagged] for tagged in (predictions, references))
    assert sentence_counts(predictions, references) == {
        "correct": [len(found & wanted) for found, wanted in zip(predicted, gold, strict=True)],
        "predicted": [len(found) for found in predicted],
        "gold": [len(wanted) for wanted in gold],
    }


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(SENTENCE_PAIR, min_size=1, max_size=3))
def test_every_value_is_plain_python(pairs):
    predictions = [[predicted for predicted, _ in sentence] for sentence in pairs]
    scores = METRIC.compute(predictions=predictions, references=predictions)
    per_type = scores.pop("per_type")
    for values in (scores, *per_type.values()):
        assert {type(value) for value in values.values()} <= {int, float}


@pytest.mark.parametrize(
    ("gold", "predicted"),
    [
        ([["B-PER"]], [["I-PER"]]),
        ([["B-PER", "I-PER"]], [["I-PER", "I-PER"]]),
        ([["O", "B-LOC", "O"]], [["O", "I-LOC", "O"]]),
    ],
)
def test_a_stray_inside_tag_is_an_entity_for_conlleval_alone(gold, predicted):
    scores = METRIC.compute(predictions=predicted, references=gold)
    assert scores["f1"] == 0.0
    assert scores["f1_conlleval"] == 1.0
    assert scores["invalid_transitions"] == 1


def test_stray_inside_tags_on_both_sides_are_no_strict_entities():
    scores = METRIC.compute(predictions=[["I-PER"]], references=[["I-PER"]])
    assert (scores["f1"], scores["f1_conlleval"], scores["accuracy"]) == (0.0, 1.0, 1.0)
    assert (scores["entities_gold"], scores["entities_predicted"]) == (0, 0)


@pytest.mark.parametrize("sentences", [[["O", "O"]], [[]], [["O"], []]])
def test_no_entities_score_zero(sentences):
    scores = METRIC.compute(predictions=sentences, references=sentences)
    assert (scores["f1"], scores["f1_conlleval"], scores["per_type"]) == (0.0, 0.0, {})
    assert scores["accuracy"] == (1.0 if any(sentences) else 0.0)


def test_accuracy_and_transitions_are_counted_over_tokens():
    predictions = [["B-PER", "I-PER", "I-LOC", "I-LOC"], ["O", "I-PER"]]
    references = [["B-PER", "I-PER", "O", "O"], ["O", "B-PER"]]
    scores = METRIC.compute(predictions=predictions, references=references)
    assert scores["accuracy"] == 0.5
    assert scores["invalid_transitions"] == 2


def test_sentences_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"predictions\[1\] has 1 tags, references\[1\] has 2"):
        METRIC.compute(predictions=[["O"], ["O"]], references=[["O"], ["O", "O"]])


def test_no_sentences_are_refused():
    with pytest.raises(ValueError, match="references must contain at least one sentence"):
        EntityF1().compute(predictions=[], references=[])


def test_different_numbers_of_sentences_are_refused():
    with pytest.raises(ValueError, match="Mismatch in the number of predictions"):
        EntityF1().compute(predictions=[["O"]], references=[["O"], ["O"]])


@pytest.mark.parametrize("tag", ["PER", "E-PER", "B-", "B", "", "-100", "I--PER", "B-PER "])
def test_a_tag_outside_iob2_is_refused(tag):
    with pytest.raises(ValueError, match=r"predictions\[0\]\[0\] must be an IOB2 tag"):
        METRIC.compute(predictions=[[tag]], references=[["O"]])


def test_the_metric_writes_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", tmp_path)
    EntityF1().compute(predictions=[["O"]], references=[["O"]])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
