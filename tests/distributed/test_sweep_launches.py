"""Sweeps whose cells are really launched: known again when they are finished, and gone on with after a kill."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from support.harness import ROOT, corpus

from benchmarks.ner import sweep
from benchmarks.ner.experiments.result_reader import read_results

SHORT = {"mlm_epochs": 1, "ner_epochs": 1, "mlm_batch_size": 4}


pytestmark = pytest.mark.usefixtures("signal_handlers")


def grid_file(folder: Path, **changes: object) -> Path:
    words = corpus(folder)
    files = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    path = folder / "grid.yaml"
    asked = {"arms": ["none"], "seeds": [0], "launches": ["cpu_1_fp32"], "datasets": [files], "arguments": SHORT}
    path.write_text(yaml.safe_dump({**asked, **changes}))
    return path


def main(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["sweep", *map(str, words)])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(SystemExit) as left:
        sweep.main()
    return left.value.code


def test_a_real_cell_is_run_and_known_again(tmp_path, monkeypatch, capsys) -> None:
    grid, output_dir = grid_file(tmp_path), tmp_path / "runs"
    assert main(monkeypatch, grid, "--output_dir", output_dir, "--dry_run") == 0
    assert "1/1 none, seed 0" in (output := capsys.readouterr().out)
    assert output.endswith("cpu_1_fp32: run\n")
    assert not output_dir.exists()
    assert main(monkeypatch, grid, "--output_dir", output_dir) == 0, capsys.readouterr().out
    assert ": ok, MLM loss " in capsys.readouterr().out
    assert main(monkeypatch, grid, "--output_dir", output_dir, "--dry_run") == 0
    assert capsys.readouterr().out.endswith(": finished\n")


def test_real_cells_that_do_what_they_can_and_a_sweep_that_is_killed(tmp_path, stress, report_figure) -> None:
    if not stress:
        pytest.skip("starts several launches: with --stress")
    launches = ["cpu_1_fp32", "cpu_2_bf16", {"device": "cpu", "precision": "fp16"}, {"strategy": ["zero2", "ddp"]}]
    launches.append({"device": "cpu", "processes": 3})  # cannot share batches of 4
    grid, output_dir = grid_file(tmp_path, launches=launches), tmp_path / "runs"
    command = [sys.executable, "-m", "benchmarks.ner.sweep", str(grid), "--output_dir", str(output_dir)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    while not list((output_dir / "logs").glob("*")) or len(list((output_dir / "logs").glob("*"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()
    (first,) = output_dir.glob("*.json")
    before = first.read_bytes()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1, done.stdout
    assert first.read_bytes() == before
    results, rejected = read_results(output_dir)
    reasons = {result["launch"]["requested"]["config"]: result["reason"] for result in results}
    assert (len(results), rejected) == (6, [])
    assert reasons["cpu_1_fp32"] is reasons["cpu_2_bf16"] is None
    assert "computes in float16, but float32 was observed" in reasons["cpu_1_fp16"]
    assert "must be a multiple of the 3 processes" in reasons["cpu_3_fp32"]
    assert {result["status"] for result in results} >= {"ok", "failed", "skipped"} or "gpu_1_fp32" in reasons
    report_figure("sweeps", "killed once, then all of 6 cells with a result, none run twice")


def test_two_machines_run_a_cell_together(tmp_path, stress) -> None:
    """Two sweeps on this machine, each the half of a launch."""
    if not stress:
        pytest.skip("starts several launches: with --stress")
    grid, output_dir = grid_file(tmp_path, launches=["cpu_2_fp32", "cpu_1_fp32"]), tmp_path / "runs"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    machines = ["--num_machines", "2", "--main_process_ip", "127.0.0.1", "--main_process_port", port]
    command = [sys.executable, "-m", "benchmarks.ner.sweep", str(grid), "--output_dir", str(output_dir), *machines]
    pair = [
        subprocess.Popen([*command, "--machine_rank", rank], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    outputs = [process.communicate(timeout=600)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], outputs
    assert all("skipped: processes must be a multiple of the 2 machines, but got 1" in text for text in outputs)
    results, rejected = read_results(output_dir)
    assert (sorted(result["status"] for result in results), rejected) == (["ok", "skipped"], [])
    (ok,) = (result for result in results if result["status"] == "ok")
    assert (ok["launch"]["requested"]["num_machines"], ok["launch"]["observed"]["world_size"]) == (2, 2)
