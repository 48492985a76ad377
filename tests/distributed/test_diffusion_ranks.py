"""Two ranks train on the bound of masked diffusion as one process does."""

from __future__ import annotations

import json

import pytest
from support.diffusion_training import trained
from support.launched import launched


def test_two_ranks_are_as_one_with_the_same_global_batch(wordpiece, tmp_path) -> None:
    """Their batches have different numbers of tokens."""
    wordpiece.save_pretrained(tmp_path)
    printed = launched(2, "support/diffusion_training.py", str(tmp_path))
    (line,) = [line for line in printed.splitlines() if line.startswith("TRAINED ")]
    found, expected = json.loads(line.removeprefix("TRAINED ")), trained(str(tmp_path), batch_size=4)
    assert found.pop("ranks") == 2
    assert len(expected["loss"]) == 4
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name
