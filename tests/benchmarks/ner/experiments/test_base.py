"""A base is complete or absent, its weights are those that were saved in half precision, and its cell is known."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from benchmarks.ner.experiments import base
from benchmarks.ner.experiments.base import base_folder, is_saved, load_base, save_base, weights_fingerprint
from benchmarks.ner.training.models import initial_model

MODEL = {"name": "tiny", "fingerprint": "0"}


@pytest.fixture
def model() -> BertForMaskedLM:
    torch.manual_seed(0)
    return BertForMaskedLM(
        BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    )


def test_a_cell_begins_with_the_weights_that_were_saved(model, tmp_path) -> None:
    folder = base_folder(tmp_path, "base-seed0-abc")
    save_base(model, folder, "abcdef", MODEL)
    assert load_base(folder, MODEL) == (folder, "abcdef")
    loaded = initial_model("tiny", None, 0, folder)
    for name, value in model.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == value.dtype
        torch.testing.assert_close(found, value.half().to(value.dtype), rtol=0, atol=0)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters()), "saving leaves the model alone"


def test_the_fingerprint_follows_the_weights(model, tmp_path) -> None:
    save_base(model, tmp_path / "a", "1", MODEL)
    save_base(model, tmp_path / "b", "2", MODEL)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    save_base(model, tmp_path / "c", "1", MODEL)
    a, b, c = (weights_fingerprint(load_base(tmp_path / name, MODEL)) for name in "abc")
    assert a == b != c


def test_a_base_is_replaced_whole(model, tmp_path, monkeypatch) -> None:
    save_base(model, tmp_path / "a", "1", MODEL)
    monkeypatch.setattr(base, "RUN", "absent/run.json")
    with pytest.raises(FileNotFoundError):
        save_base(model, tmp_path / "a", "2", MODEL)
    monkeypatch.undo()
    assert load_base(tmp_path / "a", MODEL).run_id == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["a"], "nothing is left"


def test_a_newer_base_replaces_an_older_one(model, tmp_path) -> None:
    save_base(model, tmp_path / "a", "1", MODEL)
    (tmp_path / "a" / "left").write_text("")
    save_base(model, tmp_path / "a", "2", MODEL)
    assert load_base(tmp_path / "a", MODEL).run_id == "2"
    assert not (tmp_path / "a" / "left").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_base_of_another_tokenizer_is_refused(model, tmp_path) -> None:
    save_base(model, tmp_path / "a", "1", MODEL)
    with pytest.raises(ValueError, match=r"`base` must have the model and the tokenizer of this run, but .*has"):
        load_base(tmp_path / "a", {**MODEL, "fingerprint": "1"})


def test_a_folder_without_a_base_is_named(tmp_path) -> None:
    assert not is_saved(tmp_path)
    with pytest.raises(ValueError, match=r"`base` must be a folder that a cell saved with --save_model, .*Run"):
        load_base(tmp_path, MODEL)
