from __future__ import annotations

import pytest
import torch
from transformers import (
    AlbertConfig,
    AutoModelForMaskedLM,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    RobertaConfig,
)

from benchmarks.ner.training.sparse_prediction import sparse_prediction

SIZES = {"vocab_size": 50, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 32}
CONFIGS = {
    "bert": BertConfig(**SIZES),
    "roberta": RobertaConfig(**SIZES),
    "albert": AlbertConfig(**SIZES),
    "electra": ElectraConfig(**SIZES),
    "distilbert": DistilBertConfig(vocab_size=50, n_layers=2, n_heads=2, dim=16, hidden_dim=32),
    "modernbert": ModernBertConfig(**SIZES, pad_token_id=0, attn_implementation="eager"),
}


@pytest.fixture(params=CONFIGS)
def model(request):
    torch.manual_seed(0)
    return AutoModelForMaskedLM.from_config(CONFIGS[request.param]).eval()  # without dropout


def make_batch(labeled: float = 0.3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 50, (3, 7), generator=generator)
    attended = torch.ones_like(ids)
    attended[1, 4:] = 0
    chosen = (torch.rand(3, 7, generator=generator) < labeled) & attended.bool()
    return {"input_ids": ids, "attention_mask": attended, "labels": torch.where(chosen, ids, -100)}


def loss_and_gradients(model, batch):
    model.zero_grad()
    output = model(**batch)
    output.loss.backward()
    return output, {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def test_loss_and_gradients_are_those_of_all_scores(model) -> None:
    batch = make_batch()
    expected, gradients = loss_and_gradients(model, batch)
    with sparse_prediction(model):
        output, found = loss_and_gradients(model, batch)
    torch.testing.assert_close(output.loss, expected.loss)
    assert found.keys() == gradients.keys()
    for name in gradients:
        torch.testing.assert_close(found[name], gradients[name], msg=lambda text, name=name: f"{name}: {text}")


def test_only_labeled_tokens_are_scored(model) -> None:
    batch = make_batch()
    every = model(**batch).logits
    with sparse_prediction(model):
        scores = model(**batch).logits
    has_a_switch_of_its_own = hasattr(model.config, "sparse_prediction")
    torch.testing.assert_close(scores, every if has_a_switch_of_its_own else every[batch["labels"] != -100])


def test_without_labels_and_afterwards_all_tokens_are_scored(model) -> None:
    batch = make_batch()
    with sparse_prediction(model):
        model(**batch)
        unlabeled = {name: value for name, value in batch.items() if name != "labels"}
        assert model(**unlabeled).logits.shape == (3, 7, 50)
    assert model(**batch).logits.shape == (3, 7, 50)


def test_the_batch_of_the_caller_stays_as_it_was(model) -> None:
    batch = make_batch()
    before = {name: value.clone() for name, value in batch.items()}
    with sparse_prediction(model):
        model(**batch)
    assert all(torch.equal(batch[name], before[name]) for name in before)
