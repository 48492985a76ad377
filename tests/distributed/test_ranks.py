from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_dynmask.strategies.token_losses import TokenLosses

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def masks(wordpiece, tmp_path_factory) -> dict[str, list]:
    """What two ranks mask, `[ranks, batches, places]` for each collator."""
    folder = tmp_path_factory.mktemp("tokenizer")
    wordpiece.save_pretrained(folder)
    config = ROOT / "benchmarks" / "ner" / "config" / "launch" / "cpu_2_fp32.yaml"
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    script = Path(__file__).with_name("ranks.py")
    done = subprocess.run(
        [*launch, str(script), str(folder)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RANKS ")]
    return json.loads(line.removeprefix("RANKS "))


def test_the_stock_collator_masks_the_same_places_on_both_ranks(masks) -> None:
    first, second = masks["stock"]
    assert first == second


@pytest.mark.parametrize("collator", ["epoch unknown", "epoch known"])
def test_two_ranks_mask_other_places(masks, collator) -> None:
    first, second = np.array(masks[collator])
    assert first.shape == second.shape
    assert all((one != other).any() for one, other in zip(first, second, strict=True))
    both = (first & second).mean()
    assert abs(both - 0.15**2) < 4 * np.sqrt(0.15**2 / first.size), "no more in common than chance gives"


def test_adaptive_weights_are_the_same_on_both_ranks_and_tell_the_losses_of_both(masks, wordpiece) -> None:
    (first, weights), second = masks["adaptive"]
    assert [first, weights] == second
    losses = TokenLosses()
    losses.load_state_dict(first)
    assert losses._history[1].sum() == 2 * 3 * 4 * 64, "each rank noted 3 batches of 4 x 64 losses"
    assert len(set(weights[5:45])) == 40
