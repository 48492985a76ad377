"""The requested launch, compared to the observed one.

`accelerate launch` can start less than requested without an error. `--cpu --num_processes 2` and a config of
distributed type MULTI_CPU start one process; two processes on CPU stay unconnected unless the script itself requests
the CPU; FSDP on CPU trains plain DDP; fp16 on CPU computes in float32. So the request is read from the command line of
the launcher, and the actual launch is observed: processes that answer, the dtype of a layer's output, the wrappers of
the model.
"""

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from accelerate.commands.config import default_config_file, load_config_from_file
from accelerate.commands.config.config_args import BaseConfig
from accelerate.commands.launch import launch_command_parser
from accelerate.utils import str_to_bool

from benchmarks.ner.training.observed_launch import strategy_name

DTYPE_OF_PRECISION = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}
SHARDED = ("FSDP", "DEEPSPEED")  # accelerate's names


def requested_launch() -> dict[str, Any]:
    """Returns what was requested from the launcher of this process.

    The keys are `num_processes`, `mixed_precision` ("no", "bf16", "fp16"), `use_cpu` and `config`, the stem of the
    config file or None. If requested, there are also `num_machines` and `strategy`: "FSDP" (version 1), "FSDP2",
    "DEEPSPEED", "TP2" (tensor parallelism of 2 processes), "FSDP2+TP2" and so on.
    Call it before the working directory changes, because the path of the config file may be relative.
    """
    for ancestor in psutil.Process().parents():
        command = readable_cmdline(ancestor)
        if launch_arguments(command) is not None:
            # The launcher overwrites ACCELERATE_USE_CPU for its children; its own environment is that of the user.
            return parse_launch(command, ancestor.environ())
    return parse_launch([], os.environ)


def readable_cmdline(process: psutil.Process) -> list[str]:
    """Returns the command line of a process, empty if it has ended or belongs to another user."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def launch_arguments(command: Sequence[str]) -> list[str] | None:
    """Returns the arguments of `accelerate launch` in a command line, or None if it runs something else."""
    names = [Path(word).name for word in command]
    for index, name in enumerate(names):
        if name == "accelerate-launch":
            return list(command[index + 1 :])
        if names[index : index + 2] in (["accelerate", "launch"], ["-m", "accelerate.commands.launch"]):
            return list(command[index + 2 :])
    return None


def parse_launch(cmdline: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    """Returns what the command line and the environment of a launcher request; flags override the config file.

    A command line without `accelerate launch` (torchrun, plain python) requests the values of WORLD_SIZE and
    ACCELERATE_MIXED_PRECISION, or one process in float32 if they are unset.
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
        **_optional_settings(flags, config),
    }


def _optional_settings(flags: Namespace, config: BaseConfig | None) -> dict[str, Any]:
    """Returns these keys only if requested: the identity of a result does not include defaults."""
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
    return strategy_name(sharded, tensor_parallel)


def _option(name: str, section: str, flags: Namespace, config: BaseConfig | None) -> Any:
    """Returns an option as the launcher reads it: a flag, then the section of the config file, then the default."""
    default = getattr(flags, name, None)
    given = name in getattr(flags, "nondefault", ())
    return default if given else (getattr(config, section, None) or {}).get(name, default)


def config_file(named: str | None, cpu: bool) -> str | None:
    """Returns the config file that `accelerate launch` reads: the named one, or the default one unless --cpu is set."""
    if named is None and not cpu and os.path.isfile(default_config_file):
        return default_config_file
    return named


def file_processes(config: BaseConfig | None) -> int | None:
    return None if config is None else config.num_processes


def default_processes(cpu: bool) -> int:
    """Returns how many processes `accelerate launch` starts by default: one per GPU, and at least one."""
    return 1 if cpu else max(1, torch.cuda.device_count())


def mismatch(requested: Mapping[str, Any], observed: Mapping[str, Any]) -> str | None:
    """Returns how the observed launch differs from the requested one, or None."""
    reasons = []
    if observed["world_size"] != requested["num_processes"]:
        reasons.append(
            f"{requested['num_processes']} processes were requested, but {observed['world_size']} train together"
        )
    expected = DTYPE_OF_PRECISION.get(requested["mixed_precision"], requested["mixed_precision"])
    if observed["compute_dtype"] != expected:
        reasons.append(
            f"mixed_precision {requested['mixed_precision']} computes in {expected}, but "
            f"{observed['compute_dtype'] or 'no training forward pass'} was observed"
        )
    if requested["use_cpu"] and observed["device"] != "cpu":
        reasons.append(f"the CPU was requested, but {observed['device']} trains")
    if (strategy := requested.get("strategy")) != observed.get("strategy"):
        reasons.append(f"{strategy or 'DDP'} was requested, but {observed.get('strategy') or 'DDP'} trains")
    if requested.get("tf32", False) != observed.get("tf32", False):
        names = {True: "TF32", False: "float32"}
        reasons.append(f"{names[not observed.get('tf32')]} products were requested, but others were observed")
    return "; ".join(reasons) or None
