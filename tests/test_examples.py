"""The examples do what they say, on a tiny model and a text made here."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from transformers import BertConfig, TrainingArguments, set_seed

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import chinese_words
import masked_diffusion

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "to", "house"]


def _tiny_bert(size: int) -> masked_diffusion.BertForMaskedDiffusion:
    set_seed(0)
    return masked_diffusion.BertForMaskedDiffusion(
        BertConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=32,
        )
    )  # fmt: skip


def _texts() -> list[str]:
    """Each text goes round the words from another one on, so that any word tells the others."""
    return [" ".join(WORDS[(start + i) % len(WORDS)] for i in range(12)) for start in range(len(WORDS))] * 12


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_diffusion_bound_falls(wordpiece, tmp_path, accumulation) -> None:
    data = Dataset.from_list([dict(wordpiece(text)) | {"text": text} for text in _texts()])
    training = TrainingArguments(
        str(tmp_path),
        num_train_epochs=8,
        learning_rate=5e-3,
        gradient_accumulation_steps=accumulation,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
    )
    trainer = masked_diffusion.trainer_for(_tiny_bert(len(wordpiece)), wordpiece, training, data, data)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after, again = (trainer.evaluate()["eval_loss"] for _ in range(2))
    assert after < 0.65 * before
    assert after == again


def test_the_diffusion_bound_weighs_by_the_rate() -> None:
    logits, labels = torch.randn(2, 4, 7), torch.tensor([[1, -100, -100, -100], [2, 3, -100, -100]])
    outputs = {"logits": logits, "mask_rate": torch.tensor([0.25, 0.5]), "length": torch.tensor([4, 3])}
    nats = -logits.log_softmax(-1)
    expected = (nats[0, 0, 1] / (0.25 * 4) + (nats[1, 0, 2] + nats[1, 1, 3]) / (0.5 * 3)) / 2
    assert masked_diffusion.diffusion_loss(outputs, labels).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_diffusion_example_runs_from_a_text_file(wordpiece, tmp_path, monkeypatch, capsys) -> None:
    _tiny_bert(len(wordpiece)).save_pretrained(tmp_path / "model")
    wordpiece.save_pretrained(tmp_path / "model")
    (tmp_path / "corpus.txt").write_text("\n".join(_texts()))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    arguments = [
        "--text_file",
        tmp_path / "corpus.txt",
        "--model",
        tmp_path / "model",
        "--output_dir",
        tmp_path / "out",
    ]
    arguments += ["--max_steps", "2", "--use_cpu", "--report_to", "none", "--disable_tqdm", "true"]
    monkeypatch.setattr(sys, "argv", ["masked_diffusion.py", *map(str, arguments)])
    masked_diffusion.main()
    assert "eval_loss" in capsys.readouterr().out


def test_chinese_words_are_masked_whole(chinese) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba's, on Python 3.12 and newer
        import jieba

        words = jieba.lcut(chinese_words.TEXT)
    assert max(map(len, words)) == 2
    shown = chinese_words.masked_texts(chinese, chinese_words.TEXT, jieba.lcut, epochs=50)
    for line in shown:
        assert len(line) == len(chinese_words.TEXT)
        place = 0
        for word in words:
            piece = line[place : place + len(word)]
            assert piece in (word, "_" * len(word))
            place += len(word)
    assert len(set(shown)) == 50
