"""The learning curve of pre-training, as logged by Trainer: `mlm["curve"]` of a result."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.ner.data.strict_json import schema_errors

# Losses; the scheduled mask rate; the masked fraction of tokens since the previous entry; seconds of training so far,
# without evaluation; tokens so far, without padding; masked tokens so far, each of which has a label (since version 2).
NAMES = (
    *("loss", "eval_loss", "mask_rate", "masked_fraction", "train_seconds"),
    *("num_input_tokens_seen", "num_masked_tokens_seen"),
)
KEY_PATH = "mlm.curve"


def curve(log_history: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Extracts the curve from the log history of a Trainer."""
    return [
        {name: entry[name] for name in ("step", *NAMES) if name in entry}
        for entry in log_history
        if any(name in entry for name in ("loss", "eval_loss"))
    ]


def curve_errors(mlm: Mapping[str, Any], finite: bool) -> Iterator[str]:
    """Yields each error in the curve in the `mlm` of a result; arms without pre-training have no curve.

    Unless all values must be `finite`, the curve may have nulls, as in a run that diverged.
    """
    entries = mlm.get("curve")
    if entries is None:
        return
    if not isinstance(entries, list):
        yield f"{KEY_PATH} must be a list"
        return
    for number, entry in enumerate(entries):
        names = [f"{name}{'' if finite else '?'}" for name in NAMES if isinstance(entry, dict) and name in entry]
        schema = {"step": "an integer from 1 to 10^15", **dict.fromkeys(names, "a number from 0 to 10^15")}
        yield from schema_errors(entry, schema, f"{KEY_PATH}.{number}")


def by_step(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the entries of a result's curve in the order of steps, with the entries of a step merged."""
    steps: dict[int, dict[str, Any]] = {}
    for entry in result["mlm"].get("curve") or []:
        steps.setdefault(entry["step"], {}).update(entry)
    return [steps[step] for step in sorted(steps)]


def columns(result: Mapping[str, Any], *names: str) -> np.ndarray:
    """Returns the values of the names, `[names, steps]`, at the steps that have all of them."""
    found = [[entry[name] for name in names] for entry in by_step(result) if all(name in entry for name in names)]
    return np.array(found, dtype=float).reshape(-1, len(names)).T


def evaluations(result: Mapping[str, Any], cost: str) -> np.ndarray:
    """Returns a cost, such as `num_input_tokens_seen`, and the loss at each evaluation, `[2, evaluations]`.

    Trainer evaluates after the last step even if it does not log that step, so this evaluation, often the best, can
    lack a cost. The cost of the steps before continues there in proportion. There are no evaluations without any cost.
    """
    steps, losses = columns(result, "step", "eval_loss")
    logged, costs = columns(result, "step", cost)
    if not steps.size or not logged.size:
        return np.empty((2, 0))
    beyond = max(steps[-1] / logged[-1], 1.0)
    known = np.interp(steps, [0, *logged, beyond * logged[-1]], [0, *costs, beyond * costs[-1]])
    return np.array([known, losses])
