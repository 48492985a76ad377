"""What an arm does, in words, is what its settings say."""

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
        ("anneal", "new masks in each epoch, 30 % down to 15 % of tokens"),
    ],
)
def test_presets_have_words(arm: str, words: str) -> None:
    assert arm_words({**make_result(arm, 0), "arm": load_arm(arm).settings()}) == words


@pytest.mark.parametrize("more", [{}, {"num_mask_patterns": 10**9}, {"num_mask_patterns": "many", "pretrain": []}])
def test_settings_without_words_have_none(more: dict) -> None:
    assert arm_words({**make_result("mine", 0), "arm": {"name": "mine", **more}}) == ""
