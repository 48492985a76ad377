"""The schema and the identity of a result: one JSON file per run, whose name contains the hash of its configuration."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Result = Mapping[str, Any]
SCHEMA = "hf_dynmask.ner/1"
# The version of the harness in the identity of a run; results of the first have none. Since version 2, fine-tuning
# groups sentences by length, and the final MLM loss is the mean of several masks, which do not depend on the seed.
HARNESS_VERSION = 2
IDENTITY_SINCE_2 = ("harness", "base", "study")  # absent where they do not apply
KEYS = (
    "schema",
    "run_id",
    "status",
    "reason",
    "arm",
    "seed",
    "dataset",
    "model",
    "launch",
    "budget",
    "mlm",
    "quality",
    "speed",
    "memory",
    "env",
    "time",
)
DIVERGED = "the training diverged"  # begins the reason of a run that would fail again
STATUSES = ("ok", "failed", "skipped")  # skipped: the machine does not support it
TIMED = ("tokens_per_second", "step_time_median", "data_wait_share")
FIELDS: dict[str, Any] = {  # the fields that are read; those with "?" are required only for "ok" runs
    "arm": {"name": "a string"},
    "seed": "an integer",
    "dataset": {"name": "a string"},
    "model": {"name": "a string"},
    "launch": {"requested": {"num_processes": "an integer from 1 to 10^15", "mixed_precision": "a string"}},
    "budget": {"mlm_epochs": "a number", "ner_epochs": "a number"},
    "reason?": "a string",
    "mlm": {"eval_loss?": "a number from 0 to 10^15"},
    "quality": {f"{name}?": "a number from 0 to 1" for name in ("dev_f1", "test_f1", "test_accuracy")},
    "speed": {f"{stage}?": dict.fromkeys(TIMED, "a number from 0 to 10^15") for stage in ("mlm", "ner")},
    "memory": {f"{stage}?": {"peak_bytes_total": "a number from 0 to 10^15"} for stage in ("mlm", "ner")},
    "time": {"seconds": "a number from 0 to 10^15"},
}
MEASURED = {key: {name.removesuffix("?"): leaf for name, leaf in FIELDS[key].items()} for key in ("mlm", "quality")}


def canonical_json(config: Mapping[str, Any]) -> str:
    """Returns JSON with sorted keys, the same text for equal configurations."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)


def run_id(config: Mapping[str, Any]) -> str:
    """Returns the hex SHA-256 of a configuration with the keys of `configuration`."""
    return hashlib.sha256(canonical_json(config).encode()).hexdigest()


def configuration(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the configuration of a run from its result: exactly the keys that `run_id` hashes."""
    return {
        **{key: result[key] for key in ("schema", "arm", "seed", "dataset", "model", "budget")},
        **{key: result[key] for key in IDENTITY_SINCE_2 if key in result},
        "launch": result["launch"]["requested"],
    }


def result_path(output_dir: Path, arm: str, seed: int, run_id: str) -> Path:
    """Returns the file of a run, named after its arm, its seed and the first digits of its run id."""
    return output_dir / f"{arm}-seed{seed}-{run_id[:12]}.json"


def file_name(result: Mapping[str, Any]) -> str:
    return result_path(Path(), result["arm"]["name"], result["seed"], result["run_id"]).name


def differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Returns the top-level keys in which two configurations differ."""
    keys = sorted(found.keys() | asked.keys())
    return ", ".join(
        key for key in keys if canonical_json({key: found.get(key)}) != canonical_json({key: asked.get(key)})
    )
