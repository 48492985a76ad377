"""One JSON file a run, trusted only when its configuration hashes to its name."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCHEMA = "hf_dynmask.ner/1"
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
STATUSES = ("ok", "failed", "skipped")  # skipped: the machine cannot run it
TIMED = ("tokens_per_second", "step_time_median", "data_wait_share")
FIELDS: dict[str, Any] = {  # what is read of a result once it is loaded; only an "ok" run must have what ends in "?"
    "arm": {"name": "a text"},
    "seed": "a whole number",
    "dataset": {"name": "a text"},
    "model": {"name": "a text"},
    "launch": {"requested": {"num_processes": "a whole number from 1 to 10^15", "mixed_precision": "a text"}},
    "budget": {"mlm_epochs": "a number", "ner_epochs": "a number"},
    "reason?": "a text",
    "mlm": {"eval_loss?": "a number from 0 to 10^15"},
    "quality": {f"{name}?": "a number from 0 to 1" for name in ("dev_f1", "test_f1", "test_accuracy")},
    "speed": {f"{stage}?": dict.fromkeys(TIMED, "a number from 0 to 10^15") for stage in ("mlm", "ner")},
    "memory": {f"{stage}?": {"peak_bytes_total": "a number from 0 to 10^15"} for stage in ("mlm", "ner")},
    "time": {"seconds": "a number from 0 to 10^15"},
}
MEASURED = {key: {name.removesuffix("?"): leaf for name, leaf in FIELDS[key].items()} for key in ("mlm", "quality")}


def canonical_json(config: Mapping[str, Any]) -> str:
    """JSON with sorted keys, the same text for equal configurations."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)


def run_id(config: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the whole configuration, which has the keys that `configuration` gives."""
    return hashlib.sha256(canonical_json(config).encode()).hexdigest()


def configuration(result: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked of a run, out of its result: all that `run_id` hashes and nothing that was measured."""
    return {
        **{key: result[key] for key in ("schema", "arm", "seed", "dataset", "model", "budget")},
        "launch": result["launch"]["requested"],
    }


def result_path(output_dir: Path, arm: str, seed: int, run_id: str) -> Path:
    """The file of a run, named after its arm, its seed and the start of its run id."""
    return output_dir / f"{arm}-seed{seed}-{run_id[:12]}.json"


def file_name(result: Mapping[str, Any]) -> str:
    return result_path(Path(), result["arm"]["name"], result["seed"], result["run_id"]).name


def differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The top-level keys in which two configurations differ."""
    keys = sorted(found.keys() | asked.keys())
    return ", ".join(
        key for key in keys if canonical_json({key: found.get(key)}) != canonical_json({key: asked.get(key)})
    )
