"""Masks tensors on the device where they already are: see `hf_dynmask.masking.torch_backend`."""

from hf_dynmask.masking.device_plan import DevicePlan, device_plan
from hf_dynmask.masking.torch_backend import mask_tokens

__all__ = ["DevicePlan", "device_plan", "mask_tokens"]
