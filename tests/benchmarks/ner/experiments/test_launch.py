"""The launch asked for, read from command lines; the launch observed, in this process."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.commands.config.config_args import ClusterConfig
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

from benchmarks.ner.experiments import launch
from benchmarks.ner.experiments.launch import launch_arguments, mismatch, parse_launch, requested_launch
from benchmarks.ner.training.observed_launch import ComputeDtype, observed_launch, training_strategy

needs_parallelism = pytest.mark.skipif(
    not hasattr(ClusterConfig, "parallelism_config"), reason="accelerate before 1.10 has no parallelism_config"
)
CONFIGS = Path(launch.__file__).parents[1] / "config" / "launch"
LAUNCHER = ["/env/bin/python3", "/env/bin/accelerate", "launch"]
SCRIPT = ["-m", "benchmarks.ner", "--num_processes", "9"]


@pytest.fixture(autouse=True)
def no_default_config(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "default_config_file", str(tmp_path / "default_config.yaml"))


def asked(num_processes=1, mixed_precision="no", use_cpu=False, config=None, **further):
    return {
        "num_processes": num_processes,
        "mixed_precision": mixed_precision,
        "use_cpu": use_cpu,
        "config": config,
        **further,
    }


def with_config(name, *flags):
    return [*LAUNCHER, "--config_file", str(CONFIGS / f"{name}.yaml"), *flags, *SCRIPT]


@pytest.mark.parametrize(
    ("command", "env", "expected"),
    [
        ([*LAUNCHER, "--cpu", "--num_processes", "2", *SCRIPT], {}, asked(2, use_cpu=True)),
        ([*LAUNCHER, "--cpu", *SCRIPT], {}, asked(1, use_cpu=True)),
        ([*LAUNCHER, "--num-processes=2", "--mixed-precision=bf16", *SCRIPT], {}, asked(2, "bf16")),
        (
            [*LAUNCHER, "--multi_gpu", "--num_processes", "2", "--main_process_port", "0", *SCRIPT],
            {"ACCELERATE_USE_CPU": "1"},
            asked(2, use_cpu=True),
        ),
        (["/env/bin/accelerate-launch", "--num_processes", "3", *SCRIPT], {}, asked(3)),
        (["python", "-m", "accelerate.commands.launch", "--num_processes", "3", *SCRIPT], {}, asked(3)),
        ([*LAUNCHER, "--num_processes", "2", "-m", "benchmarks.ner"], {}, asked(2)),
        ([*LAUNCHER, "--num_processes", "2", *SCRIPT], {"ACCELERATE_MIXED_PRECISION": "bf16"}, asked(2)),
        (with_config("cpu_2_bf16"), {}, asked(2, "bf16", True, "cpu_2_bf16")),
        (with_config("cpu_1_fp32", "--mixed_precision", "bf16"), {}, asked(1, "bf16", True, "cpu_1_fp32")),
        (with_config("cpu_2_bf16", "--mixed_precision", "no"), {}, asked(2, "no", True, "cpu_2_bf16")),
        (with_config("cpu_1_fp32", "--num_processes", "4"), {}, asked(4, "no", True, "cpu_1_fp32")),
        ([*LAUNCHER, "--use_fsdp", "--num_processes", "2", *SCRIPT], {}, asked(2, strategy="FSDP")),
        (
            [*LAUNCHER, "--use_fsdp", "--fsdp_version", "2", "--num_processes", "2", *SCRIPT],
            {},
            asked(2, strategy="FSDP2"),
        ),
        ([*LAUNCHER, "--use_deepspeed", "--num_processes", "2", *SCRIPT], {}, asked(2, strategy="DEEPSPEED")),
        ([*LAUNCHER, "--num_machines", "2", "--num_processes", "4", *SCRIPT], {}, asked(4, num_machines=2)),
        (["torchrun", "run.py"], {"WORLD_SIZE": "2", "ACCELERATE_MIXED_PRECISION": "bf16"}, asked(2, "bf16")),
        (["python", "run.py"], {}, asked()),
    ],
)
def test_what_was_asked_for(command, env, expected):
    assert parse_launch(command, env) == expected


def test_the_config_of_the_user_counts_as_the_launcher_counts_it(tmp_path):
    (tmp_path / "default_config.yaml").write_text(
        "distributed_type: MULTI_CPU\nnum_processes: 2\nmixed_precision: bf16\nuse_cpu: true\n"
    )
    assert parse_launch([*LAUNCHER, *SCRIPT], {}) == asked(2, "bf16", True, "default_config")
    assert parse_launch([*LAUNCHER, "--cpu", *SCRIPT], {}) == asked(1, use_cpu=True)


@pytest.mark.parametrize(
    ("config", "flags", "strategy"),
    [
        ("distributed_type: FSDP\nfsdp_config: {fsdp_version: 1}\n", [], "FSDP"),
        ("distributed_type: FSDP\nfsdp_config: {fsdp_version: 2}\n", [], "FSDP2"),
        ("distributed_type: FSDP\nfsdp_config: {fsdp_version: 2}\n", ["--fsdp_version", "1"], "FSDP"),
        ("distributed_type: FSDP\nfsdp_config: {fsdp_version: 2}\n", ["--multi_gpu"], None),
        ("distributed_type: FSDP\n", ["--use_deepspeed"], "DEEPSPEED"),
        ("distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 2}\n", [], "DEEPSPEED"),
    ],
)
def test_what_is_to_shard_the_model_is_read_as_the_launcher_reads_it(tmp_path, config, flags, strategy):
    file = tmp_path / "given.yaml"
    file.write_text(f"num_processes: 2\nmixed_precision: 'no'\nuse_cpu: true\n{config}")
    request = parse_launch([*LAUNCHER, "--config_file", str(file), *flags, *SCRIPT], {})
    assert request.get("strategy") == strategy


@needs_parallelism
@pytest.mark.parametrize(
    ("kind", "strategy"), [("MULTI_GPU", "TP2"), ("FSDP\nfsdp_config: {fsdp_version: 2}", "FSDP2+TP2")]
)
def test_tensor_parallelism_is_asked_for_in_a_config_file(tmp_path, kind, strategy):
    file = tmp_path / "given.yaml"
    sizes = "parallelism_config: {parallelism_config_tp_size: 2, parallelism_config_dp_shard_size: 1}"
    file.write_text(f"num_processes: 2\nuse_cpu: true\n{sizes}\ndistributed_type: {kind}\n")
    assert parse_launch([*LAUNCHER, "--config_file", str(file), *SCRIPT], {})["strategy"] == strategy


@pytest.mark.parametrize(
    "command", [[], ["python", "launch"], ["accelerate", "config"], ["bash", "-c", "accelerate launch a"]]
)
def test_other_command_lines_are_no_launch(command):
    assert launch_arguments(command) is None


def test_each_config_file_asks_for_what_its_name_says():
    names = {path.stem for path in CONFIGS.glob("*.yaml")}
    assert {f"cpu_{count}_{kind}" for count in (1, 2) for kind in ("fp32", "bf16")} <= names
    for count in (1, 2):
        for kind, precision in (("fp32", "no"), ("bf16", "bf16")):
            name = f"cpu_{count}_{kind}"
            assert parse_launch(with_config(name), {}) == asked(count, precision, True, name)


def test_this_process_was_asked_for_by_its_environment(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert requested_launch() == asked(2, "bf16", True)


def seen(world_size=1, compute_dtype="float32", device="cpu", **further):
    return {"world_size": world_size, "compute_dtype": compute_dtype, "device": device, **further}


@pytest.mark.parametrize(
    ("requested", "observed", "reason"),
    [
        (asked(), seen(), None),
        (asked(2, "bf16"), seen(2, "bfloat16"), None),
        (asked(1, "fp16"), seen(1, "float16"), None),
        (asked(), seen(device="cuda:H100"), None),
        (asked(use_cpu=True), seen(device="cuda:H100"), "the CPU was requested, but cuda:H100 trains"),
        (asked(2), seen(1), "2 processes were requested, but 1 train together"),
        (asked(1, "fp16"), seen(), "mixed_precision fp16 computes in float16, but float32 was observed"),
        (asked(1, "no"), seen(1, "bfloat16"), "mixed_precision no computes in float32, but bfloat16 was observed"),
        (asked(1, "fp8"), seen(), "mixed_precision fp8 computes in fp8, but float32 was observed"),
        (asked(strategy="FSDP"), seen(strategy="FSDP"), None),
        (asked(strategy="FSDP"), seen(strategy=None), "FSDP was requested, but DDP trains"),
        (asked(strategy="FSDP2"), seen(strategy="FSDP"), "FSDP2 was requested, but FSDP trains"),
        (asked(strategy="FSDP2+TP2"), seen(strategy="FSDP2"), "FSDP2+TP2 was requested, but FSDP2 trains"),
        (asked(), seen(strategy="DEEPSPEED"), "DDP was requested, but DEEPSPEED trains"),
        (asked(tf32=True), seen(tf32=True), None),
        (asked(tf32=True), seen(tf32=False), "TF32 products were requested, but others were observed"),
        (asked(), seen(tf32=True), "float32 products were requested, but others were observed"),
        (asked(), seen(1, None), "mixed_precision no computes in float32, but no training forward pass was observed"),
    ],
)
def test_mismatch(requested, observed, reason):
    assert mismatch(requested, observed) == reason


def test_both_mismatches_are_named():
    assert mismatch(asked(2, "bf16"), seen()).count(";") == 1


def test_compute_dtype_is_that_of_training_forwards_under_autocast():
    model = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 2))
    with ComputeDtype(model) as compute:
        model.eval()(torch.tensor([1]))
        assert compute.dtype is None
        model.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model(torch.tensor([1]))
        assert compute.dtype is torch.bfloat16
    model(torch.tensor([1]))
    assert compute.dtype is torch.bfloat16
    assert not model[1]._forward_hooks


def test_compute_dtype_needs_a_linear_layer():
    with pytest.raises(ValueError, match=r"`model` must have an nn\.Linear"):
        ComputeDtype(nn.Embedding(3, 4))


def test_one_process_is_observed_without_a_process_group():
    observed = observed_launch(Accelerator(cpu=True), torch.float32)
    assert observed == {
        "world_size": 1,
        "backend": None,
        "compute_dtype": "float32",
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "strategy": None,
        "tf32": False,
    }


@pytest.fixture
def one_rank():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:FSDP is switching to use `NO_SHARD`", "ignore:DTensor random operators")
def test_what_shards_a_model_is_read_off_it(one_rank):
    def model():
        return nn.Sequential(nn.Linear(2, 2))

    class DeepSpeedEngine(nn.Module):
        def zero_optimization_stage(self):
            return 2

    mesh = init_device_mesh("cpu", (1,), mesh_dim_names=("tp",))
    assert training_strategy(model()) is None
    assert training_strategy(nn.parallel.DistributedDataParallel(model())) is None
    assert training_strategy(fully_shard(model(), mesh=mesh)) == "FSDP2"
    assert training_strategy(nn.Sequential(FullyShardedDataParallel(model(), device_id=torch.device("cpu")))) == "FSDP"
    assert training_strategy(DeepSpeedEngine()) == "DEEPSPEED"
    assert training_strategy(parallelize_module(model(), mesh, {"0": ColwiseParallel()})) is None, "over one process"
