"""Static against dynamic masking on NER: `accelerate launch benchmarks/ner/run.py --arms none static dynamic`.

Runs every arm with every seed under the launch it was started by, and writes one JSON file for each. What is finished
is not run again, so a run that was stopped goes on where it was.
"""

import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

# A script's own folder comes first on the path, where `statistics.py` and the like would hide the standard library's.
sys.path[0] = str(Path(__file__).resolve().parents[2])

import datasets
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from transformers import HfArgumentParser
from transformers.utils import logging

from benchmarks.ner.arms import Arm, load_arm
from benchmarks.ner.budget import Budget, Machinery
from benchmarks.ner.cell import Task, configuration, run_cell
from benchmarks.ner.data import fingerprint, load_ner, tag_names
from benchmarks.ner.keeping import check_writable, keep_result, set_aside
from benchmarks.ner.launch import leave, requested_launch
from benchmarks.ner.models import load_tokenizer, model_identity
from benchmarks.ner.report import failures, printable, results_table
from benchmarks.ner.results import RejectedResult, finished, result_path, run_id


@dataclass
class HarnessArguments:
    """What to compare, on what, for how long."""

    arms: list[str] = field(
        default_factory=lambda: ["none", "static", "dynamic", "anneal"],
        metadata={"help": "Presets in benchmarks/ner/presets."},
    )
    seeds: list[int] = field(default_factory=lambda: [0, 1], metadata={"help": "Each is a run of every arm."})
    dataset: str = field(default="embedded", metadata={"help": "'embedded', a dataset of the hub, or a local folder."})
    train_file: str | None = field(default=None, metadata={"help": "CoNLL columns, JSON lines or Parquet."})
    validation_file: str | None = field(default=None, metadata={"help": "As train_file."})
    test_file: str | None = field(default=None, metadata={"help": "As train_file."})
    dataset_name: str | None = field(default=None, metadata={"help": "What to call files in tables and results."})
    model: str = field(default="tiny", metadata={"help": "'tiny', or a name or path for AutoModel."})
    mlm_epochs: float = field(default=12.0, metadata={"help": "Epochs of pre-training."})
    mlm_learning_rate: float = field(default=1e-3, metadata={"help": "Peak, falling linearly to 0."})
    mlm_batch_size: int = field(default=16, metadata={"help": "Blocks a step, of all processes together."})
    mlm_block_size: int = field(default=128, metadata={"help": "Tokens a block."})
    ner_epochs: float = field(default=6.0, metadata={"help": "Epochs of fine-tuning."})
    ner_learning_rate: float = field(default=1e-3, metadata={"help": "Peak, falling linearly to 0."})
    ner_batch_size: int = field(default=32, metadata={"help": "Sentences a step, of all processes together."})
    ner_max_length: int = field(default=128, metadata={"help": "Tokens a window; longer sentences have several."})
    warmup_ratio: float = field(default=0.06, metadata={"help": "Fraction of the steps of both stages."})
    weight_decay: float = field(default=0.01, metadata={"help": "AdamW's, in both stages."})
    dataloader_num_workers: int = field(default=0, metadata={"help": "Workers of each process."})
    dataloader_persistent_workers: bool = field(default=False, metadata={"help": "Keep them between epochs."})
    output_dir: str = field(default="runs", metadata={"help": "Where results go, one JSON file a run."})
    report_to: list[str] = field(default_factory=list, metadata={"help": "Trainer's trackers, e.g. tensorboard."})
    retry_failed: bool = field(default=False, metadata={"help": "Run again what failed."})


def main() -> None:
    """Runs all cells, then prints the table."""
    (arguments,) = HfArgumentParser(HarnessArguments).parse_args_into_dataclasses()  # type: ignore[arg-type]
    requested = requested_launch()
    use_cpu = requested["use_cpu"] or not torch.cuda.is_available()
    state = PartialState(cpu=use_cpu)
    console = Console(quiet=not state.is_main_process)
    if state.is_main_process:  # it alone writes
        check_writable(Path(arguments.output_dir))
    _quieten()
    task = _task(arguments, requested, use_cpu)
    cells = [(load_arm(arm), seed) for seed in arguments.seeds for arm in arguments.arms]
    results = _run_all(task, cells, arguments, console)
    if state.is_main_process:
        console.print(results_table(results))
        for line in failures(results):
            console.print(Text(line, style="red"), soft_wrap=True)
        console.print(Text(f"Results: {printable(str(Path(arguments.output_dir).resolve()))}"))
    leave(int(any(result["status"] == "failed" for result in results)))


