from __future__ import annotations

from pathlib import Path

import pytest
from transformers import DataCollatorForTokenClassification

from benchmarks.ner.data.load import tag_names
from benchmarks.ner.data.synthetic import embedded_corpus
from benchmarks.ner.experiments.result_reader import read_results
from benchmarks.ner.training import arms, fine_tuning, presets, stages
from benchmarks.ner.training.arms import Arm, load_arm
from benchmarks.ner.training.budget import Budget
from benchmarks.ner.training.models import classifier, initial_model
from benchmarks.ner.training.presets import arm_names
from benchmarks.ner.training.tiny_bert import tiny_tokenizer
from benchmarks.ner.training.trainer_arguments import RuntimeConfig
from hf_dynmask.rates.schedules import rate_at

RESULTS = Path(arms.__file__).parents[2] / "results"


def test_the_arms_of_the_comparison_are_there() -> None:
    names = {"none", "static", "static10", "dynamic", "anneal", "constant_mean", "finetune_static", "finetune_dynamic"}
    assert set(arm_names()) >= names


@pytest.mark.parametrize(("name", "patterns"), [("finetune_static", 1), ("finetune_dynamic", None)])
def test_fine_tuning_masks_as_its_arms_name_says(wordpiece, name, patterns) -> None:
    arm = load_arm(name)
    collator = arm.fine_tuning_collator(wordpiece)
    assert not arm.pretrain
    assert (collator.num_mask_patterns, collator.mlm_probability) == (patterns, 0.15)
    assert (collator.strategy, collator.target, collator.seed) == ("whole_word", "input_ids", None)
    assert isinstance(collator.collator, DataCollatorForTokenClassification)
    assert collator.collator.pad_to_multiple_of == 8
    assert len(arm.fine_tuning_callbacks()) == 1


@pytest.mark.parametrize("name", ["none", "dynamic"])
def test_other_arms_fine_tune_without_masks(wordpiece, name) -> None:
    collator = load_arm(name).fine_tuning_collator(wordpiece)
    assert type(collator) is DataCollatorForTokenClassification
    assert load_arm(name).fine_tuning_callbacks() == []


def test_fine_tuning_may_have_a_schedule(wordpiece) -> None:
    arm = Arm("mine", False, 0.15, None, "token", fine_tuning={"mlm_probability": {"linear": [0.2, 0.0]}})
    assert rate_at(arm.fine_tuning_collator(wordpiece).mlm_probability, 5, 10) == pytest.approx(0.1)


@pytest.mark.parametrize(("name", "distinct"), [("none", 0), ("finetune_static", 1), ("finetune_dynamic", 2)])
def test_only_the_training_of_fine_tuning_has_masks(tmp_path, monkeypatch, name, distinct) -> None:
    """Predictions have none, and the masks of two epochs are alike or not. What is timed is what training does."""
    data = embedded_corpus(sizes={"train": 16, "validation": 6, "test": 6})
    tokenizer, names = tiny_tokenizer(data["train"], vocab_size=400), tag_names(data)
    model = classifier(initial_model("tiny", tokenizer, 0), "tiny", tokenizer, names, 0)
    seen, timed = [], []

    def note(module, inputs, columns) -> None:
        ids, labels = columns["input_ids"], columns["labels"]
        masks = {tuple(of): tuple(row) for of, row in zip(labels.tolist(), (ids == mask).tolist(), strict=True)}
        seen.append((module.training, masks))

    mask = tokenizer.mask_token_id
    model.register_forward_pre_hook(note, with_kwargs=True)
    monkeypatch.setattr(stages, "collate_time", lambda collator, rows, size: timed.append(collator))
    fine_tuning.fine_tune(
        model,
        tokenizer,
        data,
        names,
        load_arm(name),
        Budget(1, 1e-3, 16, 128, 2, 1e-3, 16, 128, 0.06, 0.01, 0, False, 1, 1),
        RuntimeConfig(1, "no", True, [], tmp_path),
        seed=0,
        callbacks=[],
    )
    epochs = [masks for training, masks in seen if training]
    assert len(epochs) == 2, "one batch each"
    assert len({str(sorted(masks.items())) for masks in epochs if _any(masks)}) == distinct
    others = [masks for training, masks in seen if not training]
    assert len(others) == 2, "validation and test"
    assert not any(map(_any, others))
    assert [type(collator) for collator in timed] == [type(load_arm(name).fine_tuning_collator(tokenizer))]


