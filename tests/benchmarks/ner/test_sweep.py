"""A sweep runs the cells of a grid, and leaves nothing of a cell running; launches are stubs."""

from __future__ import annotations

import io
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from support.harness import ROOT

from benchmarks.ner import run_sweep, sweep
from benchmarks.ner.experiments import process_tree
from benchmarks.ner.experiments.base import RUN, WEIGHTS, base_folder
from benchmarks.ner.experiments.cell_process import run_cell_process
from benchmarks.ner.experiments.grid import Grid, parse_grid
from benchmarks.ner.experiments.plan import PlannedCell, action, plan_cells, stored_result
from benchmarks.ner.experiments.process_tree import kill_marked
from benchmarks.ner.experiments.result import configuration, result_path, run_id
from benchmarks.ner.experiments.result_reader import load, read_results
from benchmarks.ner.experiments.sweep_arguments import SweepArguments
from benchmarks.ner.report.status_tables import not_run
from benchmarks.ner.run_sweep import remaining_time

SMALL = {"arms": ["none", "static"], "seeds": [0, 1], "launches": ["cpu_1_fp32"]}
RESULT = load(min((ROOT / "benchmarks" / "results").glob("static-*.json")))


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
        (self.any_cell, *_) = parse_grid(SMALL, str(path)).cells

    def cell(self, script: str = WRITE, status: str = "ok", **launch: object) -> PlannedCell:
        config = configuration(RESULT)
        config["launch"] = {**config["launch"], **launch}
        path = result_path(self.path, "static", RESULT["seed"], run_id(config))
        stub = [sys.executable, "-c", script, str(path), status, str(self.path / "started")]
        return PlannedCell(self.any_cell, config, path, stub)

    def write(self, cell: PlannedCell, status: str) -> None:
        launch = {"requested": cell.config["launch"], "observed": None}
        result = {**RESULT, "launch": launch, "run_id": run_id(cell.config), "status": status, "reason": "before"}
        cell.path.write_text(json.dumps(result))

    def run(self, cell: PlannedCell, time_limit: float = 300) -> dict:
        result = run_cell_process(cell, Grid([], time_limit), self.arguments)
        assert stored_result(cell) == result, "a result file that is trusted"
        results, rejected = read_results(self.path)
        assert (len(results), rejected) == (1, [])
        return result

    def sweep(self, *cells: PlannedCell, time_limit: float = 300) -> tuple[int, list[str]]:
        console = Console(file=io.StringIO(), width=200)
        status = run_sweep.sweep(cells, Grid([], time_limit), self.arguments, console)
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
    assert action(cell) == "run"
    assert (folder.run(cell)["status"], folder.started()) == (status, [status])
    assert action(cell) == ("finished" if status == "ok" else "run")


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
    assert action(cell) == "skipped: no GPU"
    assert folder.run(cell)["status"] == after
    assert folder.started() == []
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert action(cell) == "run", "looked at again"


def test_a_further_machine_writes_nothing(folder) -> None:
    folder.arguments = SweepArguments(output_dir=str(folder.path), num_machines=2, machine_rank=1)
    assert run_cell_process(folder.cell(CRASH), Grid([], 300), folder.arguments)["status"] == "failed"
    assert run_cell_process(folder.cell("pass"), Grid([], 300), folder.arguments) is None
    assert not list(folder.path.glob("*.json"))


