"""The script for a GPU measures what it says, here at a small size on a CPU."""

from __future__ import annotations

import json
import sys

import pytest
from transformers import masking_utils

from benchmarks.speed import gpu, on_device


@pytest.mark.skipif(not hasattr(masking_utils, "create_bidirectional_mask"), reason="needs transformers 5")
def test_all_figures(tmp_path, monkeypatch) -> None:
    output = tmp_path / "result.json"
    small = ["--sizes", "tiny", "--steps", "3", "--batch_size", "4", "--length", "16"]
    monkeypatch.setattr(sys, "argv", ["gpu", "--output", str(output), *small])
    monkeypatch.setattr(on_device, "TOKENS", 1 << 10)
    monkeypatch.setattr(on_device.torch, "compile", lambda function, **options: function)
    gpu.main()
    figures = {each["measure"]: each for each in json.loads(output.read_text())["figures"]}
    for way in gpu.WAYS:
        for workers in gpu.WORKERS:
            assert figures[f"training, tiny, {way}, {workers} workers"]["value"] > 0
            assert 0 <= figures[f"training, tiny, {way}, {workers} workers, waiting for data"]["value"] <= 100
    assert figures["masking on the device, eager / a copy"]["value"] > 0
    monkeypatch.setattr(gpu, "RESULT", output)
    assert "| training, tiny, padded, 0 workers | 4 x 16 |" in gpu.markdown()


def test_without_a_result(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(gpu, "RESULT", tmp_path / "none.json")
    assert gpu.markdown() == "Not run: no GPU was available.\n"