def _any(masks: dict[tuple, tuple]) -> bool:
    return any(map(any, masks.values()))


def test_the_committed_results_are_of_the_arms_there_are() -> None:
    """A new key of the presets must leave the identity of older runs as it was."""
    results, rejected = read_results(RESULTS)
    assert results
    assert not rejected
    assert all(result["arm"] == load_arm(result["arm"]["name"]).settings() for result in results)
    assert "fine_tuning" in load_arm("finetune_static").settings()


@pytest.mark.parametrize(
    ("name", "patterns", "first", "last"),
    [
        ("static", 1, 0.15, 0.15),
        ("static4", 4, 0.15, 0.15),
        ("static10", 10, 0.15, 0.15),
        ("static20", 20, 0.15, 0.15),
        ("dynamic", None, 0.15, 0.15),
        ("anneal", None, 0.30, 0.15),
        ("constant_mean", None, 0.225, 0.225),
        ("base", None, 0.30, 0.30),
        ("dynamic_again", None, 0.15, 0.15),
    ],
)
def test_each_arm_masks_as_its_name_says(wordpiece, name, patterns, first, last) -> None:
    arm = load_arm(name)
    assert arm.collator(wordpiece, seed=0).num_mask_patterns == patterns
    callback = arm.callback()
    assert rate_at(callback.schedule, 0, 1000) == pytest.approx(first)
    assert rate_at(callback.schedule, 1000, 1000) == pytest.approx(last)
    assert callback.eval_mlm_probability == 0.15


def test_only_the_masks_of_an_arm_with_a_mask_seed_are_its_own(wordpiece) -> None:
    of_two_runs = [load_arm("dynamic_again").collator(wordpiece, seed).seed for seed in (0, 1)]
    assert len({0, 1, *of_two_runs}) == 4
    assert {load_arm(name).collator(wordpiece, 3).seed for name in ("static", "dynamic")} == {None}, "Trainer's"
    same = {**load_arm("dynamic_again").settings(), "name": "dynamic"}
    assert same.pop("mask_seed") == 1
    assert same == load_arm("dynamic").settings()


def test_all_arms_are_evaluated_with_the_same_masks(wordpiece) -> None:
    examples = [wordpiece("the cat sat on a mat and the dog ran to the house") for _ in range(3)]
    for seed in range(3):
        found = [load_arm(name).evaluation_collator(wordpiece, seed)(examples) for name in ("static", "anneal", "base")]
        again = load_arm("dynamic_again").evaluation_collator(wordpiece, seed)(examples)
        assert all((batch["labels"] == again["labels"]).all() for batch in found)
    others = [load_arm("static").evaluation_collator(wordpiece, seed)(examples)["labels"] for seed in range(5)]
    assert len({str(labels.tolist()) for labels in others}) == 5


def test_the_control_has_the_anneals_mean_rate() -> None:
    rates = [rate_at(load_arm("anneal").callback().schedule, step, 1000) for step in range(1000)]
    assert sum(rates) / 1000 == pytest.approx(load_arm("constant_mean").mlm_probability, abs=1e-4)


def test_an_unknown_arm_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"`arms` must be among anneal, .*static10, .*but got 'statik'"):
        load_arm("statik")


def test_a_preset_with_an_unknown_key_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "defaults.yaml").write_text((presets.PRESETS / "defaults.yaml").read_text())
    (tmp_path / "mine.yaml").write_text("mask_rate: 0.2")
    monkeypatch.setattr(presets, "PRESETS", tmp_path)
    with pytest.raises(ValueError, match=r"config/presets/mine.yaml may set .*, but sets mask_rate"):
        load_arm("mine")
