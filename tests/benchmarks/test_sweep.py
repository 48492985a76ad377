"""Grids, what becomes of their cells, and that nothing of a cell is left running; most launches are stubs."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from harness import ROOT
from rich.console import Console
from transformers import HfArgumentParser

from benchmarks.ner import sweep
from benchmarks.ner.experiments import launch_configs, process_tree
from benchmarks.ner.experiments.arguments import HarnessArguments, command_line
from benchmarks.ner.experiments.cell_process import run_one
from benchmarks.ner.experiments.grid import Grid, grid_of, read_grid
from benchmarks.ner.experiments.launch import parse_launch
from benchmarks.ner.experiments.launch_configs import obstacle
from benchmarks.ner.experiments.plan import Planned, SweepArguments, fate, planned, stored
from benchmarks.ner.experiments.process_tree import MARK, end_marked, end_orphans, last_lines, run_to_the_end
from benchmarks.ner.experiments.result import configuration, result_path, run_id
from benchmarks.ner.experiments.result_reader import load, read_results
from benchmarks.ner.report.status_tables import not_run
from benchmarks.ner.sweep import time_left

GRIDS = ROOT / "benchmarks" / "ner" / "config" / "grids"
SMALL = {"arms": ["none", "static"], "seeds": [0, 1], "launches": ["cpu_1_fp32"]}
RESULT = load(min((ROOT / "benchmarks" / "results").glob("static-*.json")))
CPU = {"num_processes": 1, "mixed_precision": "no", "use_cpu": True, "config": "cpu_1_fp32"}
GPU = {**CPU, "use_cpu": False}
NO_PROCESS = 2**22 + 1  # above the largest pid that there is


# -- Grids ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": ["dynamo"]}, r"`arms` must be among .*static.*, but got 'dynamo'\. Add config/presets/dynamo\.yaml"),
        ({"arms": []}, r"`arms` must be a list of one entry or more, but got \[\]\. Put what is wanted into \[ \]"),
        ({"arms": "static"}, r"`arms` must be a list .*, but got 'static'"),
        ({"seeds": [True]}, r"`seeds` must be .* whole numbers from 0, but got True\. Mend that entry"),
        ({"seeds": [-1]}, r"`seeds` must be .*, but got -1"),
        ({"models": [None]}, r"`models` must be .* texts, but got None"),
        ({"datasets": [{"train_file": "a"}]}, r"`datasets` must be a name, or .*Add validation_file, test_file"),
        ({"datasets": [{"folder": "a"}]}, r"`datasets` must be .*, but got 'folder'\. Remove or rename that key"),
        ({"launches": ["cpu_9"]}, r"`launches` must be among .*cpu_1_fp32.* or a \.yaml file, but got 'cpu_9'"),
        ({"launches": [{"precision": "fp64"}]}, r"`launches: precision` must be .* fp32, tf32, .*, but got 'fp64'"),
        ({"launches": [{"precision": [[]]}]}, r"`launches: precision` must be .*, but got \[\]"),
        ({"launches": [{"processes": []}]}, r"`launches: processes` must be a list of one entry or more"),
        ({"launches": [{"processes": 1.5}]}, r"`launches: processes` must be .* whole numbers from 1, but got 1\.5"),
        ({"launches": [{"nodes": 2}]}, r"`launches` must be a mapping with keys among device, .*, but got 'nodes'"),
        ({"workers": [3]}, r"`workers` must be .* of 0, 2, 2 persistent, but got 3"),
        ({"time_limit": 0}, r"`time_limit` must be a number of seconds above 0, but got 0"),
        ({"time_limit": float("inf")}, r"`time_limit` must be .*, but got inf"),
        ({"arguments": {"mlm_epochs": "2"}}, r"`arguments: mlm_epochs` must be a number from 0, but got '2'"),
        ({"arguments": {"ner_batch_size": 1.5}}, r"`arguments: ner_batch_size` must be a whole number .*got 1\.5"),
        ({"arguments": {"dataloader_num_workers": 1}}, r"`arguments` must be .*, but got 'dataloader_num_workers'"),
        ({"epochs": 2}, r"`the grid` must be a mapping with keys among arms, .*, but got 'epochs'"),
    ],
)
def test_what_is_no_grid_is_refused_by_its_key_its_rule_and_its_remedy(tmp_path, change, message) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **change}))
    with pytest.raises(ValueError, match=message) as error:
        read_grid(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arms: [", "a grid must be YAML"),
        ("", "`the grid` must be a mapping"),
        ("arms: [none]", "no seeds and no l"),
    ],
)
def test_a_file_that_holds_no_grid_is_refused(tmp_path, text, message) -> None:
    (tmp_path / "grid.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_grid(tmp_path / "grid.yaml")


def test_a_grid_that_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"a grid must be a file, but got No such file or directory\. Name one"):
        read_grid(tmp_path / "absent.yaml")


def test_launches_of_one_name_must_be_the_same(tmp_path) -> None:
    """Results tell them by their names."""
    other = tmp_path / "cpu_2_bf16.yaml"
    other.write_text("distributed_type: MULTI_GPU\nnum_processes: 2\n")
    with pytest.raises(ValueError, match=r"files of different names, but got 'two cpu_2_bf16\.yaml'"):
        grid_of({**SMALL, "launches": ["cpu_2_bf16", str(other)]}, "runs")
    written = {"device": "cpu", "processes": [1, 2], "precision": ["fp32", "bf16"]}
    named = ["cpu_1_fp32", "cpu_1_bf16", "cpu_2_fp32", "cpu_2_bf16"]
    grid = grid_of({**SMALL, "launches": [*named, written]}, "runs")
    assert len(grid.cells) == 4 * 2 * 2


def test_a_grid_is_each_combination_once() -> None:
    grid = grid_of({**SMALL, "arms": ["none", "static", "none"], "workers": [0, "2 persistent"]}, "here")
    cells = [(*cell.arguments.arms, *cell.arguments.seeds, cell.workers) for cell in grid.cells]
    assert sorted(cells, key=str) == sorted(
        [(arm, seed, workers) for arm in ("none", "static") for seed in (0, 1) for workers in (0, "2 persistent")],
        key=str,
    )
    assert {cell.arguments.output_dir for cell in grid.cells} == {"here"}
    assert {cell.arguments.dataloader_persistent_workers for cell in grid.cells if cell.workers} == {True}


def test_the_grids_that_come_along() -> None:
    assert len(read_grid(GRIDS / "cpu_smoke.yaml").cells) == 2 * 2 * 4
    gpu = read_grid(GRIDS / "gpu.yaml").cells
    assert len(gpu) == len(set(map(str, gpu))) == 4 * 2 * (5 * 4 * 4) * 3
    assert {cell.arguments.tf32 for cell in gpu if "tf32" in cell.launch.name} == {True}
    assert {cell.arguments.tf32 for cell in gpu if "tf32" not in cell.launch.name} == {False}


def test_a_command_line_gives_back_its_arguments() -> None:
    (cell,) = grid_of(
        {
            **{"arms": ["none"], "seeds": [7], "launches": [{"precision": "tf32"}], "workers": ["2 persistent"]},
            "datasets": [{"train_file": "a b", "validation_file": "b", "test_file": "c", "dataset_name": "abc"}],
            "arguments": {"mlm_epochs": 1, "weight_decay": 0, "ner_batch_size": 8, "mlm_learning_rate": 1e-05},
        },
        "there",
    ).cells
    words = command_line(cell.arguments)
    assert HfArgumentParser(HarnessArguments).parse_args_into_dataclasses(words) == (cell.arguments,)
    assert command_line(HarnessArguments()) == []


# -- Launches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["ddp", "fsdp", "fsdp2", "zero2"])
@pytest.mark.parametrize(("precision", "mixed"), [("fp32", "no"), ("tf32", "no"), ("bf16", "bf16"), ("fp8", "fp8")])
@pytest.mark.parametrize("processes", [1, 8])
def test_a_written_launch_asks_for_what_its_name_says(tmp_path, strategy, precision, mixed, processes) -> None:
    asked = {"precision": precision, "processes": processes, "strategy": strategy}
    (cell, *_) = grid_of({**SMALL, "launches": [asked]}, "runs").cells
    cell.launch.write(tmp_path)
    (path,) = tmp_path.iterdir()
    assert parse_launch(["accelerate", "launch", "--config_file", str(path), "run.py"], {}) == {
        **{"num_processes": processes, "mixed_precision": mixed, "use_cpu": False},
        "config": f"gpu_{processes}_{precision}" + ("" if strategy == "ddp" else f"_{strategy}"),
        **{
            "ddp": {},
            "fsdp": {"strategy": "FSDP"},
            "fsdp2": {"strategy": "FSDP2"},
            "zero2": {"strategy": "DEEPSPEED"},
        }[strategy],
    }


@pytest.mark.parametrize(
    ("requested", "reason"),
    [
        (CPU, None),
        ({**CPU, "num_processes": 9, "mixed_precision": "fp16"}, None),  # the run finds out what then computes
        (GPU, None),
        ({**GPU, "num_processes": 4}, "4 GPUs were asked for, this machine has 2"),
        ({**GPU, "num_processes": 4, "num_machines": 2}, None),
        ({**GPU, "num_processes": 3, "num_machines": 2}, "processes must be a multiple of the 2 machines, and are 3"),
        ({**GPU, "mixed_precision": "fp8"}, "no fp8 library: install transformer-engine, torchao or MS-AMP"),
        ({**GPU, "strategy": "DEEPSPEED"}, "no DeepSpeed: install deepspeed"),
        ({**GPU, "strategy": "FSDP"}, None),
        ({**GPU, "tf32": True}, "the GPU is too old for TF32"),
    ],
)
def test_what_a_machine_with_two_old_gpus_cannot_run(monkeypatch, requested, reason) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(launch_configs, "is_fp8_available", lambda: False)
    monkeypatch.setattr(launch_configs, "is_deepspeed_available", lambda: False)
    assert obstacle(requested) == reason


def test_what_a_machine_without_gpu_cannot_run(monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert obstacle(GPU) == "no GPU"
    assert obstacle(CPU) is None


# -- Children ---------------------------------------------------------------------------------------------------------

FAMILY = """
import os, subprocess, sys, time
code = "import os, time; print(os.getpid(), flush=True); time.sleep(1000)"
subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
time.sleep(1000)
"""
SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a marked command; all are ended after the test, and what they started where it has the test's folder."""
    started = []

    def start(mark: str, *command: str) -> subprocess.Popen[str]:
        environment = {**os.environ, MARK: mark}
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    end_marked(lambda mark: str(tmp_path) in mark)
    for process in started:
        process.kill()
        process.communicate()


