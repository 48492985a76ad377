"""Generates hostile bytes, counts the outcomes of a function on them, and detects code execution."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RUNS_CODE = {"exec", "os.exec", "os.posix_spawn", "os.system", "pickle.find_class", "socket.connect"}
ODD_BYTES = (b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x1b[31m", b"\xc2\x85", b"\r")
Splice = tuple[int, int, bytes]

_watching: list[str] | None = None


def _watch(event: str, arguments: tuple) -> None:
    if _watching is not None and event in RUNS_CODE:
        _watching.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_watch)


@contextmanager
def no_code_runs() -> Iterator[None]:
    """Fails if code is executed or unpickled. Call functions with lazy imports once before."""
    global _watching
    _watching = []
    try:
        yield
        assert _watching == []
    finally:
        _watching = None


def explore(examples: int, values: st.SearchStrategy, function: Callable[[Any], str]) -> Counter[str]:
    """Calls a function with many values, the same in each run; counts the outcomes."""
    outcomes: Counter[str] = Counter()

    @settings(derandomize=True, deadline=None, max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(values)
    def run(value: Any) -> None:
        outcomes[function(value)] += 1

    run()
    return outcomes


def splices(pieces: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[Splice]]:
    """Generates edits: an index, the number of bytes to remove, and the bytes to insert."""
    splice = st.tuples(st.integers(0, 1 << 14), st.integers(0, 30), pieces | st.binary(max_size=4))
    return st.lists(splice, min_size=1, max_size=4)


def spliced(content: bytes, splices: list[Splice]) -> bytes:
    for index, length, piece in splices:
        start = index % (len(content) + 1)
        content = content[:start] + piece + content[start + length :]
    return content
