"""The words for an arm say what its settings say."""

from __future__ import annotations

import pytest
from support.made_results import make_result

from benchmarks.ner.report.arm_words import arm_words
from benchmarks.ner.training.arms import load_arm


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ("none", "no pre-training"),
        ("finetune_static", "no pre-training, masks in fine-tuning"),
        ("static", "one mask for each example, seen 12 times"),
        ("static10", "10 masks for each example, each seen 1.2 times"),
        ("static20", "20 masks for each example, each seen once at most"),
        ("dynamic", "new masks in each epoch"),
        ("constant_mean", "new masks in each epoch, 22.5 % of tokens"),
        ("anneal", "new masks in each epoch, from 30 % to 15 % of tokens"),
    ],
)
def test_presets_have_words(arm: str, words: str) -> None:
    assert arm_words({**make_result(arm, 0), "arm": load_arm(arm).settings()}) == words


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.15, ""), (0.30, ", 30 % of tokens"), ({"linear": [0.15, 0.30]}, ", from 15 % to 30 % of tokens")],
)
@pytest.mark.parametrize(
    ("patterns", "masks"),
    [(None, "new masks in each epoch"), (1, "one mask for each example, seen 12 times")],
)
def test_a_rate_that_is_not_that_of_evaluation_has_words(
    rate: object, words: str, patterns: object, masks: str
) -> None:
    arm = {"name": "mine", "mlm_probability": rate, "num_mask_patterns": patterns}
    assert arm_words({**make_result("mine", 0), "arm": arm}) == masks + words


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"mlm_probability": 0.15, "num_mask_patterns": 10**9},
        {"mlm_probability": 0.15, "num_mask_patterns": "many", "pretrain": []},
        {"mlm_probability": {"cosine": [0.30, 0.15]}, "num_mask_patterns": 1},
    ],
)
def test_settings_without_words_have_none(more: dict) -> None:
    assert arm_words({**make_result("mine", 0), "arm": {"name": "mine", **more}}) == ""