def running(pid: int) -> bool:
    """Not ended, nor ended and waiting for its parent to ask how."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_a_process_started_is_ended_with_it_also_in_a_session_of_its_own(tmp_path, start) -> None:
    family, other = start(str(tmp_path), sys.executable, "-c", FAMILY), start(f"{tmp_path} other", *SLEEP)
    grandchild = int(family.stdout.readline())
    assert end_marked(str(tmp_path).__eq__) == 2
    assert not running(grandchild)
    assert not running(family.pid)
    assert running(other.pid)


def test_what_a_launcher_that_is_gone_has_left_is_ended(tmp_path, start) -> None:
    family = start(str(tmp_path), sys.executable, "-c", FAMILY)
    grandchild = int(family.stdout.readline())
    family.kill()
    family.wait()
    assert running(grandchild)
    assert end_marked(str(tmp_path).__eq__) == 1
    assert not running(grandchild)


def test_only_a_sweep_that_is_gone_leaves_orphans(tmp_path, start) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    orphan = start(f"{NO_PROCESS} {here}", *SLEEP)
    others = [start(f"{os.getpid()} {here}", *SLEEP), start(f"{NO_PROCESS} {there}", *SLEEP)]
    assert end_orphans(here) == 1
    assert not running(orphan.pid)
    assert all(running(process.pid) for process in others)


def test_a_command_over_its_limit_is_ended(tmp_path) -> None:
    assert run_to_the_end(SLEEP, str(tmp_path), tmp_path / "log", 0.01) is None
    assert end_marked(str(tmp_path).__eq__) == 0


@pytest.mark.parametrize("status", [0, 3])
def test_a_command_has_its_status_and_its_output(tmp_path, status) -> None:
    script = f"import sys; print('out'); sys.stdout.flush(); sys.exit({status} and 'err' and {status})"
    assert run_to_the_end([sys.executable, "-c", script], str(tmp_path), tmp_path / "new" / "log", 100) == status
    assert (tmp_path / "new" / "log").read_text() == "out\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a\n\n b \nValueError: c\n", "a | b | ValueError: c"),
        ("\n".join("abcdefgh"), "d | e | f | g | h"),
        ("ValueError: c\nE1 torch/distributed/elastic/multiprocessing/api.py] failed\nmore", "ValueError: c"),
        ("W1 torch/distributed/elastic/agent: only this", "W1 torch/distributed/elastic/agent: only this"),
    ],
)
def test_the_last_lines_are_the_scripts_own(tmp_path, text, expected) -> None:
    (tmp_path / "log").write_text(text)
    assert last_lines(tmp_path / "log") == expected


# -- Cells ------------------------------------------------------------------------------------------------------------

WRITE = """
import json, os, sys, time
path, status, count = sys.argv[1:]
with open(count, "a") as file:
    file.write(status + "\\n")
