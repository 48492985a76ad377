"""Observes the actual launch: processes that answer, the dtype of a layer's output, the wrappers of the model."""

from types import TracebackType
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from torch import nn
from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel
from torch.distributed.tensor import DTensor
from transformers import TrainingArguments


def strategy_name(sharded: str | None, tensor_parallel: int) -> str | None:
    return "+".join([*filter(None, [sharded]), *([f"TP{tensor_parallel}"] if tensor_parallel > 1 else [])]) or None


class ComputeDtype:
    """Observes the compute dtype of a model: the output dtype of its first linear layer in a training forward pass.

    A context manager around training; `dtype` is None until a training forward pass has run. Parameters do not show the
    dtype, because autocast keeps them in float32; nor does the output of the model, which accelerate casts to float32.
    Raises `ValueError` for a model without a linear layer.
    """

    def __init__(self, model: nn.Module) -> None:
        layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
        if not layers:
            raise ValueError("`model` must have an nn.Linear, whose output dtype is observed, but has none.")
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
    """Returns the actual launch; a collective call, for all ranks.

    Returns `world_size`, `backend` (None for one process), `compute_dtype`, `device`, `threads` per process, `strategy`
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
    """Returns how the parameters of a model are sharded, as its wrappers show, or None if they are not sharded.

    The names are those of [`requested_launch`]. The state of accelerate is not used: it repeats the request.
    """
    wrappers = {
        "DEEPSPEED": hasattr(wrapped, "zero_optimization_stage"),
        "FSDP2": any(isinstance(module, FSDPModule) for module in wrapped.modules()),
        "FSDP": any(isinstance(module, FullyShardedDataParallel) for module in wrapped.modules()),
    }
    meshes = (parameter.device_mesh for parameter in wrapped.parameters() if isinstance(parameter, DTensor))
    tensor_parallel = max((mesh["tp"].size() for mesh in meshes if "tp" in (mesh.mesh_dim_names or ())), default=1)
    return strategy_name(next((name for name, found in wrappers.items() if found), None), tensor_parallel)


def computes_in_tf32(device: torch.device) -> bool:
    """Whether float32 matrix products use TF32: it is allowed, and the GPU supports it (Ampere and later)."""
    allowed = torch.get_float32_matmul_precision() != "highest"
    return allowed and device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def confirmed_world_size(device: torch.device) -> int:
    """Counts the processes that answer: all-reduces a one from each."""
    ones = torch.ones((), dtype=torch.int64, device=device)
    torch.distributed.all_reduce(ones)
    return int(ones)