def test_a_sweep_runs_each_cell_and_again_only_what_is_not_ok(folder, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    cells = [folder.cell(), folder.cell(CRASH, config="other"), folder.cell(use_cpu=False)]
    status, lines = folder.sweep(*cells)
    assert status == 1, "something failed"
    assert lines[0].startswith(f"  1/3 {folder.any_cell}: ok, MLM loss ")
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
    assert lines[0].startswith(f"rejected {cell.path.name}: not valid JSON")
    (aside,) = folder.path.glob("*.rejected.*")
    assert aside.read_text() == "{"


def test_ctrl_c_ends_the_cell_and_says_how_to_go_on(folder) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status, lines = folder.sweep(folder.cell(), folder.cell(INTERRUPT, config="other"))
    assert status == run_sweep.STOPPED
    assert lines[1:] == ["Stopped: 1 of 2 cells are finished. Run the same command again to continue."]
    assert kill_marked(process_tree.process_mark(folder.path).__eq__) == 0, "nothing runs any more"
    status, lines = folder.sweep(folder.cell(), folder.cell(CRASH, config="other"))
    assert "finished before" in lines[0]
    assert "failed" in lines[1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nobody waited for the launcher
def test_ctrl_c_twice_ends_the_cell_as_well(folder, monkeypatch) -> None:
    """The second comes while the first is seen to."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    mark = process_tree.process_mark(folder.path)
    monkeypatch.setattr(
        process_tree, "kill_marked", lambda belongs: belongs(mark) and signal.raise_signal(signal.SIGINT)
    )
    status, lines = folder.sweep(folder.cell(INTERRUPT))
    assert (status, len(lines)) == (run_sweep.STOPPED, 1)
    assert kill_marked(mark.__eq__) == 0, "nothing runs any more"
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
    assert remaining_time(seconds, ahead) == words


def test_machines_are_joined_by_flags_and_each_cell_has_a_port(tmp_path) -> None:
    machines = {"num_machines": 2, "machine_rank": 1, "main_process_ip": "10.0.0.1", "main_process_port": 7000}
    grid = parse_grid({**SMALL, "seeds": [0], "launches": ["cpu_2_fp32"]}, str(tmp_path))
    first, second = plan_cells(grid, SweepArguments(output_dir=str(tmp_path), **machines), tmp_path)
    text = " ".join(first.command)
    assert "--num_machines 2 --machine_rank 1 --main_process_ip 10.0.0.1 --main_process_port 7000 " in text
    assert "--main_process_port 7001" in " ".join(second.command)
    assert first.config["launch"]["num_machines"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["absent.yaml"],
            "absent.yaml: a grid or a study must be a readable file, but got No such file or directory. Check",
        ),
        (["grid.yaml", "--output_dir", "grid.yaml"], "output_dir must be a writable folder"),
        (["grid.yaml", "--num_machines", "2", "--machine_rank", "2"], "from 0 to num_machines - 1 = 1, but got 2."),
        (["grid.yaml", "--num_shards", "2", "--shard", "-1"], "from 0 to num_shards - 1 = 1, but got -1. Count"),
        (["grid.yaml", "--num_shards", "0"], "`num_shards` must be an integer >= 1, but got 0. Change it."),
        (["grid.yaml", "--epochs", "3"], "arguments must be among those that --help lists; got --epochs 3;"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(tmp_path, monkeypatch, capsys, words, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(SMALL))
    monkeypatch.setattr(sys, "argv", ["sweep", *words])
    with pytest.raises(SystemExit) as ended:
        sweep.main()
    start = "python -m benchmarks.ner.sweep: importing torch, transformers and datasets ...\n"
    said = capsys.readouterr().err.removeprefix(start)
    assert ended.value.code == 2
    assert said.startswith("python -m benchmarks.ner.sweep: error: ")
    assert message in said
    assert said.count("\n") == 1


def test_types_that_are_not_trained_on_are_told_once(tmp_path, capsys) -> None:
    for name, tag in (("train", "B-person"), ("dev", "O"), ("test", "B-PER")):
        (tmp_path / name).write_text(f"Ann {tag}\n")
    files = {"train_file": str(tmp_path / "train"), "validation_file": str(tmp_path / "dev")}
    mine = {**files, "test_file": str(tmp_path / "test"), "dataset_name": "mine"}
    plan_cells(parse_grid({**SMALL, "datasets": [mine]}, str(tmp_path)), SweepArguments(), tmp_path)
    warned = "python -m benchmarks.ner.sweep: warning: mine has entity types in test (PER) that "
    assert capsys.readouterr().err.count(warned) == 1


def test_a_model_that_cannot_be_loaded_is_refused_before_anything_runs(tmp_path) -> None:
    grid = parse_grid({**SMALL, "models": [str(tmp_path / "absent")]}, str(tmp_path))
    with pytest.raises(ValueError, match=r"`datasets` and `models` must be .*, but got .*absent.* Correct the name"):
        plan_cells(grid, SweepArguments(), tmp_path)


# -- Bases ------------------------------------------------------------------------------------------------------------


def _saving(cell: PlannedCell, folder: Folder, continuations: list[PlannedCell]) -> PlannedCell:
    """The cell with a checkpoint to save, which other cells begin with."""
    arguments = replace(cell.cell.arguments, save_model=True, output_dir=str(folder.path))
    return replace(cell, cell=replace(cell.cell, arguments=arguments), continuations=continuations)


@pytest.mark.parametrize("is_saved", [False, True])
@pytest.mark.parametrize("continued", ["ok", "failed"])
def test_a_base_runs_again_only_if_its_checkpoint_is_needed(folder, is_saved, continued) -> None:
    continuation = folder.cell(config="other")
    folder.write(continuation, continued)
    base = _saving(folder.cell(), folder, [continuation])
    folder.write(base, "ok")
    if is_saved:
        checkpoint = base_folder(folder.path, base.path.stem)
        checkpoint.mkdir(parents=True)
        for name in (RUN, WEIGHTS):
            (checkpoint / name).write_text("{}")
    assert action(base) == ("run" if not is_saved and continued == "failed" else "finished")


def test_a_result_that_is_ok_is_never_replaced_by_one_without_measurements(folder) -> None:
    cell = folder.cell(CRASH)
    folder.write(cell, "ok")
    before = cell.path.read_text()
    assert run_cell_process(cell, Grid([], 300), folder.arguments)["status"] == "failed"
    assert cell.path.read_text() == before