result = json.loads(os.environ["TEST_RESULT"])
result["time"] = {"started": time.time(), "seconds": 1.0}
with open(path, "w") as file:
    json.dump({**result, "status": status}, file)
"""
CRASH = "raise SystemExit('no memory\\nleft')"
INTERRUPT = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(1000)"


class Folder:
    """Cells whose commands are stubs, and how often each was started."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.arguments = SweepArguments(output_dir=str(path))
        monkeypatch.setenv("TEST_RESULT", json.dumps(RESULT))
        (self.any_cell, *_) = grid_of(SMALL, str(path)).cells

    def cell(self, script: str = WRITE, status: str = "ok", **launch: object) -> Planned:
        config = configuration(RESULT)
        config["launch"] = {**config["launch"], **launch}
        path = result_path(self.path, "static", RESULT["seed"], run_id(config))
        stub = [sys.executable, "-c", script, str(path), status, str(self.path / "started")]
        return Planned(self.any_cell, config, path, stub)

    def write(self, cell: Planned, status: str) -> None:
        launch = {"requested": cell.config["launch"], "observed": None}
        result = {**RESULT, "launch": launch, "run_id": run_id(cell.config), "status": status, "reason": "before"}
        cell.path.write_text(json.dumps(result))

    def run(self, cell: Planned, time_limit: float = 300) -> dict:
        result = run_one(cell, Grid([], time_limit), self.arguments)
        assert stored(cell) == result, "a result file that is trusted"
        results, rejected = read_results(self.path)
        assert (len(results), rejected) == (1, [])
        return result

    def sweep(self, *cells: Planned, time_limit: float = 300) -> tuple[int, list[str]]:
        console = Console(file=io.StringIO(), width=200)
        status = sweep.sweep(cells, Grid([], time_limit), self.arguments, console)
        return status, console.file.getvalue().splitlines()

    def started(self) -> list[str]:
        file = self.path / "started"
        return file.read_text().split() if file.exists() else []


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Folder:
    return Folder(tmp_path, monkeypatch)


