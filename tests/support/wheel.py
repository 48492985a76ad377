"""Checks that a built wheel contains only the library and its types, and is small: `python wheel.py DIST`."""

import sys
from pathlib import Path
from zipfile import ZipFile

# bytes: 151 kB code (a wheel compresses each file by itself), 92 kB docstrings and comments, 14 kB metadata, 21 kB zip
MOST = 285_000


def main() -> None:
    (wheel,) = Path(sys.argv[1]).glob("*.whl")
    with ZipFile(wheel) as files:
        names = files.namelist()
    foreign = [name for name in names if not name.startswith(("hf_dynmask/", "hf_dynmask-"))]
    assert not foreign, f"the wheel must hold the library alone, but has {foreign}"
    assert "hf_dynmask/py.typed" in names, "the wheel must say that the library is typed"
    assert wheel.stat().st_size < MOST, f"the wheel must be under {MOST} bytes, but has {wheel.stat().st_size}"
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
