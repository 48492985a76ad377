"""Dynamic token masking for masked language modeling with Hugging Face transformers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_dynmask import on_device, strategies
    from hf_dynmask.batching.arrow_rows import ArrowRows
    from hf_dynmask.batching.packed_dataset import pack_dataset
    from hf_dynmask.collators.arrays import mask_tokens
    from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
    from hf_dynmask.collators.span_corruption import DataCollatorForSpanCorruption
    from hf_dynmask.collators.token_dropout import DataCollatorWithTokenDropout
    from hf_dynmask.masking.denoisers import Denoiser, ul2_denoisers
    from hf_dynmask.modeling.diffusion_loss import masked_diffusion_loss
    from hf_dynmask.modeling.packed_attention import packed_attention
    from hf_dynmask.modeling.pseudo_likelihood import pseudo_log_likelihood
    from hf_dynmask.modeling.replaced_tokens import replaced_token_batch
    from hf_dynmask.modeling.sparse_prediction import sparse_prediction
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

_MODULES = {  # of each public name; a name without an entry is a module itself
    "ArrowRows": "batching.arrow_rows",
    "DataCollatorForDynamicMasking": "collators.language_modeling",
    "DataCollatorForSpanCorruption": "collators.span_corruption",
    "DataCollatorWithTokenDropout": "collators.token_dropout",
    "Denoiser": "masking.denoisers",
    "MaskAuditError": "trainer.training_audit",
    "MaskRateCallback": "trainer.callback",
    "MaskedDiffusionTrainer": "trainer.diffusion_trainer",
    "Strategy": "strategies.strategy",
    "audit_batch": "trainer.batch_audit",
    "constant_schedule": "rates.schedules",
    "cosine_rate": "rates.distributions",
    "cosine_schedule": "rates.schedules",
    "cyclic_schedule": "rates.schedules",
    "linear_schedule": "rates.schedules",
    "mask_tokens": "collators.arrays",
    "masked_diffusion_loss": "modeling.diffusion_loss",
    "pack_dataset": "batching.packed_dataset",
    "packed_attention": "modeling.packed_attention",
    "phase_schedule": "rates.schedules",
    "polynomial_schedule": "rates.schedules",
    "pseudo_log_likelihood": "modeling.pseudo_likelihood",
    "replaced_token_batch": "modeling.replaced_tokens",
    "sparse_prediction": "modeling.sparse_prediction",
    "step_schedule": "rates.schedules",
    "truncated_normal_rate": "rates.distributions",
    "ul2_denoisers": "masking.denoisers",
    "uniform_rate": "rates.distributions",
    "with_warmup": "rates.schedules",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that commands answer `--help` without importing torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _MODULES:
        return import_module(f"hf_dynmask.{name}")
    globals()[name] = value = getattr(import_module(f"hf_dynmask.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
