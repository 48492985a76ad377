"""The harness as its user runs it: by `accelerate launch`, stopped, started again, with one process and with two."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.ner.data.synthetic import embedded_corpus
from benchmarks.ner.training.curve import columns

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "benchmarks" / "ner" / "config" / "launch"
SHORT = ["--mlm_epochs", "2", "--ner_epochs", "1", "--mlm_batch_size", "4", "--seeds", "0"]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Arguments that name a small corpus in CoNLL columns."""
    folder = tmp_path_factory.mktemp("small")
    arguments = []
    for name, split in embedded_corpus(sizes={"train": 120, "validation": 30, "test": 30}).items():
        rows = ("\n".join(map("\t".join, zip(row["words"], row["tags"], strict=True))) for row in split)
        (folder / f"{name}.txt").write_text("\n\n".join(rows), encoding="utf-8")
        arguments += [f"--{name}_file", str(folder / f"{name}.txt")]
    return arguments


def _start(config: str, output_dir: Path, *arguments: str, cwd: Path = ROOT) -> subprocess.Popen:
    accelerate = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(LAUNCH / f"{config}.yaml")]
    return subprocess.Popen(
        [*accelerate, "-m", "benchmarks.ner", "--output_dir", str(output_dir), *SHORT, *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _results(output_dir: Path) -> dict[str, dict]:
    return {path.name: json.loads(path.read_text()) for path in output_dir.glob("*.json")}


def _tracked(folder: Path, stage: str) -> dict[str, np.ndarray]:
    """What TensorBoard would draw: steps and values of each curve, `[2, points]`."""
    (run,) = folder.glob(f"anneal*/{stage}/runs/*")
    events = EventAccumulator(str(run)).Reload()
    return {tag: np.array([(e.step, e.value) for e in events.Scalars(tag)]).T for tag in events.Tags()["scalars"]}


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path, files) -> None:
    arms = ["--arms", "none", "static", "dynamic"]
    process = _start("cpu_1_fp32", tmp_path, *files, *arms)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("*.json")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert 1 <= len(before) < 3

    broken = next(tmp_path.glob("*.json"))
    (tmp_path / ".half.json.tmp").write_text(broken.read_text()[:100])  # what a kill while writing leaves
    process = _start("cpu_1_fp32", tmp_path, *files, *arms)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert output.count("(finished before)") == len(before)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.json") if path.name in before} == before
    results = _results(tmp_path)
    assert sorted(result["arm"]["name"] for result in results.values()) == ["dynamic", "none", "static"]
    assert {result["status"] for result in results.values()} == {"ok"}
    for line in ("none", "static", "dynamic"):
        assert line in output

    broken.write_text(broken.read_text()[:-20])
    process = _start("cpu_1_fp32", tmp_path, *files, *arms)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert f"rejected {broken.name}" in " ".join(output.split())
    assert len(list(tmp_path.glob(f"{broken.name}.rejected.*"))) == 1
    assert len(_results(tmp_path)) == 3


def test_two_processes_train_together_in_the_precision_asked_for(tmp_path, files) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    tracked = [*files, "--arms", "none", "anneal", "--report_to", "tensorboard"]
    process = _start("cpu_2_bf16", tmp_path, *tracked, cwd=elsewhere)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert not list(elsewhere.iterdir()), "what is tracked goes into the output folder"
    (result,) = (result for result in _results(tmp_path).values() if result["arm"]["name"] == "anneal")
    assert result["status"] == "ok"
    observed = result["launch"]["observed"]
    assert (observed["world_size"], observed["backend"], observed["compute_dtype"]) == (2, "gloo", "bfloat16")
    assert result["quality"]["test_entities_gold"] > 0
    assert len(result["quality"]["test_sentences"]["gold"]) == result["dataset"]["sentences"]["test"]
    _, rates = columns(result, "step", "mask_rate")
    steps, observed_rates = columns(result, "step", "masked_fraction")
    assert rates.tolist() == sorted(rates, reverse=True)
    assert 0.15 < rates[-1] < rates[0] <= 0.30
    assert abs(observed_rates - rates).max() < 0.03, "of both ranks, over the steps before"
    curves = {stage: _tracked(tmp_path / "trainer", stage) for stage in ("mlm", "ner")}
    np.testing.assert_allclose(curves["mlm"]["train/masked_fraction"], [steps, observed_rates], rtol=1e-6)
    np.testing.assert_allclose(curves["mlm"]["train/mask_rate"], [steps, rates], rtol=1e-6)
    assert {"train/loss", "train/masked_fraction"} <= curves["ner"].keys()


def test_a_launch_that_does_less_than_asked_is_failed(tmp_path, files) -> None:
    """fp16 on the CPU computes in fp32, and nothing says so."""
    config = tmp_path / "fp16.yaml"
    config.write_text(
        (LAUNCH / "cpu_1_fp32.yaml").read_text().replace("mixed_precision: 'no'", "mixed_precision: fp16")
    )
    assert "fp16" in config.read_text()
    process = _start(str(config.with_suffix("")), tmp_path / "runs", *files, "--arms", "none")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output
    (result,) = _results(tmp_path / "runs").values()
    assert result["status"] == "failed"
    assert "computes in float16, but float32 was observed" in result["reason"]
    assert "Failed" in output
