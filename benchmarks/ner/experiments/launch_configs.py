"""Launch configurations: files in `config/launch/`, or combinations of devices, processes, precisions and strategies.

Also finds out which launches this machine does not support.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate.utils import is_deepspeed_available, is_fp8_available

FOLDER = Path(__file__).parents[1] / "config" / "launch"
PRECISIONS = {"fp32": "no", "tf32": "no", "fp16": "fp16", "bf16": "bf16", "fp8": "fp8"}
STRATEGIES: dict[str, dict[str, Any]] = {  # the config of each; DDP with one process needs none
    "ddp": {"distributed_type": "MULTI_GPU"},
    "fsdp": {
        "distributed_type": "FSDP",
        "fsdp_config": {
            "fsdp_version": 1,
            "fsdp_sharding_strategy": "FULL_SHARD",
            "fsdp_auto_wrap_policy": "NO_WRAP",
            "fsdp_state_dict_type": "FULL_STATE_DICT",
            "fsdp_use_orig_params": True,
        },
    },
    "fsdp2": {
        "distributed_type": "FSDP",
        "fsdp_config": {
            "fsdp_version": 2,
            "fsdp_reshard_after_forward": True,
            "fsdp_auto_wrap_policy": "NO_WRAP",
            "fsdp_state_dict_type": "FULL_STATE_DICT",
        },
    },
    "zero2": {"distributed_type": "DEEPSPEED", "deepspeed_config": {"zero_stage": 2}},
}
DEVICES = ("gpu", "cpu")
LAUNCH_OPTIONS: dict[str, tuple[Callable[[Any], bool], Any, str]] = {  # key: check of a value, default, rule
    "device": (lambda value: value in DEVICES, "gpu", f"of {', '.join(DEVICES)}"),
    "processes": (lambda value: type(value) is int and value > 0, 1, "integers >= 1"),
    "precision": (lambda value: value in list(PRECISIONS), "fp32", f"of {', '.join(PRECISIONS)}"),
    "strategy": (lambda value: value in list(STRATEGIES), "ddp", f"of {', '.join(STRATEGIES)}"),
}
MIN_COMPUTE_CAPABILITY = {"TF32": (8, 0), "fp8": (8, 9)}  # Ampere; Ada and Hopper


@dataclass(frozen=True)
class Launch:
    """A config file of accelerate: its name, which results store, and its content."""

    name: str
    config: dict[str, Any]
    tf32: bool = False

    def __str__(self) -> str:
        return self.name

    def write(self, folder: Path) -> None:
        """Writes the config file `<name>.yaml`."""
        text = yaml.safe_dump(self.config, sort_keys=False)
        (folder / f"{self.name}.yaml").write_text(text, encoding="utf-8")


def load_launch(name: str) -> Launch:
    """Loads a file in `config/launch/` by its name, or any file by its path.

    Raises `ValueError` if there is no such file.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
        raise ValueError(f"`launches` must be among {names} or a .yaml file, but got {name!r}. Add that file.")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError(f"`launches` must be files of `accelerate config`, but got {name!r}. Correct that file.")
    return Launch(path.stem, config)


def combine_launches(choices: Mapping[str, list[Any]]) -> Iterator[Launch]:
    """Yields a launch for each combination of device, number of processes, precision and strategy."""
    for device, processes, precision, strategy in product(*(choices[key] for key in LAUNCH_OPTIONS)):
        name = f"{device}_{processes}_{precision}" + ("" if strategy == "ddp" else f"_{strategy}")
        alone = processes == 1 and strategy == "ddp"
        config = {
            "compute_environment": "LOCAL_MACHINE",
            **({"distributed_type": "NO"} if alone else STRATEGIES[strategy]),
            "use_cpu": device == "cpu",
            "num_machines": 1,
            "num_processes": processes,
            "mixed_precision": PRECISIONS[precision],
            **({} if alone else {"main_process_port": 0}),  # any free port
        }
        yield Launch(name, config, tf32=precision == "tf32")


def unsupported_reason(requested: Mapping[str, Any]) -> str | None:
    """Returns why this machine does not support a launch, or None. The run itself shows whether the launch works."""
    machines, gpus = requested.get("num_machines", 1), torch.cuda.device_count()
    per_machine, uneven = divmod(requested["num_processes"], machines)
    if uneven:
        return f"processes must be a multiple of the {machines} machines, but got {requested['num_processes']}"
    if requested["mixed_precision"] == "fp8" and not is_fp8_available():
        return "no fp8 library: install transformer-engine, torchao or MS-AMP"
    if requested.get("strategy") == "DEEPSPEED" and not is_deepspeed_available():
        return "no DeepSpeed: install deepspeed"
    if requested["use_cpu"]:
        return None
    if gpus < per_machine:
        return f"{per_machine} GPUs were requested, but this machine has {gpus}" if gpus else "no GPU"
    return _gpu_unsupported_reason(requested)


def _gpu_unsupported_reason(requested: Mapping[str, Any]) -> str | None:
    """Queries the GPU only if a launch needs a recent one, because the query takes GPU memory."""
    needed = {"TF32": requested.get("tf32"), "fp8": requested["mixed_precision"] == "fp8"}
    for name in (name for name, wanted in needed.items() if wanted):
        if torch.cuda.get_device_capability() < MIN_COMPUTE_CAPABILITY[name]:
            return f"the GPU is too old for {name}"
    return None
