from __future__ import annotations

import pytest

from benchmarks.ner import arms
from benchmarks.ner.arms import arm_names, load_arm
from hf_dynmask.rates import rate_at


def test_the_arms_of_the_comparison_are_there() -> None:
    assert set(arm_names()) >= {"none", "static", "static10", "dynamic", "anneal", "constant_mean"}


@pytest.mark.parametrize(
    ("name", "patterns", "first", "last"),
    [
        ("static", 1, 0.15, 0.15),
        ("static10", 10, 0.15, 0.15),
        ("dynamic", None, 0.15, 0.15),
        ("anneal", None, 0.30, 0.15),
        ("constant_mean", None, 0.225, 0.225),
    ],
)
def test_each_arm_masks_as_its_name_says(wordpiece, name, patterns, first, last) -> None:
    arm = load_arm(name)
    assert arm.collator(wordpiece).num_mask_patterns == patterns
    callback = arm.callback()
    assert rate_at(callback.schedule, 0, 1000) == pytest.approx(first)
    assert rate_at(callback.schedule, 1000, 1000) == pytest.approx(last)
    assert callback.eval_mlm_probability == 0.15


def test_the_control_has_the_anneals_mean_rate() -> None:
    rates = [rate_at(load_arm("anneal").callback().schedule, step, 1000) for step in range(1000)]
    assert sum(rates) / 1000 == pytest.approx(load_arm("constant_mean").mlm_probability, abs=1e-4)


def test_an_unknown_arm_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"`arms` must be among anneal, .*static10, but got 'statik'"):
        load_arm("statik")


def test_a_preset_with_an_unknown_key_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "defaults.yaml").write_text((arms.PRESETS / "defaults.yaml").read_text())
    (tmp_path / "mine.yaml").write_text("mask_rate: 0.2")
    monkeypatch.setattr(arms, "PRESETS", tmp_path)
    with pytest.raises(ValueError, match=r"presets/mine.yaml may set .*, but sets mask_rate"):
        load_arm("mine")
