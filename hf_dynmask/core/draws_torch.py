"""The counter hash of `core.draws` on torch tensors, equal to the bit, wherever they are.

torch has hardly any operations on unsigned integers, so signed ones of the same bits stand for them: sums and products
wrap around in the same way, and where a shift to the right moves copies of the sign in, they are cleared.

`torch.compile` makes C++ of it for CPUs, where signed integers that grow too large are undefined behaviour: compilers
rely on it that none does where they know both factors. They know constants, and inductor puts loop indices in the place
of positions without padding. So positions are never multiplied by a constant, but by [`golden`], which is a tensor.
"""

from __future__ import annotations

import torch

from hf_dynmask.core import draws as numpy_draws
from hf_dynmask.core.draws import RANGE, Purpose


def signed(number: int, bits: int) -> int:
    """The signed integer of the same bits, of any number modulo 2**bits."""
    return (number + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


_GOLDEN_64 = signed(int(numpy_draws.GOLDEN_64), 64)
_MIX_64 = [signed(int(factor), 64) for factor in numpy_draws.MIX_64]
_MIX_32 = [signed(int(factor), 32) for factor in numpy_draws.MIX_32]


def golden(device: torch.device | str) -> torch.Tensor:
    """int64 `[]`: 2**64 / golden ratio, whose upper half is that of 2**32."""
    return torch.tensor(_GOLDEN_64, device=device)


def example_hashes(
    golden: torch.Tensor, input_ids: torch.Tensor, positions: torch.Tensor, attended: torch.Tensor
) -> torch.Tensor:
    """One number for each row, from the ids that are attended to.

    Args:
        golden: from [`golden`].
        input_ids: int64 `[batch, length]`.
        positions: int64 `[batch, length]`, each token's place among those of its row that are attended to.
        attended: bool `[batch, length]`.

    Returns:
        int64 `[batch, 1]`.
    """
    indices = torch.arange(1, input_ids.shape[1] + 1, device=input_ids.device)
    multipliers = _mix64(indices * golden) | 1
    terms = (input_ids + 1) * multipliers[positions]
    return terms.where(attended, 0).sum(1, keepdim=True)


def mixed_seed(seed: int) -> int:
    """What [`stream_keys`] makes of a seed, once: an int64."""
    return signed(int(numpy_draws.mixed(seed)[0]), 64)


def stream_keys(
    golden: torch.Tensor, seed: torch.Tensor, examples: torch.Tensor, pattern: torch.Tensor
) -> torch.Tensor:
    """The key of each row's random numbers: int64 `[batch, 1]`.

    Args:
        golden: from [`golden`].
        seed: int64 `[]`, from [`mixed_seed`].
        examples: int64 `[batch, 1]`, from [`example_hashes`].
        pattern: int64 `[]`.
    """
    return _mix64(_mix64(examples ^ seed) + _mix64(pattern + golden))


def spread(golden: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """What [`draw`] needs of positions, int64 `[batch, length]`: int32 `[batch, length]`."""
    return positions.to(torch.int32) * (golden >> 32).to(torch.int32)


def draw(keys: torch.Tensor, spread_positions: torch.Tensor, purpose: Purpose) -> torch.Tensor:
    """Uniform integers in [0, 2**32), no two of a row equal: int64 `[batch, length]`.

    Args:
        keys: int64 `[batch, 1]`.
        spread_positions: int32 `[batch, length]`, from [`spread`].
    """
    mixed = _mix64(keys + signed(purpose * _GOLDEN_64, 64))
    low, high = mixed.to(torch.int32), (mixed >> 32).to(torch.int32)
    return _mix32(_mix32(spread_positions + low) ^ high).long() & (RANGE - 1)


def draw_limit(probs: float) -> int:
    """Draws below it, in [0, 2**32], are those that [`core.draws.below`] finds below this probability."""
    return round(probs * RANGE)


def draw_limits(probs: torch.Tensor) -> torch.Tensor:
    """[`draw_limit`] of each probability, floats of any shape: int64."""
    exact = probs.to(torch.promote_types(probs.dtype, torch.float32))  # half precision does not reach 2**32
    return (exact * RANGE).round().long()


def as_index(draws: torch.Tensor, size: int) -> torch.Tensor:
    """The draws as int64 in [0, size); a size below 2**31 makes products that int64 holds."""
    return (draws * size) >> 32


def _mix64(values: torch.Tensor) -> torch.Tensor:
    """[`core.draws.mix64`], of int64."""
    values = (values ^ _shifted(values, 30, 64)) * _MIX_64[0]
    values = (values ^ _shifted(values, 27, 64)) * _MIX_64[1]
    return values ^ _shifted(values, 31, 64)


def _mix32(state: torch.Tensor) -> torch.Tensor:
    """[`core.draws.mix32`], of int32: half the bytes of int64, and devices multiply it several times as fast."""
    state = (state ^ _shifted(state, 16, 32)) * _MIX_32[0]
    state = (state ^ _shifted(state, 15, 32)) * _MIX_32[1]
    return state ^ _shifted(state, 15, 32)


def _shifted(values: torch.Tensor, indices: int, bits: int) -> torch.Tensor:
    """To the right, with zeros moving in."""
    return (values >> indices) & ((1 << (bits - indices)) - 1)
