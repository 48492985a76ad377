"""Arrays that a process shares with the workers of its own `DataLoader`s, and with no other process.

A worker that is started by fork, spawn or a fork server sees changes that its parent makes later. So persistent workers
see a new epoch. Every other process that gets such an array has its own copy: for example, a rank that is forked from a
process with a collator, or a process that unpickles one.
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

    `multiprocessing` places many arrays in one file, so thousands of arrays need few file descriptors.

    Args:
        values: the initial values, `[n]`.
        inherited: whether the copy of another process starts with the values at that time, and not with zeros.
    """

    def __init__(self, values: np.ndarray, inherited: bool = True) -> None:
        self._inherited = inherited
        self._own(values)

    @property
    def values(self) -> np.ndarray:
        """The array, `[n]`. Workers see changes to it."""
        if self._owner != os.getpid() and not self._serves_owner():
            self._own(self._values if self._inherited else np.zeros_like(self._values))
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
        """Whether this process is a worker of a loader in the process that owns the array."""
        parent = multiprocessing.parent_process()
        return get_worker_info() is not None and parent is not None and parent.pid == self._owner

    def __getstate__(self) -> dict[str, Any]:
        if get_spawning_popen() is None:  # a copy, or a pickle for later
            return {"_inherited": self._inherited, "copied": self.values.copy()}
        return {name: value for name, value in self.__dict__.items() if name != "_values"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        copied = state.pop("copied", None)
        self.__dict__.update(state)
        if copied is None:
            self._values = self._view()
        else:
            self._own(copied)
