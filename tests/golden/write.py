"""Writes golden.json, the masks that every release must reproduce to the bit: `python -m tests.golden.write`.

CHANGING THESE MASKS IS A BREAKING CHANGE: whoever resumes a training, or repeats one with its seed, would get other
masks. It needs a new major version and a line in CHANGELOG.md. Write the file anew only with these, or to add cases:
then the lines that were there stay as they are, and `git diff` shows none removed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
FILE = HERE / "golden.json"


def text_of(cases: dict[str, str]) -> str:
    """JSON, a case a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(masks)}" for name, masks in cases.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))  # where pytest finds what tests share
    from golden.cases import made

    FILE.write_text(text_of(made()), encoding="ascii")
    print(f"{FILE}: {FILE.stat().st_size} bytes")
