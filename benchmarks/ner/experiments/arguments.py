"""Loads the task that the arguments of the harness describe."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from benchmarks.ner.data.load import fingerprint, load_ner, tag_names
from benchmarks.ner.data.mlm_text import read_text, text_identity
from benchmarks.ner.experiments.argument_checks import file_format, make_budget
from benchmarks.ner.experiments.base import load_base
from benchmarks.ner.experiments.cell import Task
from benchmarks.ner.experiments.harness_arguments import HarnessArguments, dataset_name
from benchmarks.ner.training.budget import check_budget
from benchmarks.ner.training.models import load_tokenizer, model_identity
from benchmarks.ner.training.presets import preset
from benchmarks.ner.training.trainer_arguments import RuntimeConfig

TRACKING_FOLDER = "trainer"  # trackers write to this folder in the output folder
TRACKERS = ("all", "none", *INTEGRATION_TO_CALLBACK)


def next_steps(arguments: HarnessArguments) -> Iterator[str]:
    """Yields the folder of the results, and the commands that show them."""
    folder = Path(arguments.output_dir).resolve()
    yield f"Results: {folder}"
    yield f"Report: python -m benchmarks.ner.report {shlex.quote(str(folder))}"
    if "tensorboard" in arguments.report_to:
        yield f"Curves: tensorboard --logdir {shlex.quote(str(folder / TRACKING_FOLDER))}"


def stages(arguments: HarnessArguments) -> str:
    """Returns the stages of the runs, in words, and the arms that have no pre-training."""
    without = [f"`{arm}`" for arm in arguments.arms if not preset(arm)["pretrain"]]
    exceptions = f" (none for {' and '.join(without)})" if without else ""
    noun = "epoch" if arguments.mlm_epochs == 1 else "epochs"
    pretraining = f"{arguments.mlm_epochs:g} {noun} of pre-training{exceptions}"
    return f"{pretraining} and {arguments.ner_epochs:g} of fine-tuning" if arguments.fine_tunings else pretraining


def check_launch(arguments: HarnessArguments, num_processes: int) -> None:
    """Raises `ValueError` for what this launch, or the installed version of Trainer, does not support."""
    check_budget(make_budget(arguments), num_processes)
    for tracker in arguments.report_to:
        if tracker not in TRACKERS:
            raise ValueError(
                f"`report_to` must be among {', '.join(TRACKERS)}, but got {tracker!r}. Choose one of them."
            )


def load_task(arguments: HarnessArguments, requested: dict[str, Any], use_cpu: bool, num_processes: int) -> Task:
    """Loads the data and the tokenizer that all cells of a run share.

    [`with_text`] and [`with_checkpoints`] add what is not the same for all cells of a sweep.
    """
    files = (arguments.train_file, arguments.validation_file, arguments.test_file)
    data = load_ner(arguments.dataset, *files, form=file_format(arguments))
    dataset = {
        "name": dataset_name(arguments),
        "fingerprint": fingerprint(data),
        "sentences": {name: len(split) for name, split in data.items()},
    }
    tokenizer = load_tokenizer(arguments.model, data["train"])
    return Task(
        dataset=dataset,
        data=data,
        text=data["train"],
        names=tag_names(data),
        model=arguments.model,
        identity=model_identity(arguments.model, tokenizer),  # computed once, because it reads the encoder's weights
        tokenizer=tokenizer,
        budget=make_budget(arguments),
        requested=requested,
        runtime=RuntimeConfig(
            num_processes=num_processes,
            mixed_precision=requested["mixed_precision"],
            use_cpu=use_cpu,
            report_to=arguments.report_to,
            work_dir=Path(arguments.output_dir) / TRACKING_FOLDER,
        ),
        study=arguments.study,
        own_machine=arguments.own_machine,
    )


def with_text(task: Task, arguments: HarnessArguments) -> Task:
    """Returns the task with the text of pre-training that the arguments name."""
    if not arguments.mlm_train_file:
        return task
    text = read_text(arguments.mlm_train_file, arguments.split_seed, file_format(arguments))
    identity = text_identity(arguments.mlm_train_file, arguments.split_seed, text)
    return replace(task, text=text, dataset={**task.dataset, "mlm": identity})


def with_checkpoints(task: Task, arguments: HarnessArguments) -> Task:
    """Returns the task with the base that its cells begin with, and the folder of those that they save.

    Raises `ValueError` for a base that does not fit, and for checkpoints of a sharded model, which no rank has whole.
    """
    if arguments.save_model and (strategy := task.requested.get("strategy")):
        raise ValueError(f"`save_model` must be False for a sharded model, but {strategy} is requested. Use DDP.")
    return replace(
        task,
        base=None if arguments.base is None else load_base(Path(arguments.base), task.identity),
        checkpoints=Path(arguments.output_dir) if arguments.save_model else None,
    )