pytestmark = pytest.mark.usefixtures("signal_handlers")


@pytest.mark.parametrize("status", ["ok", "failed"])
@pytest.mark.parametrize("before", [None, "failed", "skipped"])
def test_a_cell_has_the_result_that_it_wrote(folder, status, before) -> None:
    cell = folder.cell(status=status)
    if before:
        folder.write(cell, before)
    assert fate(cell) == "run"
    assert (folder.run(cell)["status"], folder.started()) == (status, [status])
    assert fate(cell) == ("finished" if status == "ok" else "run")


@pytest.mark.parametrize("before", [None, "failed", "skipped"])
def test_a_cell_that_crashes_has_failed_and_says_its_last_lines(folder, before) -> None:
    cell = folder.cell(CRASH)
    if before:
        folder.write(cell, before)
    result = folder.run(cell)
    assert result["status"] == "failed"
    assert result["reason"] == "ended with status 1 without a result: no memory | left"
    assert [table.title for table in not_run([result])] == ["Failed"], "can be reported"


def test_a_cell_over_its_limit_has_failed(folder) -> None:
    result = folder.run(folder.cell("import time; time.sleep(1000)"), time_limit=0.01)
    assert (result["status"], result["reason"]) == ("failed", "time limit")


@pytest.mark.parametrize(("before", "after"), [(None, "skipped"), ("skipped", "skipped"), ("failed", "failed")])
def test_a_cell_that_cannot_run_is_skipped_unless_it_failed_where_it_can(folder, monkeypatch, before, after) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    cell = folder.cell(use_cpu=False)
    if before:
        folder.write(cell, before)
    assert fate(cell) == "skipped: no GPU"
    assert folder.run(cell)["status"] == after
    assert folder.started() == []
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert fate(cell) == "run", "looked at again"


