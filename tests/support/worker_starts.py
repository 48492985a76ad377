"""How the workers of a `DataLoader` start, where a test depends on it: Python 3.14 no longer forks them by default."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def workers_started_by(method: str) -> Iterator[None]:
    """`Trainer` has no argument for how workers start: they start as all processes of the program do."""
    multiprocessing.set_start_method(method, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(None, force=True)
