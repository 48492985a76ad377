"""Cells that begin with the checkpoint of another, on a text of their own, as their user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.harness import corpus, finish, start


def _results(folder: Path) -> dict[str, dict]:
    found = (json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json"))
    return {result["arm"]["name"]: result for result in found}


def test_cells_continue_a_base_and_are_fine_tuned_twice(tmp_path) -> None:
    files = corpus(tmp_path)
    train = files[files.index("--train_file") + 1]
    base, arms = tmp_path / "base", tmp_path / "arms"
    text = ["--mlm_train_file", f"{train}[:50%]", "--fine_tunings", "0"]
    status, output = finish(start(base, *files, *text, "--seeds", "0", "--arms", "base", "--save_model"))
    assert status == 0, output
    (folder,) = (base / "models").iterdir()
    made = _results(base)["base"]
    assert folder.name == f"base-seed0-{made['run_id'][:12]}"
    assert (made["dataset"]["mlm"]["files"], made["dataset"]["mlm"]["sentences"]) == (["train.json[:50%]"], 12)
    assert made["quality"]["test_f1"] is None
    assert "test F1 -" in output

    text = ["--mlm_train_file", f"{train}[50%:]", "--fine_tunings", "2", "--base", str(folder), "--study", "mine"]
    status, output = finish(start(arms, *files, *text, "--seeds", "3", "--arms", "none", "dynamic", "dynamic_again"))
    assert status == 0, output
    assert "Warning" not in output
    found = _results(arms)
    assert {result["base"] for result in found.values()} == {made["run_id"]}
    assert {result["study"] for result in found.values()} == {"mine"}
    assert len({result["mlm"]["base_weights"] for result in found.values()}) == 1
    untrained, dynamic, again = (found[name] for name in ("none", "dynamic", "dynamic_again"))
    assert untrained["mlm"]["eval_losses"] == pytest.approx(made["mlm"]["eval_losses"], abs=1e-3), "half precision"
    assert len(set(dynamic["mlm"]["eval_losses"])) == 5
    assert dynamic["mlm"]["eval_loss"] == pytest.approx(sum(dynamic["mlm"]["eval_losses"]) / 5)
    assert dynamic["mlm"]["eval_loss"] < untrained["mlm"]["eval_loss"]
    assert dynamic["mlm"]["eval_loss"] != again["mlm"]["eval_loss"], "other masks"
    for result in found.values():
        both = result["quality"]["fine_tunings"]
        assert len({each["seed"] for each in both}) == 2
        assert sum(result["quality"]["test_sentences"]["gold"]) == result["quality"]["test_entities_gold"]
    assert [each["seed"] for each in untrained["quality"]["fine_tunings"]] == [
        each["seed"] for each in dynamic["quality"]["fine_tunings"]
    ], "arms of a seed are paired"

    status, output = finish(start(arms, *files, *text, "--seeds", "3", "--arms", "none", "--base", str(arms)))
    assert status, output
    assert "`base` must be a folder that a cell saved with --save_model" in output
