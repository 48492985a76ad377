"""Real launches on CPU: the configs start what they say, and what starts less is found out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.extended  # test_harness.py has a launch of each kind

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "benchmarks" / "ner" / "config" / "launch"

SCRIPT = """
import json, sys, torch
from accelerate import Accelerator
from transformers import TrainingArguments
from benchmarks.ner.experiments.distributed import exit_all_ranks
from benchmarks.ner.experiments.launch import mismatch, requested_launch
from benchmarks.ner.training.observed_launch import ComputeDtype, observed_launch, training_strategy

requested = requested_launch()
arguments = TrainingArguments(output_dir=sys.argv[1], use_cpu=requested["use_cpu"], report_to=[])
assert arguments.device.type == "cpu"
accelerator = Accelerator()
model = torch.nn.Sequential(torch.nn.Linear(2, 2))
with ComputeDtype(model) as compute:
    wrapped = accelerator.prepare(model)
    wrapped(torch.ones(1, 2))
observed = observed_launch(arguments, compute.dtype, training_strategy(wrapped))
if accelerator.is_main_process:
    seen = {"requested": requested, "observed": observed, "reason": mismatch(requested, observed)}
    print(json.dumps(seen))
exit_all_ranks(0)
"""

TWO_ON_CPU = "num_processes: 2\nnum_machines: 1\nmixed_precision: 'no'\nuse_cpu: true\nmain_process_port: 0\n"
MULTI_CPU = f"distributed_type: MULTI_CPU\n{TWO_ON_CPU}"
FSDP2 = f"distributed_type: FSDP\nfsdp_config: {{fsdp_version: 2}}\n{TWO_ON_CPU}"


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """What each launch saw of itself; all are started at once, which also shows that their ports do not collide."""
    folder = tmp_path_factory.mktemp("launch")
    script, multi_cpu, fsdp2 = folder / "script.py", folder / "multi_cpu.yaml", folder / "fsdp2.yaml"
    script.write_text(SCRIPT)
    multi_cpu.write_text(MULTI_CPU)
    fsdp2.write_text(FSDP2)
    flags = {
        "cpu_2_fp32": ["--config_file", str(CONFIGS / "cpu_2_fp32.yaml")],
        "cpu_2_bf16": ["--config_file", str(CONFIGS / "cpu_2_bf16.yaml")],
        "multi_cpu": ["--config_file", str(multi_cpu)],
        "fsdp2": ["--config_file", str(fsdp2)],
        "cpu_flag": ["--cpu", "--num_processes", "2", "--mixed_precision", "fp16"],
    }
    launcher = [sys.executable, "-m", "accelerate.commands.launch"]
    options = {"env": {**os.environ, "PYTHONPATH": str(ROOT)}, "cwd": folder, "text": True}
    started = {
        name: subprocess.Popen([*launcher, *values, str(script), str(folder)], stdout=subprocess.PIPE, **options)
        for name, values in flags.items()
    }
    outputs = {name: process.communicate(timeout=120)[0] for name, process in started.items()}
    assert [process.returncode for process in started.values()] == [0] * len(flags)
    return {name: json.loads(output.splitlines()[-1]) for name, output in outputs.items()}


@pytest.mark.parametrize(("name", "dtype"), [("cpu_2_fp32", "float32"), ("cpu_2_bf16", "bfloat16")])
def test_two_processes_are_connected_and_compute_as_asked(launched, name, dtype):
    seen = launched[name]
    assert seen["requested"]["num_processes"] == seen["observed"]["world_size"] == 2
    assert (seen["observed"]["backend"], seen["observed"]["compute_dtype"]) == ("gloo", dtype)
    assert (seen["requested"]["config"], seen["reason"]) == (name, None)


def test_a_multi_cpu_config_starts_one_process_and_is_found_out(launched):
    assert launched["multi_cpu"]["observed"]["world_size"] == 1
    assert launched["multi_cpu"]["reason"] == "2 processes were requested, but 1 train together"


def test_fsdp_on_the_cpu_is_ddp_and_is_found_out(launched):
    """accelerate shards on an accelerator only, and does not say so."""
    assert launched["fsdp2"]["observed"]["world_size"] == 2
    assert launched["fsdp2"]["reason"] == "FSDP2 was requested, but DDP trains"


def test_the_cpu_flag_starts_one_process_in_float32_and_is_found_out(launched):
    reason = launched["cpu_flag"]["reason"]
    assert "2 processes were requested, but 1 train together" in reason
    assert "fp16 computes in float16, but float32 was observed" in reason