def _run_all(task: Task, cells: list[tuple[Arm, int]], arguments: HarnessArguments, console: Console) -> list[dict]:
    results = []
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(cells))
        for number, (arm, seed) in enumerate(cells):
            progress.update(bar, description=f"{arm.name} seed {seed}", completed=number)
            result = _known(task, arm, seed, arguments, console)
            known = result is not None
            if result is None:
                result = run_cell(task, arm, seed, partial(_advance, progress, bar, number))
                _keep(result, arguments)
            _tell(console, result, known, number, len(cells))
            results.append(result)
        progress.update(bar, description="done", completed=len(cells))
    return results


def _advance(progress: Progress, bar: TaskID, cells: int, done: float) -> None:
    progress.update(bar, completed=cells + done)


def _task(arguments: HarnessArguments, requested: dict, use_cpu: bool) -> Task:
    data = load_ner(arguments.dataset, arguments.train_file, arguments.validation_file, arguments.test_file)
    files = arguments.train_file is not None
    dataset = {
        "name": arguments.dataset_name
        or (Path(arguments.train_file or "").parent.name if files else arguments.dataset),
        "fingerprint": fingerprint(data),
        "sentences": {name: len(split) for name, split in data.items()},
    }
    tokenizer = load_tokenizer(arguments.model, data["train"])
    budget = Budget(**{name: getattr(arguments, name) for name in Budget.__dataclass_fields__})
    return Task(
        dataset=dataset,
        data=data,
        names=tag_names(data),
        model=arguments.model,
        identity=model_identity(arguments.model, tokenizer),  # once: it reads the encoder's weights
        tokenizer=tokenizer,
        budget=budget,
        requested=requested,
        machinery=Machinery(
            num_processes=PartialState().num_processes,
            mixed_precision=requested["mixed_precision"],
            use_cpu=use_cpu,
            report_to=arguments.report_to,
            work_dir=Path(arguments.output_dir) / "trainer",
        ),
    )


def _known(task: Task, arm: Arm, seed: int, arguments: HarnessArguments, console: Console) -> dict | None:
    """The result of a finished cell. The first process looks and tells the others: they must do the same."""
    found: list[dict | None] = [None]
    if PartialState().is_main_process:
        config = configuration(task, arm, seed)
        path = result_path(Path(arguments.output_dir), arm.name, seed, run_id(config))
        try:
            found = [finished(path, config, arguments.retry_failed)]
        except RejectedResult as error:
            aside = set_aside(path)
            kept = f"kept as {aside.name}" if aside else "another process has set it aside"
            console.print(Text(printable(f"not trusted {path.name}: {error}; {kept}"), style="yellow"), soft_wrap=True)
    return broadcast_object_list(found)[0]


def _keep(result: dict, arguments: HarnessArguments) -> None:
    if PartialState().is_main_process:
        keep_result(
            result_path(Path(arguments.output_dir), result["arm"]["name"], result["seed"], result["run_id"]), result
        )


def _tell(console: Console, result: dict, known: bool, number: int, cells: int) -> None:
    """One line for each cell, also where no progress bar is drawn."""
    score, loss, seconds = result["quality"]["test_f1"], result["mlm"]["eval_loss"], result["time"]["seconds"]
    console.print(
        f"{number + 1:>3}/{cells} {result['arm']['name']:<14} seed {result['seed']}  "
        f"test F1 {'-' if score is None else format(100 * score, '5.2f')}  "
        f"MLM loss {'-' if loss is None else format(loss, '.3f')}  {seconds:5.0f} s"
        + ("  (finished before)" if known else ""),
        highlight=False,
        soft_wrap=True,
    )


def _quieten() -> None:
    """The progress bar is the harness's own; datasets and transformers each would draw theirs below it."""
    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    if not PartialState().is_main_process:
        logging.set_verbosity_error()


if __name__ == "__main__":
    torch.set_float32_matmul_precision("highest")  # fp32 is fp32
    main()
