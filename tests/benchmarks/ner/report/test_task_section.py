"""Each task has a sentence on its comparison, with any arms, outcomes and number of seeds."""

from __future__ import annotations

import pytest
from support.made_results import make_result

from benchmarks.ner.report.blocks import Block, Figure, Paragraph
from benchmarks.ner.report.document import report

PRETRAINED = {"static": True, "dynamic": True}
ONE_PRETRAINED = {"none": False, "dynamic": True}
NOT_PRETRAINED = {"none": False, "finetune_static": False}
NO_SCORES = {"quality": dict.fromkeys(("dev_f1", "test_f1", "test_accuracy"))}


def made(arms: dict[str, bool], f1: str, seeds: int) -> list[dict]:
    """A run of each arm and seed, with random predictions, with none, or without fine-tuning."""
    settings: dict = {"measured": {}, "zero": {"found": 0.0}, "absent": NO_SCORES}[f1]
    runs = [(pretrain, make_result(arm, seed, **settings)) for arm, pretrain in arms.items() for seed in range(seeds)]
    return [{**run, "arm": {**run["arm"], "pretrain": pretrain}} for pretrain, run in runs]


def sentence(blocks: list[Block]) -> Paragraph:
    """The sentence of the only task."""
    (said,) = (each for each in blocks if isinstance(each, Paragraph) and (each.mark or "").startswith("tiny, toy, "))
    return said


@pytest.mark.parametrize("arms", [PRETRAINED, ONE_PRETRAINED, NOT_PRETRAINED])
@pytest.mark.parametrize("f1", ["measured", "zero", "absent"])
@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_a_sentence_states_what_was_compared_and_no_more(tmp_path, arms, f1, seeds) -> None:
    blocks = report(made(arms, f1, seeds), [])
    said = sentence(blocks)
    mark = said.mark or ""
    has_loss, has_f1 = arms is PRETRAINED, f1 == "measured"
    assert ("MLM loss of" in mark) == has_loss
    assert ("test F1" in mark) == has_f1
    assert ("no run found an entity" in mark) == (f1 == "zero")
    assert ("nothing can be compared" in mark) == (f1 == "absent" and not has_loss)
    assert said.text.startswith("Exploratory: ") == (has_loss or has_f1)
    assert ("can be chance" in said.text) == (has_f1 and seeds < 3)
    assert ("are the same with every seed" in said.text) == (has_loss and not has_f1)
    assert "0 seeds" not in said.text
    for figure in (each for each in blocks if isinstance(each, Figure)):
        figure.draw(tmp_path / figure.file)
    drawn = any(path.name.startswith("differences") for path in tmp_path.iterdir())
    assert drawn == (has_loss or f1 != "absent")


def test_the_reference_is_an_arm_that_is_compared() -> None:
    pairs = {"dynamic": (True, 0), "none": (False, 0), "static": (True, 1), "anneal": (True, 1)}
    runs = [(pretrain, make_result(arm, seed, **NO_SCORES)) for arm, (pretrain, seed) in pairs.items()]
    said = sentence(report([{**run, "arm": {**run["arm"], "pretrain": pretrain}} for pretrain, run in runs], []))
    assert "the MLM loss of anneal is the same as that of static" in (said.mark or "")
