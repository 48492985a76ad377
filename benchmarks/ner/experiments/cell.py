"""Runs a cell: one arm, one seed, one launch. Its configuration is the request, its result the observation."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import DatasetDict
from transformers import PreTrainedTokenizerBase

from benchmarks.ner.experiments.environment import environment
from benchmarks.ner.experiments.launch import mismatch
from benchmarks.ner.experiments.result import SCHEMA, result_path, run_id
from benchmarks.ner.experiments.storage import non_finite, without_non_finite
from benchmarks.ner.training.arms import Arm
from benchmarks.ner.training.budget import Budget, RuntimeConfig
from benchmarks.ner.training.fine_tuning import fine_tune
from benchmarks.ner.training.models import classifier, initial_model
from benchmarks.ner.training.observed_launch import observed_launch
from benchmarks.ner.training.pretraining import pretrain
from benchmarks.ner.training.stages import Progress, Stage
from hf_dynmask.modeling.sparse_prediction import has_known_head, sparse_prediction

_QUALITY_FROM_TRAINING = ("train_loss", "steps")


@dataclass(frozen=True)
class Task:
    """The inputs that all cells of a run share."""

    dataset: dict[str, Any]
    data: DatasetDict
    names: list[str]
    model: str
    identity: dict[str, Any]
    tokenizer: PreTrainedTokenizerBase
    budget: Budget
    requested: dict[str, Any]
    runtime: RuntimeConfig


def configuration(task: Task, arm: Arm, seed: int) -> dict[str, Any]:
    """Returns the configuration of a cell; its hash is the run id."""
    return {
        "schema": SCHEMA,
        "arm": arm.settings(),
        "seed": seed,
        "dataset": task.dataset,
        "model": task.identity,
        "budget": asdict(task.budget),
        "launch": task.requested,
    }


def run_cell(task: Task, arm: Arm, seed: int, report: Callable[[float], None]) -> dict[str, Any]:
    """Runs a cell on all processes; returns its result, as `result.py` defines it.

    Args:
        report: called with the completed fraction of the cell.
    """
    started = time.time()
    config = configuration(task, arm, seed)
    with _runtime(task, result_path(Path(), arm.name, seed, run_id(config)).stem) as runtime:
        mlm, ner = _stages(task, arm, seed, runtime, report)
    observed = observed_launch(PartialState(), ner.compute_dtype, ner.strategy)
    measured = _measured(mlm, ner)
    return {
        **config,
        "run_id": run_id(config),
        "launch": {"requested": task.requested, "observed": observed},
        **_status(mismatch(task.requested, observed) or _divergence_reason(measured)),
        **without_non_finite(measured),
        "env": environment(),
        "time": {"started": started, "seconds": time.time() - started},
    }


@contextmanager
def _runtime(task: Task, name: str) -> Iterator[RuntimeConfig]:
    """Yields the runtime of the task with a folder for Trainer.

    The folder is permanent if a tracker writes there. Otherwise it is a temporary folder of this process, because
    another harness may run the same cell at the same time.
    """
    if task.runtime.report_to:
        yield replace(task.runtime, work_dir=task.runtime.work_dir / name)
    else:
        with tempfile.TemporaryDirectory(prefix="hf_dynmask-", ignore_cleanup_errors=True) as folder:
            yield replace(task.runtime, work_dir=Path(folder))


def _stages(
    task: Task, arm: Arm, seed: int, runtime: RuntimeConfig, report: Callable[[float], None]
) -> tuple[Stage, Stage]:
    common = {
        "tokenizer": task.tokenizer,
        "data": task.data,
        "budget": task.budget,
        "runtime": runtime,
        "seed": seed,
    }
    progress_callbacks = [[Progress(lambda done, half=half: report((half + done) / 2))] for half in (0, 1)]
    encoder = initial_model(task.model, task.tokenizer, seed)
    with sparse_prediction(encoder, in_evaluation=True) if has_known_head(encoder) else nullcontext():
        mlm = pretrain(encoder, arm=arm, callbacks=progress_callbacks[0], **common)
    model = classifier(encoder, task.model, task.tokenizer, task.names, seed)
    return mlm, fine_tune(model, names=task.names, arm=arm, callbacks=progress_callbacks[1], **common)


def _divergence_reason(measured: dict[str, Any]) -> str | None:
    """Returns why a run with NaN or infinite values has failed, or None if all values are finite."""
    key_paths = list(non_finite(measured, "result"))
    return (
        f"the training diverged: {', '.join(key_paths[:3])} must be finite; lower the learning rate"
        if key_paths
        else None
    )


def _status(reason: str | None) -> dict[str, str | None]:
    return {"status": "ok" if reason is None else "failed", "reason": reason}


def _measured(mlm: Stage, ner: Stage) -> dict[str, Any]:
    quality = {name: value for name, value in ner.metrics.items() if name not in _QUALITY_FROM_TRAINING}
    return {
        "mlm": mlm.metrics,
        "quality": {**quality, **{f"ner_{name}": ner.metrics[name] for name in _QUALITY_FROM_TRAINING}},
        "speed": {"mlm": mlm.speed, "ner": ner.speed},
        "memory": {"mlm": mlm.memory, "ner": ner.memory},
    }
