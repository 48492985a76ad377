"""Dynamic token masking for masked language modeling with Hugging Face transformers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hf_dynmask import strategies
from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.rates.distributions import cosine_rate, truncated_normal_rate, uniform_rate
from hf_dynmask.rates.schedules import (
    constant_schedule,
    cosine_schedule,
    cyclic_schedule,
    linear_schedule,
    phase_schedule,
    polynomial_schedule,
    step_schedule,
    with_warmup,
)
from hf_dynmask.strategies import Strategy

if TYPE_CHECKING:
    from hf_dynmask import on_device
    from hf_dynmask.batching.arrow_rows import ArrowRows
    from hf_dynmask.batching.packed_dataset import pack_dataset
    from hf_dynmask.collators.arrays import mask_tokens
    from hf_dynmask.collators.span_corruption import DataCollatorForSpanCorruption
    from hf_dynmask.collators.token_dropout import DataCollatorWithTokenDropout
    from hf_dynmask.masking.denoisers import Denoiser, ul2_denoisers
    from hf_dynmask.modeling.diffusion_loss import masked_diffusion_loss
    from hf_dynmask.modeling.packed_attention import packed_attention
    from hf_dynmask.modeling.pseudo_likelihood import pseudo_log_likelihood
    from hf_dynmask.modeling.replaced_tokens import replaced_token_batch
    from hf_dynmask.modeling.sparse_prediction import sparse_prediction
    from hf_dynmask.trainer.batch_audit import audit_batch
    from hf_dynmask.trainer.callback import MaskRateCallback
    from hf_dynmask.trainer.diffusion_trainer import MaskedDiffusionTrainer
    from hf_dynmask.trainer.training_audit import MaskAuditError

__version__ = "0.1.0"

__all__ = [
    "ArrowRows",
    "DataCollatorForDynamicMasking",
    "DataCollatorForSpanCorruption",
    "DataCollatorWithTokenDropout",
    "Denoiser",
    "MaskAuditError",
    "MaskRateCallback",
    "MaskedDiffusionTrainer",
    "Strategy",
    "audit_batch",
    "constant_schedule",
    "cosine_rate",
    "cosine_schedule",
    "cyclic_schedule",
    "linear_schedule",
    "mask_tokens",
    "masked_diffusion_loss",
    "on_device",
    "pack_dataset",
    "packed_attention",
    "phase_schedule",
    "polynomial_schedule",
    "pseudo_log_likelihood",
    "replaced_token_batch",
    "sparse_prediction",
    "step_schedule",
    "strategies",
    "truncated_normal_rate",
    "ul2_denoisers",
    "uniform_rate",
    "with_warmup",
]


_ON_DEMAND = {
    "ArrowRows": "batching.arrow_rows",
    "DataCollatorForSpanCorruption": "collators.span_corruption",
    "DataCollatorWithTokenDropout": "collators.token_dropout",
    "Denoiser": "masking.denoisers",
    "MaskAuditError": "trainer.training_audit",
    "MaskRateCallback": "trainer.callback",
    "MaskedDiffusionTrainer": "trainer.diffusion_trainer",
    "audit_batch": "trainer.batch_audit",
    "mask_tokens": "collators.arrays",
    "masked_diffusion_loss": "modeling.diffusion_loss",
    "pack_dataset": "batching.packed_dataset",
    "packed_attention": "modeling.packed_attention",
    "pseudo_log_likelihood": "modeling.pseudo_likelihood",
    "replaced_token_batch": "modeling.replaced_tokens",
    "sparse_prediction": "modeling.sparse_prediction",
    "ul2_denoisers": "masking.denoisers",
}


def __getattr__(name: str) -> Any:
    """Imports a rarely needed name when it is first used; `MaskRateCallback` imports transformers' trainer."""
    if name == "on_device":
        return import_module("hf_dynmask.on_device")
    if name in _ON_DEMAND:
        return getattr(import_module(f"hf_dynmask.{_ON_DEMAND[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
