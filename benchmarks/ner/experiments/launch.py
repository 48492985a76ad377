"""The launch that was asked for against the launch that runs.

`accelerate launch` can start less than it was asked for without an error: `--cpu --num_processes 2` and a config
of distributed type MULTI_CPU start one process, two processes on CPU stay unconnected unless the script itself
asks for CPU, FSDP on CPU trains plain DDP, and fp16 on CPU computes in float32. So what was asked is read from the
launcher's own command line, and what runs is observed: processes that answer, a layer's output, the model's wrappers.
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
        **_optional_settings(flags, config),
    }


def _optional_settings(flags: Namespace, config: BaseConfig | None) -> dict[str, Any]:
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
    return strategy_name(sharded, tensor_parallel)


def _option(name: str, section: str, flags: Namespace, config: BaseConfig | None) -> Any:
    """As the launcher reads it: a flag that is given, then the config file's section, then the flag's default."""
    default = getattr(flags, name, None)
    given = name in getattr(flags, "nondefault", ())
    return default if given else (getattr(config, section, None) or {}).get(name, default)


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
