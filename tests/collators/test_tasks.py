"""Each task as a user would set it up: a tiny model learns it under masks, with `TrainingArguments` as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainingArguments,
)

from hf_dynmask import DataCollatorForDynamicMasking, DataCollatorWithTokenDropout, MaskRateCallback, linear_schedule

pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")

WORDS = ["cat", "mat", "dog", "house", "toys", "year"]


def _bert(model: type[PreTrainedModel], tokenizer, **options: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    return model(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes, **options))


def _sentences(kind: str, count: int = 96) -> list[list[str]]:
    """Of random words, or of one that is repeated."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(4, 12, count)
    if kind == "one word":
        return [[str(word)] * length for word, length in zip(generator.choice(WORDS, count), lengths, strict=True)]
    return [generator.choice(WORDS, length).tolist() for length in lengths]


def _data(tokenizer, kind: str, labels: Any = None) -> Dataset:
    """Rows as a tokenizer and `datasets` make them, with a column of text that no model takes."""
    rows = []
    for words in _sentences(kind):
        row = {"text": " ".join(words), **tokenizer(words, is_split_into_words=True)}
        rows.append(row if labels is None else {**row, **labels(words)})
    return Dataset.from_list(rows)


def _losses(model: PreTrainedModel, collator: Any, data: Dataset, directory: Path, **arguments: Any) -> tuple:
    """The evaluation loss before and after training, at a rate that falls."""
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(directory),
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            **{"learning_rate": 1e-2, "num_train_epochs": 4, "per_device_train_batch_size": 8, **arguments},
        ),
        train_dataset=data.select(range(64)),
        eval_dataset=data.select(range(64, 96)),
        data_collator=collator,
        callbacks=[MaskRateCallback(linear_schedule(0.30, 0.10))],
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    return before, trainer.evaluate()["eval_loss"]


def test_token_classification(wordpiece, tmp_path) -> None:
    def tags(words: list[str]) -> dict:
        return {"labels": [-100, *(WORDS.index(word) % 3 for word in words), -100]}

    model = _bert(BertForTokenClassification, wordpiece, num_labels=3)
    inner = DataCollatorForTokenClassification(wordpiece)
    collator = DataCollatorWithTokenDropout(inner, strategy="whole_word")
    before, after = _losses(model, collator, _data(wordpiece, "random", tags), tmp_path)
    assert after < 0.4 * before


def test_sequence_classification(wordpiece, tmp_path) -> None:
    def topic(words: list[str]) -> dict:
        return {"label": WORDS.index(words[0]) % 3}

    model = _bert(BertForSequenceClassification, wordpiece, num_labels=3)
    collator = DataCollatorWithTokenDropout(DataCollatorWithPadding(wordpiece))
    before, after = _losses(
        model, collator, _data(wordpiece, "one word", topic), tmp_path, num_train_epochs=8, learning_rate=5e-3
    )
    assert after < 0.4 * before


def test_masked_language_modeling_of_spans(wordpiece, tmp_path) -> None:
    model = _bert(BertForMaskedLM, wordpiece)
    collator = DataCollatorForDynamicMasking(wordpiece, strategy="span")
    before, after = _losses(model, collator, _data(wordpiece, "one word"), tmp_path, num_train_epochs=10)
    assert after < 0.5 * before


def test_sequence_to_sequence_without_a_mask_token(metaspace, tmp_path) -> None:
    """The answer is the word that is repeated."""
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2}
    roles = {"pad_token_id": metaspace.pad_token_id, "decoder_start_token_id": metaspace.pad_token_id}
    model = T5ForConditionalGeneration(T5Config(vocab_size=len(metaspace), **sizes, **roles))

    def answer(words: list[str]) -> dict:
        return {"labels": metaspace(words[0], add_special_tokens=False)["input_ids"] + [metaspace.eos_token_id]}

    collator = DataCollatorWithTokenDropout(
        DataCollatorForSeq2Seq(metaspace, model=model), target="attention_mask", strategy="whole_word"
    )
    before, after = _losses(model, collator, _data(metaspace, "one word", answer), tmp_path)
    assert after < 0.4 * before
