"""The arguments of the harness, and the task that they describe."""

import shlex
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from benchmarks.ner.data.load import fingerprint, load_ner, tag_names
from benchmarks.ner.data.mlm_text import read_text, text_identity
from benchmarks.ner.experiments.base import load_base
from benchmarks.ner.experiments.cell import Task
from benchmarks.ner.training.budget import Budget, RuntimeConfig, check_budget
from benchmarks.ner.training.models import load_tokenizer, model_identity

TRACKING_FOLDER = "trainer"  # trackers write to this folder in the output folder
TRACKERS = ("all", "none", *INTEGRATION_TO_CALLBACK)
SEEDS = range(2**32)


@dataclass
class HarnessArguments:
    """What to compare, on which data, for how long."""

    arms: list[str] = field(
        default_factory=lambda: ["static", "dynamic"],
        metadata={"help": "Names of presets in benchmarks/ner/config/presets."},
    )
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2], metadata={"help": "Every arm runs with each seed."})
    dataset: str = field(default="embedded", metadata={"help": "'embedded', a dataset on the Hub, or a local folder."})
    train_file: str | None = field(default=None, metadata={"help": "CoNLL columns, JSON lines or Parquet."})
    validation_file: str | None = field(default=None, metadata={"help": "See train_file."})
    test_file: str | None = field(default=None, metadata={"help": "See train_file."})
    dataset_name: str | None = field(default=None, metadata={"help": "Name of the files in tables and results."})
    mlm_train_file: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Text of pre-training: files like train_file, or parts of their documents, such as "
            "'train.txt[:75%%]'. The default is the training split."
        },
    )
    split_seed: int = field(default=0, metadata={"help": "Determines which documents such a part has."})
    model: str = field(default="tiny", metadata={"help": "'tiny', or a name or path for AutoModel."})
    base: str | None = field(
        default=None, metadata={"help": "Begin with this checkpoint, which a cell made with --save_model."}
    )
    save_model: bool = field(default=False, metadata={"help": "Save the checkpoint of each cell in output_dir/models."})
    mlm_epochs: float = field(default=30.0, metadata={"help": "Epochs of pre-training."})
    mlm_learning_rate: float = field(default=1e-3, metadata={"help": "Peak learning rate; decays linearly to 0."})
    mlm_batch_size: int = field(default=16, metadata={"help": "Blocks per step, over all processes."})
    mlm_block_size: int = field(default=128, metadata={"help": "Tokens per block."})
    ner_epochs: float = field(default=6.0, metadata={"help": "Epochs of fine-tuning."})
    ner_learning_rate: float = field(default=1e-3, metadata={"help": "Peak learning rate; decays linearly to 0."})
    ner_batch_size: int = field(default=32, metadata={"help": "Sentences per step, over all processes."})
    ner_max_length: int = field(
        default=128, metadata={"help": "Tokens per window; longer sentences have several windows."}
    )
    mlm_evaluation_masks: int = field(
        default=5, metadata={"help": "Fixed masks per example that the final MLM loss averages."}
    )
    fine_tunings: int = field(
        default=1, metadata={"help": "Fine-tunings of each pre-trained model, with seeds of their own; 0 for none."}
    )
    warmup_ratio: float = field(default=0.06, metadata={"help": "Fraction of warmup steps, in both stages."})
    weight_decay: float = field(default=0.01, metadata={"help": "Weight decay of AdamW, in both stages."})
    dataloader_num_workers: int = field(default=0, metadata={"help": "Data loader workers per process."})
    dataloader_persistent_workers: bool = field(default=False, metadata={"help": "Keep workers between epochs."})
    tf32: bool = field(default=False, metadata={"help": "Use TF32 for float32 matrix products on a GPU."})
    output_dir: str = field(default="runs", metadata={"help": "Folder of the results, one JSON file per run."})
    report_to: list[str] = field(default_factory=list, metadata={"help": "Trackers of Trainer, such as tensorboard."})
    study: str | None = field(default=None, metadata={"help": "The registered study that the cells belong to."})
    own_machine: bool = field(
        default=False, metadata={"help": "Nothing else runs on the machine, so seconds can be compared."}
    )
    retry_failed: bool = field(default=False, metadata={"help": "Run failed cells again."})


def to_command_line(arguments: HarnessArguments) -> list[str]:
    """Returns the command line of these arguments, without those that have their default values."""
    words = []
    for argument in fields(arguments):
        value = getattr(arguments, argument.name)
        default = argument.default if argument.default_factory is MISSING else argument.default_factory()
        if value != default:
            words += [f"--{argument.name}", *map(str, value if isinstance(value, list) else [value])]
    return words


def dataset_name(arguments: HarnessArguments) -> str:
    """Returns the name of the dataset in tables and results; files are named after their folder."""
    if arguments.dataset_name:
        return arguments.dataset_name
    return Path(arguments.train_file).parent.name if arguments.train_file is not None else arguments.dataset


def make_budget(arguments: HarnessArguments) -> Budget:
    return Budget(**{name: getattr(arguments, name) for name in Budget.__dataclass_fields__})


def next_steps(arguments: HarnessArguments) -> Iterator[str]:
    """Yields the folder of the results, and the commands that show them."""
    folder = Path(arguments.output_dir).resolve()
    yield f"Results: {folder}"
    yield f"Report: python -m benchmarks.ner.report {shlex.quote(str(folder))}"
    if "tensorboard" in arguments.report_to:
        yield f"Curves: tensorboard --logdir {shlex.quote(str(folder / TRACKING_FOLDER))}"


def check_arguments(arguments: HarnessArguments, num_processes: int) -> None:
    """Raises `ValueError` for invalid values and for trackers that Trainer does not support."""
    check_budget(make_budget(arguments), num_processes)
    for name, seed in [*(("seeds", seed) for seed in arguments.seeds), ("split_seed", arguments.split_seed)]:
        if seed not in SEEDS:
            raise ValueError(f"`{name}` must be integers from 0 to 2^32 - 1, but got {seed}. Change it.")
    for tracker in arguments.report_to:
        if tracker not in TRACKERS:
            raise ValueError(
                f"`report_to` must be among {', '.join(TRACKERS)}, but got {tracker!r}. Choose one of them."
            )


def load_task(arguments: HarnessArguments, requested: dict[str, Any], use_cpu: bool, num_processes: int) -> Task:
    """Loads the data and the tokenizer that all cells of a run share.

    [`with_text`] and [`with_checkpoints`] add what is not the same for all cells of a sweep.
    """
    data = load_ner(arguments.dataset, arguments.train_file, arguments.validation_file, arguments.test_file)
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
    text = read_text(arguments.mlm_train_file, arguments.split_seed)
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
