"""Permissions as a user has them, also where tests are run by root, who may do everything."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534
DROP = """
import ctypes, os, sys
for capability in (1, 2):  # to write and to read whatever the permissions, in what is executed next
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
OBEDIENT = [sys.executable, "-c", DROP]  # before a command: it obeys permissions


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A folder that anyone may use; until the context ends this process is no root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for path in [folder, *folder.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o777)
        shutil.rmtree(folder)
