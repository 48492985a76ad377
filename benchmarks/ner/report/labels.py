"""The labels of results in a report: task, launch and arm, disambiguated by their settings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result

ORDER = (
    *("none", "finetune_static", "finetune_dynamic"),
    *("static", "static4", "static10", "static20", "dynamic", "dynamic_again", "constant_mean", "anneal"),
)
FINGERPRINT = re.compile(r"[0-9a-f]{16,}")
DIGITS = 8  # of a fingerprint: enough to tell two datasets of one name apart


def task(result: Result) -> str:
    """Returns the dataset, the model, and the epochs of pre-training and fine-tuning."""
    epochs = result["budget"]
    return printable(
        f"{result['dataset']['name']}, {Path(result['model']['name']).name}, "
        f"{epochs['mlm_epochs']:g} + {epochs['ner_epochs']:g} epochs"
    )


def launch(result: Result) -> str:
    """Returns processes and precision, and settings that are not the default: strategy, machines, workers."""
    requested, budget = result["launch"]["requested"], result["budget"]
    processes, machines = requested["num_processes"], requested.get("num_machines", 1)
    workers, persistent = budget.get("dataloader_num_workers", 0), budget.get("dataloader_persistent_workers")
    parts = [
        f"{processes} process{'es' if processes > 1 else ''}",
        precision(requested),
        requested.get("strategy"),
        f"{machines} machines" if machines != 1 else None,
        f"{workers} {'persistent ' if persistent else ''}workers" if workers else None,
    ]
    return printable(", ".join(str(part) for part in parts if part))


def precision(requested: Mapping[str, Any]) -> str:
    if requested["mixed_precision"] == "no":
        return "tf32" if requested.get("tf32") else "fp32"
    return requested["mixed_precision"]


def run(result: Result) -> str:
    return printable(f"{task(result)}, {launch(result)}, {result['arm']['name']}, seed {result['seed']}")


def rank(arm: str) -> tuple[int, str]:
    """Returns a sort key: arms in the order of the comparison, then all others."""
    return (ORDER.index(arm) if arm in ORDER else len(ORDER), arm)


def disambiguate(names: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the names; appends the differing settings to names that several settings share."""
    flat = [dict(_leaves(each)) for each in settings]
    return [f"{name}{_differing_settings(flat, number, names)}" for number, name in enumerate(names)]


def _differing_settings(flat: Sequence[Mapping[str, Any]], number: int, names: Sequence[str]) -> str:
    own, absent = flat[number], object()
    namesakes = [other for other, name in zip(flat, names, strict=True) if name == names[number]]
    differing = [key for key in own if any(other.get(key, absent) != own[key] for other in namesakes)]
    return "".join(printable(f", {_setting(key, own[key])}") for key in _without_fingerprinted(differing))


def _without_fingerprinted(keys: Sequence[str]) -> list[str]:
    """Returns the keys without those, such as the number of sentences, that a fingerprint beside them covers."""
    covered = tuple(key.removesuffix("fingerprint") for key in keys if key.endswith(".fingerprint"))
    return [key for key in keys if key.endswith(".fingerprint") or not key.startswith(covered)]


def _setting(key: str, value: object) -> str:
    if isinstance(value, str) and FINGERPRINT.fullmatch(value):
        return f"{key.removesuffix('.fingerprint').rpartition('.')[2]} {value[:DIGITS]}"
    return f"{key}={value}"


def _leaves(settings: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
