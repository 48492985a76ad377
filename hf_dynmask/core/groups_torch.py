"""Groups of consecutive tokens in flat torch tensors: sequences, words or units.

All operations have shapes that do not depend on values, so the host never waits for the device.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Groups(NamedTuple):
    """Groups of consecutive tokens.

    Attributes:
        first: int64 `[tokens]`, the index of the first token of the group that each token is in.
    """

    first: torch.Tensor

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of the values of a token's group, for each token: int64 `[tokens]`, modulo 2**64."""
        values = values.long()
        return torch.zeros_like(values).scatter_add(0, self.first, values)[self.first]

    def lowest(self, values: torch.Tensor) -> torch.Tensor:
        """The lowest value of a token's group, for each token: int64 `[tokens]`."""
        return values.scatter_reduce(0, self.first, values, "amin")[self.first]

    def index_in_group(self) -> torch.Tensor:
        """0, 1, 2, ... within each group: int64 `[tokens]`."""
        return indices_of(self.first) - self.first

    def count_below(self, values: torch.Tensor) -> torch.Tensor:
        """How many tokens of its group have a lower value than a token: int64 `[tokens]`.

        Args:
            values: int64 `[tokens]`, in [0, 2**33).
        """
        order = torch.argsort((self.first << 33) | values)
        ordered_groups, ordered = self.first[order], values[order]
        differs = (ordered[1:] != ordered[:-1]) | (ordered_groups[1:] != ordered_groups[:-1])
        counts = torch.empty_like(values)
        counts[order] = groups_of(starts_where(differs)).first - ordered_groups
        return counts


def groups_of(starts: torch.Tensor) -> Groups:
    """The groups that begin at these tokens, bool `[tokens]`. The first token always begins one."""
    return Groups((indices_of(starts) * starts).cummax(0).values)


def indices_of(values: torch.Tensor) -> torch.Tensor:
    """0, 1, 2, ...: int64 `[tokens]`."""
    return torch.arange(values.shape[0], device=values.device)


def starts_where(differs: torch.Tensor) -> torch.Tensor:
    """bool `[tokens]`: True at the first token, and after each token where `differs`, bool `[tokens - 1]`."""
    starts = torch.ones(differs.shape[0] + 1, dtype=torch.bool, device=differs.device)
    starts[1:] = differs
    return starts
