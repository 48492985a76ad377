from __future__ import annotations

import pytest

from benchmarks.ner.data.synthetic import embedded_corpus
from benchmarks.ner.training.arms import load_arm
from benchmarks.ner.training.budget import Budget
from benchmarks.ner.training.models import initial_model
from benchmarks.ner.training.pretraining import pretrain
from benchmarks.ner.training.tiny_bert import tiny_tokenizer
from benchmarks.ner.training.trainer_arguments import RuntimeConfig


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (1, True)])
def test_each_evaluation_mask_is_another_one(tmp_path, workers, persistent) -> None:
    """Also with persistent workers, for which Trainer keeps the loader of an evaluation."""
    data = embedded_corpus(sizes={"train": 16, "validation": 8, "test": 2})
    tokenizer = tiny_tokenizer(data["train"], vocab_size=400)
    stage = pretrain(
        initial_model("tiny", tokenizer, 0),
        tokenizer,
        data["train"],
        data["validation"],
        load_arm("dynamic"),
        Budget(1, 1e-3, 4, 64, 1, 1e-3, 16, 64, 0.06, 0.01, workers, persistent, 3, 0),
        RuntimeConfig(1, "no", True, [], tmp_path),
        seed=0,
        callbacks=[],
    )
    assert len(set(stage.metrics["eval_losses"])) == 3
    assert stage.metrics["curve"][-1]["eval_loss"] == pytest.approx(stage.metrics["eval_losses"][0], abs=1e-6)
