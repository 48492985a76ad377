"""The files of the arms. Each has the differences of an arm from `config/presets/defaults.yaml`.

Nothing heavy is imported, so that wrong names are reported at once.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

PRESETS = Path(__file__).parents[1] / "config" / "presets"
FOLDER = "benchmarks/ner/config/presets"  # from the root of the repository


def arm_names() -> list[str]:
    """Returns the names of all presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml") if path.stem != "defaults")


def arms_help() -> str:
    """Returns a line on each preset: its name, and the comment at the top of its file."""
    width = max(map(len, arm_names()))
    return "\n".join(f"  {name:<{width}}  {_comment(name)}" for name in arm_names())


def preset(name: str) -> dict[str, Any]:
    """Returns the settings of an arm: the defaults, and what its file changes.

    Raises:
        ValueError: if there is no such preset, or if it has a key that the defaults lack.
    """
    if name not in arm_names():
        near = get_close_matches(name, arm_names(), n=1)
        remedy = f"Did you mean {near[0]!r}? If not, add {FOLDER}/{name}.yaml" if near else f"Add {FOLDER}/{name}.yaml"
        remedy = "Separate arms with spaces" if "," in name else remedy
        raise ValueError(f"`arms` must be among {', '.join(arm_names())}, but got {name!r}. {remedy}.")
    defaults, own = _read("defaults"), _read(name)
    unknown = sorted(own.keys() - defaults.keys())
    if unknown:
        raise ValueError(
            f"{FOLDER}/{name}.yaml may set {', '.join(defaults)}, but sets {', '.join(unknown)}. Remove them."
        )
    return {**defaults, **own}


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))


def _comment(name: str) -> str:
    first, *_ = (PRESETS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return first.removeprefix("# ")
