"""Runs a cell: one arm, one seed, one launch. Its configuration is the request, its result the observation."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.ner.experiments.base import Base, base_folder, save_base, weights_fingerprint
from benchmarks.ner.experiments.environment import environment
from benchmarks.ner.experiments.launch import mismatch
from benchmarks.ner.experiments.result import DIVERGED, HARNESS_VERSION, SCHEMA, result_path, run_id
from benchmarks.ner.experiments.storage import non_finite, without_non_finite
from benchmarks.ner.training.arms import Arm
from benchmarks.ner.training.budget import Budget
from benchmarks.ner.training.fine_tuning import FineTuning, fine_tune, pooled_quality
from benchmarks.ner.training.models import classifier, initial_model
from benchmarks.ner.training.observed_launch import observed_launch
from benchmarks.ner.training.pretraining import pretrain
from benchmarks.ner.training.seeds import fine_tuning_seeds
from benchmarks.ner.training.stages import Progress, Stage
from benchmarks.ner.training.trainer_arguments import RuntimeConfig
from hf_dynmask.modeling.sparse_prediction import has_known_head, sparse_prediction


@dataclass(frozen=True)
class Task:
    """The inputs that all cells of a run share.

    `text` is that of pre-training. Cells begin with `base`, or with `model` if that is None, and save their checkpoint
    in `checkpoints` unless that is None. `study` names the registered study that they belong to. On `own_machine`,
    nothing else runs.
    """

    dataset: dict[str, Any]
    data: DatasetDict
    text: Dataset
    names: list[str]
    model: str
    identity: dict[str, Any]
    tokenizer: PreTrainedTokenizerBase
    budget: Budget
    requested: dict[str, Any]
    runtime: RuntimeConfig
    base: Base | None = None
    checkpoints: Path | None = None
    study: str | None = None
    own_machine: bool = False


def configuration(task: Task, arm: Arm, seed: int) -> dict[str, Any]:
    """Returns the configuration of a cell; its hash is the run id."""
    since_2 = {"base": task.base and task.base.run_id, "study": task.study}
    return {
        "schema": SCHEMA,
        "harness": HARNESS_VERSION,
        **{name: value for name, value in since_2.items() if value is not None},
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
    name = result_path(Path(), arm.name, seed, run_id(config)).stem
    with _runtime(task, name) as runtime:
        encoder, mlm = _pretrained(task, arm, seed, runtime, report)
        fine_tuned = _fine_tuned(task, encoder, arm, seed, runtime, report)
    last = fine_tuned[0].stage if fine_tuned else mlm
    observed = observed_launch(PartialState(), last.compute_dtype, last.strategy)
    measured = _measured(task, mlm, fine_tuned)
    status = _status(mismatch(task.requested, observed) or _divergence_reason(measured))
    if task.checkpoints is not None and status["status"] == "ok" and PartialState().is_main_process:
        save_base(encoder, base_folder(task.checkpoints, name), run_id(config), task.identity)
    return {
        **config,
        "run_id": run_id(config),
        "launch": {"requested": task.requested, "observed": observed},
        **status,
        **without_non_finite(measured),
        "env": {**environment(), "own_machine": task.own_machine},
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


def _pretrained(
    task: Task, arm: Arm, seed: int, runtime: RuntimeConfig, report: Callable[[float], None]
) -> tuple[PreTrainedModel, Stage]:
    encoder = initial_model(task.model, task.tokenizer, seed, task.base and task.base.folder)
    with sparse_prediction(encoder, in_evaluation=True) if has_known_head(encoder) else nullcontext():
        stage = pretrain(
            encoder,
            task.tokenizer,
            task.text,
            task.data["validation"],
            arm,
            task.budget,
            runtime,
            seed,
            [Progress(lambda done: report(done / _stage_count(task)))],
        )
    if task.base is not None:
        stage.metrics["base_weights"] = weights_fingerprint(task.base)
    return encoder, stage


def _fine_tuned(
    task: Task,
    encoder: PreTrainedModel,
    arm: Arm,
    seed: int,
    runtime: RuntimeConfig,
    report: Callable[[float], None],
) -> list[FineTuning]:
    return [
        fine_tune(
            classifier(encoder, task.model, task.tokenizer, task.names, own),
            task.tokenizer,
            task.data,
            task.names,
            arm,
            task.budget,
            runtime,
            own,
            [Progress(lambda done, number=number: report((1 + number + done) / _stage_count(task)))],
        )
        for number, own in enumerate(fine_tuning_seeds(seed, task.budget.fine_tunings))
    ]


def _stage_count(task: Task) -> int:
    return 1 + task.budget.fine_tunings


def _divergence_reason(measured: dict[str, Any]) -> str | None:
    """Returns why a run with NaN or infinite values has failed, or None if all values are finite."""
    key_paths = list(non_finite(measured, "result"))
    return f"{DIVERGED}: {', '.join(key_paths[:3])} must be finite; lower the learning rate" if key_paths else None


def _status(reason: str | None) -> dict[str, str | None]:
    return {"status": "ok" if reason is None else "failed", "reason": reason}


def _measured(task: Task, mlm: Stage, fine_tuned: list[FineTuning]) -> dict[str, Any]:
    """Returns the measurements of a cell; speed and memory of fine-tuning are those of its first one."""
    ner = fine_tuned[0].stage if fine_tuned else Stage({}, None, None, None)
    return {
        "mlm": mlm.metrics,
        "quality": pooled_quality(fine_tuned, task.data),
        "speed": {"mlm": mlm.speed, "ner": ner.speed},
        "memory": {"mlm": mlm.memory, "ner": ner.memory},
    }
