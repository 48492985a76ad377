"""Arrays that a process shares with the workers of its own `DataLoader`s, and with no other process.

A worker that is started, by fork, spawn or a fork server, sees what its parent writes later: that is how persistent
workers hear of a new epoch. Every other process that gets such an array, such as a rank that is forked from a process
which made a collator already, or one that unpickles it, has a copy of its own.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.context import get_spawning_popen
from typing import Any

import numpy as np
from torch.utils.data import get_worker_info


class SharedArray:
    """A one-dimensional array in memory that is shared with workers.

    It takes a part of a file that `multiprocessing` shares among many, so thousands of arrays need a few file
    descriptors.

    Args:
        values: what it holds at first, `[n]`.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._own(values)

    @property
    def values(self) -> np.ndarray:
        """The array itself, `[n]`: what is written to it, workers see."""
        if self._owner != os.getpid() and not self._serves_owner():
            self._own(self._values)
        return self._values

    def _own(self, values: np.ndarray) -> None:
        self._owner = os.getpid()
        self._memory = multiprocessing.RawArray("b", values.nbytes)
        self._dtype = values.dtype
        self._values = self._view()
        self._values[:] = values

    def _view(self) -> np.ndarray:
        return np.frombuffer(self._memory, dtype=self._dtype)

    def _serves_owner(self) -> bool:
        """Whether this is a worker of a loader in the process that owns the array."""
        parent = multiprocessing.parent_process()
        return get_worker_info() is not None and parent is not None and parent.pid == self._owner

    def __getstate__(self) -> dict[str, Any]:
        if get_spawning_popen() is None:  # a copy, or a pickle for later
            return {"copied": self.values.copy()}
        return {"_owner": self._owner, "_memory": self._memory, "_dtype": self._dtype}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "copied" in state:
            self._own(state["copied"])
        else:
            self.__dict__.update(state)
            self._values = self._view()
