"""The counter hash of `core.draws` on torch tensors, bit-identical, on any device.

torch has few operations on unsigned integers, so signed integers with the same bits represent them. Sums and products
wrap around in the same way. A shift to the right moves in copies of the sign, which are then cleared.

For CPUs, `torch.compile` generates C++, where the overflow of signed integers is undefined behavior. Compilers rely on
its absence if they know both factors. They know constants, and inductor replaces positions without padding by loop
indices. So positions are never multiplied by a constant, but by [`golden`], which is a tensor.
"""

from __future__ import annotations

import torch

from hf_dynmask.core import draws as numpy_draws
from hf_dynmask.core.draws import RANGE, Purpose


def signed(number: int, bits: int) -> int:
    """The signed integer with the same bits as a number modulo 2**bits."""
    return (number + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


_GOLDEN_64 = signed(int(numpy_draws.GOLDEN_64), 64)
_MIX_64 = [signed(int(factor), 64) for factor in numpy_draws.MIX_64]
_MIX_32 = [signed(int(factor), 32) for factor in numpy_draws.MIX_32]


def golden(device: torch.device | str) -> torch.Tensor:
    """int64 `[]`: 2**64 / golden ratio. Its upper half is 2**32 / golden ratio."""
    return torch.tensor(_GOLDEN_64, device=device)


def example_hashes(
    golden: torch.Tensor, input_ids: torch.Tensor, positions: torch.Tensor, attended: torch.Tensor
) -> torch.Tensor:
    """A hash of the token ids of each row, without padding.

    Args:
        golden: from [`golden`].
        input_ids: int64 `[batch, length]`.
        positions: int64 `[batch, length]`, the position of each token in its row without padding.
        attended: bool `[batch, length]`, False for padding.

    Returns:
        int64 `[batch, 1]`.
    """
    return example_terms(golden, input_ids, positions).where(attended, 0).sum(1, keepdim=True)


def example_terms(golden: torch.Tensor, input_ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The terms whose sum over a sequence is its hash: int64 of the shape of `input_ids`.

    Args:
        golden: from [`golden`].
        input_ids: int64 `[..., length]`.
        positions: int64 of that shape, below `length`, the position of each token in its sequence.
    """
    indices = torch.arange(1, input_ids.shape[-1] + 1, device=input_ids.device)
    multipliers = _mix64(indices * golden) | 1
    return (input_ids + 1) * multipliers[positions]


def mixed_seed(seed: int) -> int:
    """The seed for [`stream_keys`], in the range of int64."""
    return signed(int(numpy_draws.mixed(seed)[0]), 64)


def stream_keys(
    golden: torch.Tensor, seed: torch.Tensor, examples: torch.Tensor, pattern: torch.Tensor
) -> torch.Tensor:
    """The key of the draws of each row: int64 of the shape of `examples`.

    Args:
        golden: from [`golden`].
        seed: int64 `[]`, from [`mixed_seed`].
        examples: int64 `[batch, 1]`, from [`example_hashes`], or of any other shape.
        pattern: int64 `[]`.
    """
    return _mix64(_mix64(examples ^ seed) + _mix64(pattern + golden))


def spread(golden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The positions times the 32-bit golden ratio, as [`draw`] takes them: int32 of that shape."""
    return positions.to(torch.int32) * (golden >> 32).to(torch.int32)


def draw(keys: torch.Tensor, spread_positions: torch.Tensor, purpose: Purpose) -> torch.Tensor:
    """Uniform integers in [0, 2**32), all different for one key: int64 of the shape of `spread_positions`.

    Args:
        keys: int64 `[batch, 1]`, or one for each position.
        spread_positions: int32 `[batch, length]`, or of any other shape, from [`spread`].
    """
    mixed = _mix64(keys + signed(purpose * _GOLDEN_64, 64))
    low, high = mixed.to(torch.int32), (mixed >> 32).to(torch.int32)
    return _mix32(_mix32(spread_positions + low) ^ high).long() & (RANGE - 1)


def draw_limit(probs: float) -> int:
    """The limit in [0, 2**32] below which [`core.draws.below`] is True for a draw at this probability."""
    return round(probs * RANGE)


def draw_limits(probs: torch.Tensor) -> torch.Tensor:
    """[`draw_limit`] of each probability, floats of any shape: int64 of that shape."""
    exact = probs.to(torch.promote_types(probs.dtype, torch.float32))  # half precision cannot represent 2**32
    return (exact * RANGE).round().long()


def as_index(draws: torch.Tensor, size: int) -> torch.Tensor:
    """The draws as int64 in [0, size). `size` must be below 2**31, so that int64 holds the products."""
    return (draws * size) >> 32


def _mix64(values: torch.Tensor) -> torch.Tensor:
    """[`core.draws.mix64`] of int64."""
    values = (values ^ _shifted(values, 30, 64)) * _MIX_64[0]
    values = (values ^ _shifted(values, 27, 64)) * _MIX_64[1]
    return values ^ _shifted(values, 31, 64)


def _mix32(state: torch.Tensor) -> torch.Tensor:
    """[`core.draws._mix32`] of int32. Devices multiply int32 several times faster than int64."""
    state = (state ^ _shifted(state, 16, 32)) * _MIX_32[0]
    state = (state ^ _shifted(state, 15, 32)) * _MIX_32[1]
    return state ^ _shifted(state, 15, 32)


def _shifted(values: torch.Tensor, shift: int, bits: int) -> torch.Tensor:
    """The values, shifted to the right as unsigned integers of these bits."""
    return (values >> shift) & ((1 << (bits - shift)) - 1)
