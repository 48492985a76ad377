"""The launch that was asked for against the launch that runs.

`accelerate launch` can start less than it was asked for without an error: `--cpu --num_processes 2` and a config
of distributed type MULTI_CPU start one process, two processes on CPU stay unconnected unless the script itself
asks for CPU, FSDP on CPU trains plain DDP, and fp16 on CPU computes in float32. So what was asked is read from the
launcher's own command line, and what runs is observed: processes that answer, a layer's output, the model's wrappers.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import torch
from accelerate import Accelerator, PartialState
from accelerate.commands.config import default_config_file, load_config_from_file
from accelerate.commands.config.config_args import BaseConfig
from accelerate.commands.launch import launch_command_parser
from accelerate.utils import str_to_bool
from torch import nn
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel
from torch.distributed.tensor import DTensor
from transformers import TrainingArguments

DTYPE_OF_PRECISION = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}
SHARDED = ("FSDP", "DEEPSPEED")  # accelerate's names


def requested_launch() -> dict[str, Any]:
    """What the launcher of this process was asked for.

    Returns `num_processes`, `mixed_precision` ("no", "bf16", "fp16"), `use_cpu` and `config`, the stem of the config
    file or None; where it is asked for, also `num_machines` and `strategy`: "FSDP" (its first version), "FSDP2",
    "DEEPSPEED", "TP2" (tensor parallelism of 2 processes), "FSDP2+TP2" and the like.
    Call it before the working directory changes: a config file may be named relative to it.
    """
    for ancestor in psutil.Process().parents():
        command = readable_cmdline(ancestor)
        if launch_arguments(command) is not None:
            # The launcher overwrites ACCELERATE_USE_CPU for its children, its own environment is the user's.
            return parse_launch(command, ancestor.environ())
    return parse_launch([], os.environ)


def readable_cmdline(process: psutil.Process) -> list[str]:
    """The command line of a process, empty when it is gone or belongs to another user."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def launch_arguments(command: Sequence[str]) -> list[str] | None:
    """The arguments given to `accelerate launch` in a command line, None when that is not what it runs."""
    names = [Path(word).name for word in command]
    for index, name in enumerate(names):
        if name == "accelerate-launch":
            return list(command[index + 1 :])
        if names[index : index + 2] in (["accelerate", "launch"], ["-m", "accelerate.commands.launch"]):
            return list(command[index + 2 :])
    return None


