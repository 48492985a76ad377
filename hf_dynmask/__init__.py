"""Dynamic token masking for masked language modeling with Hugging Face transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_dynmask import strategies
from hf_dynmask.collator import DataCollatorForDynamicMasking
from hf_dynmask.distributions import cosine_rate, truncated_normal_rate, uniform_rate
from hf_dynmask.fine_tuning import DataCollatorWithDynamicMasking
from hf_dynmask.rates import (
    constant_schedule,
    cosine_schedule,
    linear_schedule,
    polynomial_schedule,
    step_schedule,
    with_warmup,
)
from hf_dynmask.span_corruption import DataCollatorForSpanCorruption

if TYPE_CHECKING:
    from hf_dynmask.callback import MaskRateCallback

__version__ = "0.1.0"

__all__ = [
    "DataCollatorForDynamicMasking",
    "DataCollatorForSpanCorruption",
    "DataCollatorWithDynamicMasking",
    "MaskRateCallback",
    "constant_schedule",
    "cosine_rate",
    "cosine_schedule",
    "linear_schedule",
    "polynomial_schedule",
    "step_schedule",
    "strategies",
    "truncated_normal_rate",
    "uniform_rate",
    "with_warmup",
]


def __getattr__(name: str) -> Any:
    """`MaskRateCallback` on demand: it brings in transformers' trainer, which a plain loop does not need."""
    if name == "MaskRateCallback":
        from hf_dynmask.callback import MaskRateCallback

        return MaskRateCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
