"""Launch configurations ask for what their names say, and what a machine cannot run is known beforehand."""

from __future__ import annotations

import pytest

from benchmarks.ner.experiments import launch_configs
from benchmarks.ner.experiments.grid import parse_grid
from benchmarks.ner.experiments.launch import parse_launch
from benchmarks.ner.experiments.launch_configs import unsupported_reason

CPU = {"num_processes": 1, "mixed_precision": "no", "use_cpu": True, "config": "cpu_1_fp32"}
GPU = {**CPU, "use_cpu": False}
UNEVEN = "processes must be a multiple of the 2 machines, but got 3"


@pytest.mark.parametrize("strategy", ["ddp", "fsdp", "fsdp2", "zero2"])
@pytest.mark.parametrize(("precision", "mixed"), [("fp32", "no"), ("tf32", "no"), ("bf16", "bf16"), ("fp8", "fp8")])
@pytest.mark.parametrize("processes", [1, 8])
def test_a_written_launch_asks_for_what_its_name_says(tmp_path, strategy, precision, mixed, processes) -> None:
    asked = {"precision": precision, "processes": processes, "strategy": strategy}
    (cell, *_) = parse_grid({"arms": ["none"], "seeds": [0], "launches": [asked]}, "runs").cells
    cell.launch.write(tmp_path)
    (path,) = tmp_path.iterdir()
    assert parse_launch(["accelerate", "launch", "--config_file", str(path), "run.py"], {}) == {
        **{"num_processes": processes, "mixed_precision": mixed, "use_cpu": False},
        "config": f"gpu_{processes}_{precision}" + ("" if strategy == "ddp" else f"_{strategy}"),
        **{
            "ddp": {},
            "fsdp": {"strategy": "FSDP"},
            "fsdp2": {"strategy": "FSDP2"},
            "zero2": {"strategy": "DEEPSPEED"},
        }[strategy],
    }


@pytest.mark.parametrize(
    ("requested", "reason"),
    [
        (CPU, None),
        ({**CPU, "num_processes": 9, "mixed_precision": "fp16"}, None),  # the run finds out what then computes
        (GPU, None),
        ({**GPU, "num_processes": 4}, "4 GPUs were requested, but this machine has 2"),
        ({**GPU, "num_processes": 4, "num_machines": 2}, None),
        (
            {**GPU, "num_processes": 3, "num_machines": 2},
            "processes must be a multiple of the 2 machines, but got 3",
        ),
        ({**GPU, "mixed_precision": "fp8"}, "no fp8 library: install transformer-engine, torchao or MS-AMP"),
        ({**GPU, "strategy": "DEEPSPEED"}, "no DeepSpeed: install deepspeed"),
        ({**GPU, "strategy": "FSDP"}, None),
        ({**GPU, "tf32": True}, "the GPU is too old for TF32"),
    ],
)
def test_what_a_machine_with_two_old_gpus_cannot_run(monkeypatch, requested, reason) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(launch_configs, "is_fp8_available", lambda: False)
    monkeypatch.setattr(launch_configs, "is_deepspeed_available", lambda: False)
    assert unsupported_reason(requested) == reason


def test_what_a_machine_without_gpu_cannot_run(monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert unsupported_reason(GPU) == "no GPU"
    assert unsupported_reason(CPU) is None