def parse_launch(cmdline: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    """What a launcher's command line and environment ask for, flags before the config file.

    A command line without `accelerate launch` (torchrun, plain python) asks through WORLD_SIZE and
    ACCELERATE_MIXED_PRECISION, and for one process in float32 when they are unset.
    """
    use_cpu = bool(str_to_bool(env.get("ACCELERATE_USE_CPU", "false")))
    arguments = launch_arguments(cmdline)
    if arguments is None:
        return {
            "num_processes": int(env.get("WORLD_SIZE", 1)),
            "mixed_precision": env.get("ACCELERATE_MIXED_PRECISION", "no"),
            "use_cpu": use_cpu,
            "config": None,
        }
    flags = launch_command_parser().parse_args(arguments)
    file = config_file(flags.config_file, flags.cpu)
    config = load_config_from_file(file) if file else None
    return {
        "num_processes": flags.num_processes or file_processes(config) or default_processes(flags.cpu),
        "mixed_precision": flags.mixed_precision or (config and config.mixed_precision) or "no",
        "use_cpu": flags.cpu or use_cpu or bool(config and config.use_cpu),
        "config": Path(file).stem if file else None,
        **_beyond_one_machine_and_ddp(flags, config),
    }


def _beyond_one_machine_and_ddp(flags: Namespace, config: BaseConfig | None) -> dict[str, Any]:
    """Only what is asked for: most launches ask for neither, and the results of those do not mention it."""
    strategy = _requested_strategy(flags, config)
    machines = flags.num_machines or getattr(config, "num_machines", 1)
    return {
        **({"strategy": strategy} if strategy else {}),
        **({"num_machines": machines} if machines > 1 else {}),
    }


def _requested_strategy(flags: Namespace, config: BaseConfig | None) -> str | None:
    by_flag = {"FSDP": flags.use_fsdp, "DEEPSPEED": flags.use_deepspeed}
    by_file = None if flags.multi_gpu or any(by_flag.values()) else getattr(config, "distributed_type", None)
    sharded = next((name for name in SHARDED if by_flag[name] or by_file == name), None)
    if sharded == "FSDP" and str(_option("fsdp_version", "fsdp_config", flags, config)) == "2":
        sharded = "FSDP2"
    tensor_parallel = int(_option("parallelism_config_tp_size", "parallelism_config", flags, config) or 1)
    return _joined(sharded, tensor_parallel)


def _option(name: str, section: str, flags: Namespace, config: BaseConfig | None) -> Any:
    """As the launcher reads it: a flag that is given, then the config file's section, then the flag's default."""
    default = getattr(flags, name, None)
    given = name in getattr(flags, "nondefault", ())
    return default if given else (getattr(config, section, None) or {}).get(name, default)


def _joined(sharded: str | None, tensor_parallel: int) -> str | None:
    return "+".join([*filter(None, [sharded]), *([f"TP{tensor_parallel}"] if tensor_parallel > 1 else [])]) or None


def config_file(named: str | None, cpu: bool) -> str | None:
    """The config file that `accelerate launch` reads: the named one, else the user's default one but for --cpu."""
    if named is None and not cpu and os.path.isfile(default_config_file):
        return default_config_file
    return named


def file_processes(config: BaseConfig | None) -> int | None:
    return None if config is None else config.num_processes


def default_processes(cpu: bool) -> int:
    """How many processes `accelerate launch` starts when no number is given: one a GPU, at least one."""
    return 1 if cpu else max(1, torch.cuda.device_count())


class ComputeDtype:
    """Observe the dtype that a model computes in: that of its first linear layer's output in a training forward.

    A context manager around training; `dtype` is None until a training forward has run. Autocast leaves parameters
    in float32, so only an output tells, and not that of the whole model, which accelerate casts back to float32.
    Raises `ValueError` for a model without linear layer.
    """

    def __init__(self, model: nn.Module) -> None:
        layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
        if not layers:
            raise ValueError("model must have an nn.Linear whose output dtype can be observed, and has none.")
        self.layer = layers[0]
        self.dtype: torch.dtype | None = None

    def __enter__(self) -> "ComputeDtype":
        self.hook = self.layer.register_forward_hook(self.observe)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.hook.remove()

    def observe(self, layer: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        if layer.training:
            self.dtype = output.dtype


def observed_launch(
    source: Accelerator | PartialState | TrainingArguments,
    compute_dtype: torch.dtype | None,
    strategy: str | None = None,
) -> dict[str, int | str | None]:
    """The launch that runs; a collective call, for all ranks.

    Returns `world_size`, `backend` (None for one process), `compute_dtype`, `device`, `threads` a process, `strategy`
    as [`training_strategy`] saw it, and whether float32 products are in `tf32`.
    """
    device = source.device
    connected = PartialState().num_processes > 1
    return {
        "world_size": confirmed_world_size(device) if connected else 1,
        "backend": torch.distributed.get_backend() if connected else None,
        "compute_dtype": None if compute_dtype is None else str(compute_dtype).removeprefix("torch."),
        "device": f"cuda:{torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "strategy": strategy,
        "tf32": computes_in_tf32(device),
    }


def training_strategy(wrapped: nn.Module) -> str | None:
    """How the parameters of a model are sharded, by what it is wrapped in to be trained; None where they are not.

    The names are those of [`requested_launch`]. What accelerate says of itself is not asked: it says what it was told.
    """
    wrappers = {
        "DEEPSPEED": hasattr(wrapped, "zero_optimization_stage"),
        "FSDP2": any(isinstance(module, FSDPModule) for module in wrapped.modules()),
        "FSDP": any(isinstance(module, FullyShardedDataParallel) for module in wrapped.modules()),
    }
    meshes = (parameter.device_mesh for parameter in wrapped.parameters() if isinstance(parameter, DTensor))
    tensor_parallel = max((mesh["tp"].size() for mesh in meshes if "tp" in (mesh.mesh_dim_names or ())), default=1)
    return _joined(next((name for name, found in wrappers.items() if found), None), tensor_parallel)


def computes_in_tf32(device: torch.device) -> bool:
    """Whether matrix products of float32 are TF32: allowed, and by a GPU that can (Ampere and later)."""
    allowed = torch.get_float32_matmul_precision() != "highest"
    return allowed and device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def confirmed_world_size(device: torch.device) -> int:
    """The number of processes that really answer: the sum of a one from each."""
    ones = torch.ones((), dtype=torch.int64, device=device)
    torch.distributed.all_reduce(ones)
    return int(ones)


def leave(status: int) -> None:
    """Ends this process with an exit status once all processes are done; a collective call, the last one.

    A process that was joined by gloo now and then aborts while the interpreter shuts down, after all work is done and
    also after a barrier and `destroy_process_group` (3 of 54 launches with torch 2.13.0), and the launcher then
    reports a failure. So there is no shutdown: what is to be kept must have been written.
    """
    state = PartialState()
    gloo = state.num_processes > 1 and torch.distributed.get_backend() == "gloo"
    state.wait_for_everyone()
    state.destroy_process_group()
    if gloo:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def mismatch(requested: Mapping[str, Any], observed: Mapping[str, Any]) -> str | None:
    """Why the launch that runs is not the one asked for, None when it is."""
    reasons = []
    if observed["world_size"] != requested["num_processes"]:
        reasons.append(
            f"{requested['num_processes']} processes were asked for, {observed['world_size']} train together"
        )
    expected = DTYPE_OF_PRECISION.get(requested["mixed_precision"], requested["mixed_precision"])
    if observed["compute_dtype"] != expected:
        reasons.append(
            f"mixed_precision {requested['mixed_precision']} computes in {expected}, "
            f"{observed['compute_dtype'] or 'no training forward'} was seen"
        )
    if requested["use_cpu"] and observed["device"] != "cpu":
        reasons.append(f"the CPU was asked for, {observed['device']} trains")
    if (strategy := requested.get("strategy")) != observed.get("strategy"):
        reasons.append(f"{strategy or 'DDP'} was asked for, {observed.get('strategy') or 'DDP'} trains")
    if requested.get("tf32", False) != observed.get("tf32", False):
        names = {True: "TF32", False: "float32"}
        reasons.append(f"products in {names[not observed.get('tf32')]} were asked for, others were seen")
    return "; ".join(reasons) or None
