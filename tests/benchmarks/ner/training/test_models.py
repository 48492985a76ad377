from __future__ import annotations

import pytest
import torch

from benchmarks.ner.data.synthetic import embedded_corpus
from benchmarks.ner.training.models import classifier, initial_model, load_tokenizer

NAMES = ["O", "B-PER", "I-PER"]


@pytest.fixture(scope="module")
def train():
    return embedded_corpus(sizes={"train": 50})["train"]


def _equal(first, second) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_initial_weights_follow_the_seed_alone(train) -> None:
    tokenizer = load_tokenizer("tiny", train)
    models = [initial_model("tiny", tokenizer, seed) for seed in (0, 0, 1)]
    assert _equal(models[0], models[1])
    assert not _equal(models[0], models[2])


def test_the_classifier_has_the_encoders_weights_and_a_head_that_follows_the_seed_alone(train) -> None:
    tokenizer = load_tokenizer("tiny", train)
    encoders = [initial_model("tiny", tokenizer, seed) for seed in (0, 1)]
    classifiers = [classifier(encoder, "tiny", tokenizer, NAMES, seed=5) for encoder in encoders]
    for encoder, model in zip(encoders, classifiers, strict=True):
        assert _equal(encoder.base_model, model.base_model)
    assert _equal(classifiers[0].classifier, classifiers[1].classifier)
    assert classifiers[0].config.id2label == dict(enumerate(NAMES))


@pytest.mark.parametrize("model", ["../nomodel", "/no/model", "a/b/c", "no model"])
def test_what_is_neither_a_folder_nor_a_name_is_refused(train, model) -> None:
    with pytest.raises(ValueError, match=f"^`model` must be .*, but got '{model}'. Check the path"):
        load_tokenizer(model, train)


def test_a_pretrained_encoder_is_loaded_by_its_path(train, tmp_path) -> None:
    tokenizer = load_tokenizer("tiny", train)
    saved = initial_model("tiny", tokenizer, 3)
    saved.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(str(tmp_path), train)
    assert again.get_vocab() == tokenizer.get_vocab()
    model = initial_model(str(tmp_path), again, 0)
    assert _equal(model, saved)
    assert _equal(classifier(model, str(tmp_path), again, NAMES, 0).base_model, saved.base_model)
