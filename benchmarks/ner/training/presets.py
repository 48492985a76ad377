"""The files of the arms. Each has the differences of an arm from `config/presets/defaults.yaml`.

Nothing heavy is imported, so that wrong names are reported at once.
"""

from pathlib import Path
from typing import Any

import yaml

PRESETS = Path(__file__).parents[1] / "config" / "presets"


def arm_names() -> list[str]:
    """Returns the names of all presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml") if path.stem != "defaults")


def preset(name: str) -> dict[str, Any]:
    """Returns the settings of an arm: the defaults, and what its file changes.

    Raises:
        ValueError: if there is no such preset, or if it has a key that the defaults lack.
    """
    if name not in arm_names():
        raise ValueError(
            f"`arms` must be among {', '.join(arm_names())}, but got {name!r}. Add config/presets/{name}.yaml."
        )
    defaults, own = _read("defaults"), _read(name)
    unknown = sorted(own.keys() - defaults.keys())
    if unknown:
        raise ValueError(
            f"config/presets/{name}.yaml may set {', '.join(defaults)}, but sets {', '.join(unknown)}. Remove them."
        )
    return {**defaults, **own}


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))