def test_a_further_machine_writes_nothing(folder) -> None:
    folder.arguments = SweepArguments(output_dir=str(folder.path), num_machines=2, machine_rank=1)
    assert run_one(folder.cell(CRASH), Grid([], 300), folder.arguments)["status"] == "failed"
    assert run_one(folder.cell("pass"), Grid([], 300), folder.arguments) is None
    assert not list(folder.path.glob("*.json"))


# -- Sweeps -----------------------------------------------------------------------------------------------------------


def test_a_sweep_runs_each_cell_and_again_only_what_is_not_ok(folder, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    cells = [folder.cell(), folder.cell(CRASH, config="other"), folder.cell(use_cpu=False)]
    status, lines = folder.sweep(*cells)
    assert status == 1, "something failed"
    assert lines[0].startswith(f"  1/3 {folder.any_cell}: ok, test F1 ")
    assert lines[0].endswith("left")
    assert lines[1].endswith("failed: ended with status 1 without a result: no memory | left; nothing left to run")
    assert lines[2].endswith("skipped: no GPU; nothing left to run")
    assert any("static" in line and "0 of 1" in line for line in lines[3:])
    assert lines[-1] == f"Report: {folder.path / 'report' / 'report.html'}"
    assert (folder.path / "report" / "report.html").exists()
    assert any(line.split() == ["no", "GPU", "1"] for line in lines), "what was skipped, by reason"
    before = cells[0].path.read_bytes()

    script = f"open({str(folder.path / 'started')!r}, 'a').write('again')"
    _, lines = folder.sweep(folder.cell(script), folder.cell(script, config="other"), cells[2])
    assert "finished before; about" not in lines[0]
    assert lines[0].endswith("finished before; 1 left to run")
    assert folder.started() == ["ok", "again"]
    assert cells[0].path.read_bytes() == before
    assert read_results(folder.path)[1] == []


def test_a_broken_result_is_set_aside_and_the_cell_run(folder) -> None:
    cell = folder.cell()
    cell.path.write_text("{")
    status, lines = folder.sweep(cell)
    assert (status, folder.started()) == (0, ["ok"])
    assert lines[0].startswith(f"not trusted {cell.path.name}: not valid JSON")
    (aside,) = folder.path.glob("*.rejected.*")
    assert aside.read_text() == "{"


def test_ctrl_c_ends_the_cell_and_says_how_to_go_on(folder) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status, lines = folder.sweep(folder.cell(), folder.cell(INTERRUPT, config="other"))
    assert status == sweep.STOPPED
    assert lines[1:] == ["Stopped: 1 of 2 cells are finished. Start the same command again to go on."]
    assert end_marked(process_tree.mark_of(folder.path).__eq__) == 0, "nothing runs any more"
    status, lines = folder.sweep(folder.cell(), folder.cell(CRASH, config="other"))
    assert "finished before" in lines[0]
    assert "failed" in lines[1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nobody waited for the launcher
def test_ctrl_c_twice_ends_the_cell_as_well(folder, monkeypatch) -> None:
    """The second comes while the first is seen to."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    mark = process_tree.mark_of(folder.path)
    monkeypatch.setattr(
        process_tree, "end_marked", lambda belongs: belongs(mark) and signal.raise_signal(signal.SIGINT)
    )
    status, lines = folder.sweep(folder.cell(INTERRUPT))
    assert (status, len(lines)) == (sweep.STOPPED, 1)
    assert end_marked(mark.__eq__) == 0, "nothing runs any more"
    assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


@pytest.mark.parametrize(
    ("seconds", "ahead", "words"),
    [
        ([], 3, "3 left to run"),
        ([10, 20], 3, "about 45 s left"),
        ([60], 10, "about 10 min left"),
        ([5], 0, "nothing left to run"),
        ([], 0, "nothing left to run"),
    ],
)
def test_the_time_left_is_that_of_the_cells_so_far(seconds, ahead, words) -> None:
    assert time_left(seconds, ahead) == words


def test_machines_are_joined_by_flags_and_each_cell_has_a_port(tmp_path) -> None:
    machines = {"num_machines": 2, "machine_rank": 1, "main_process_ip": "10.0.0.1", "main_process_port": 7000}
    grid = grid_of({**SMALL, "seeds": [0], "launches": ["cpu_2_fp32"]}, str(tmp_path))
    first, second = planned(grid, SweepArguments(output_dir=str(tmp_path), **machines), tmp_path)
    text = " ".join(first.command)
    assert "--num_machines 2 --machine_rank 1 --main_process_ip 10.0.0.1 --main_process_port 7000 " in text
    assert "--main_process_port 7001" in " ".join(second.command)
    assert first.config["launch"]["num_machines"] == 2
    with pytest.raises(ValueError, match=r"`machine_rank` must be from 0 to num_machines - 1 = 1, but got 2\."):
        planned(grid, SweepArguments(num_machines=2, machine_rank=2), tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.yaml"], "absent.yaml: a grid must be a file, but got No such file or directory. Name one"),
        (["grid.yaml", "--output_dir", "grid.yaml"], "output_dir must be a folder that results can be written to"),
        (["grid.yaml", "--epochs", "3"], "arguments must be among those that --help lists; got --epochs 3;"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(tmp_path, monkeypatch, capsys, words, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(SMALL))
    monkeypatch.setattr(sys, "argv", ["sweep", *words])
    with pytest.raises(SystemExit) as ended:
        sweep.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("python -m benchmarks.ner.sweep: error: ")
    assert message in said
    assert said.count("\n") == 1


def test_types_that_are_not_trained_on_are_told_once(tmp_path, capsys) -> None:
    for name, tag in (("train", "B-person"), ("dev", "O"), ("test", "B-PER")):
        (tmp_path / name).write_text(f"Ann {tag}\n")
    files = {"train_file": str(tmp_path / "train"), "validation_file": str(tmp_path / "dev")}
    mine = {**files, "test_file": str(tmp_path / "test"), "dataset_name": "mine"}
    planned(grid_of({**SMALL, "datasets": [mine]}, str(tmp_path)), SweepArguments(), tmp_path)
    warned = "python -m benchmarks.ner.sweep: warning: mine has entity types in test (PER) that "
    assert capsys.readouterr().err.count(warned) == 1


def test_a_model_that_cannot_be_loaded_is_refused_before_anything_runs(tmp_path) -> None:
    grid = grid_of({**SMALL, "models": [str(tmp_path / "absent")]}, str(tmp_path))
    with pytest.raises(ValueError, match=r"`datasets` and `models` must be .*, but got .*absent.* Mend the name"):
        planned(grid, SweepArguments(), tmp_path)
