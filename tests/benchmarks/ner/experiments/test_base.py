"""A base is complete or absent, its weights are those that were saved in half precision, and its cell is known."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from benchmarks.ner.experiments import base
from benchmarks.ner.experiments.base import base_folder, is_saved, load_base, save_base, weights_fingerprint
from benchmarks.ner.training.models import initial_model


@pytest.fixture
def model() -> BertForMaskedLM:
    torch.manual_seed(0)
    return BertForMaskedLM(
        BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    )


def test_a_cell_begins_with_the_weights_that_were_saved(model, tmp_path) -> None:
    folder = base_folder(tmp_path, "base-seed0-abc")
    save_base(model, folder, "abcdef")
    assert load_base(folder) == (folder, "abcdef")
    loaded = initial_model("tiny", None, 0, folder)
    assert {name: value.dtype for name, value in loaded.state_dict().items() if value.is_floating_point()}
    for name, value in model.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == value.dtype
        torch.testing.assert_close(found, value.half().to(value.dtype), rtol=0, atol=0)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters()), "saving leaves the model alone"


def test_the_fingerprint_follows_the_weights(model, tmp_path) -> None:
    save_base(model, tmp_path / "a", "1")
    save_base(model, tmp_path / "b", "2")
    with torch.no_grad():
        next(model.parameters()).add_(1)
    save_base(model, tmp_path / "c", "1")
    a, b, c = (weights_fingerprint(load_base(tmp_path / name)) for name in "abc")
    assert a == b != c


def test_a_base_is_replaced_whole(model, tmp_path, monkeypatch) -> None:
    save_base(model, tmp_path / "a", "1")
    monkeypatch.setattr(base, "RUN", "absent/run.json")
    with pytest.raises(FileNotFoundError):
        save_base(model, tmp_path / "a", "2")
    monkeypatch.undo()
    assert load_base(tmp_path / "a").run_id == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["a"], "nothing is left"


def test_a_folder_without_a_base_is_named(tmp_path) -> None:
    assert not is_saved(tmp_path)
    with pytest.raises(ValueError, match=r"`base` must be a folder that a cell saved with --save_model, .*Run"):
        load_base(tmp_path)
