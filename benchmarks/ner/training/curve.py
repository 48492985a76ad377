"""The curve of a pre-training: what Trainer logged at its steps, `mlm["curve"]` of a result."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.ner.data.strict_json import schema_errors

# Losses; the rate by the schedule, and the share of tokens masked, counted since the entry before; seconds of training
# without evaluation, and tokens without padding, till then.
NAMES = ("loss", "eval_loss", "mask_rate", "masked_fraction", "train_seconds", "num_input_tokens_seen")
PLACE = "mlm.curve"


def curve(log_history: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """What a result keeps of a Trainer's log."""
    return [
        {name: entry[name] for name in ("step", *NAMES) if name in entry}
        for entry in log_history
        if any(name in entry for name in ("loss", "eval_loss"))
    ]


def curve_errors(mlm: Mapping[str, Any], finite: bool) -> Iterator[str]:
    """Why the curve in the `mlm` of a result is none; arms without pre-training have none.

    Where not all is `finite`, as in a run that diverged, there may be nulls in it.
    """
    entries = mlm.get("curve")
    if entries is None:
        return
    if not isinstance(entries, list):
        yield f"{PLACE} must be a list"
        return
    for number, entry in enumerate(entries):
        names = [f"{name}{'' if finite else '?'}" for name in NAMES if isinstance(entry, dict) and name in entry]
        shape = {"step": "a whole number from 1 to 10^15", **dict.fromkeys(names, "a number from 0 to 10^15")}
        yield from schema_errors(entry, shape, f"{PLACE}.{number}")


def by_step(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a result's curve, those of a step as one, in the order of steps."""
    steps: dict[int, dict[str, Any]] = {}
    for entry in result["mlm"].get("curve") or []:
        steps.setdefault(entry["step"], {}).update(entry)
    return [steps[step] for step in sorted(steps)]


def columns(result: Mapping[str, Any], *names: str) -> np.ndarray:
    """What the curve holds under names where it holds all of them, `[names, steps]`."""
    found = [[entry[name] for name in names] for entry in by_step(result) if all(name in entry for name in names)]
    return np.array(found, dtype=float).reshape(-1, len(names)).T
