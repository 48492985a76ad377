"""A result that was measured is never lost: by no kill, no full or closed disk and no second harness."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.harness import ROOT, corpus, finish, start
from support.unprivileged import unprivileged

from benchmarks.ner.experiments.result import configuration
from benchmarks.ner.experiments.result_reader import finished_result, load, read_results
from benchmarks.ner.experiments.storage import check_writable, rename_rejected, save_result

COMMITTED = ROOT / "benchmarks" / "results"
RESULT_FILE = min(COMMITTED.glob("static-*.json"))
RESULT = load(RESULT_FILE)
LIMIT = 4096  # bytes of a file that the disk takes
IMPORTS = "import json, resource, sys\nfrom pathlib import Path\nfrom benchmarks.ner.experiments.storage import *\n"
ARGUMENTS = "result, path = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])\n"
WRITE_FOR_EVER = """
result["env"] = "x" * 3_000_000  # so that most of the time is spent writing
for number in range(int(sys.argv[3]), 10**9):
    write_result(path, {**result, "env": number})
    print(number, flush=True)
"""
KEEP_ON_A_FULL_DISK = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))\nsave_result(path, result)"
SET_ALL_ASIDE = "for file in sorted(path.glob('*.json')): rename_rejected(file)"


def run(script: str, path: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A process of its own that does something with a result and a path."""
    return subprocess.Popen(
        [sys.executable, "-c", IMPORTS + ARGUMENTS + script, str(RESULT_FILE), str(path), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# -- Killed -----------------------------------------------------------------------------------------------------------


def test_a_writer_that_is_killed_leaves_a_whole_result(tmp_path, stress, report_figure) -> None:
    moments, kills = random.Random(0), 200 if stress else 10
    path, last = tmp_path / RESULT_FILE.name, -1
    for _ in range(kills):
        process = run(WRITE_FOR_EVER, path, str(last + 1))
        lines = [process.stdout.readline()]
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        output, errors = process.communicate()
        lines += output.splitlines(keepends=True)
        assert not errors
        written = int([line for line in lines if line.endswith("\n")][-1])
        last = load(path)["env"]
        assert last in (written, written + 1), "the last that was told of, or the one after it"
    results, rejected = read_results(tmp_path)
    left = [file for file in tmp_path.iterdir() if file != path]
    assert len(results) == 1
    assert not rejected
    assert all(re.fullmatch(r"\..*\.tmp", file.name) for file in left)
    report_figure(
        "results survive, killed writers", f"{kills} kills in {last + 1:,} writes; {len(left)} hidden files were left"
    )


# -- Full and closed disks --------------------------------------------------------------------------------------------


def test_where_nothing_can_be_written_the_result_is_printed_whole(tmp_path) -> None:
    path = tmp_path / RESULT_FILE.name
    path.write_text("{}")
    (tmp_path / "temporary").mkdir()
    process = run(KEEP_ON_A_FULL_DISK, path, TMPDIR=str(tmp_path / "temporary"))
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "File too large" in errors
    assert f"move the JSON printed above to {path}, and run the same command again" in errors
    assert path.read_text() == "{}", "what was there is as it was"
    assert not list(tmp_path.rglob("*.tmp"))
    path.write_text(output)
    assert finished_result(path, configuration(RESULT)) == RESULT


def test_a_closed_folder_is_refused_before_any_training() -> None:
    with unprivileged() as folder:
        (folder / "file").touch()
        (folder / "closed").mkdir(mode=0o555)
        for place, kind in (("closed", PermissionError), ("closed/new", PermissionError), ("file", FileExistsError)):
            with pytest.raises(
                kind, match=r"output_dir must be a writable folder; got .+; .* another --output_dir"
            ) as error:
                check_writable(folder / place)
            assert error.value.filename == str(folder / place)
        check_writable(folder / "new" / "inner")
        assert list((folder / "new" / "inner").iterdir()) == []


def test_a_result_that_cannot_be_written_is_kept_elsewhere_and_counts_when_it_is_moved_back(monkeypatch) -> None:
    with unprivileged() as folder:
        (folder / "closed").mkdir(mode=0o555)
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        path = folder / "closed" / RESULT_FILE.name
        with pytest.raises(PermissionError, match="The result is not lost") as error:
            save_result(path, RESULT)
        moved, to = re.search(r"move (\S+) to (\S+), and run the same command again", str(error.value)).groups()
        assert Path(to) == path
        path.parent.chmod(0o755)
        shutil.move(moved, to)
        assert finished_result(path, configuration(RESULT)) == RESULT


def test_a_small_disk_that_is_full(tmp_path, stress) -> None:
    if not stress:
        pytest.skip("mounts a disk: with --stress")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this user may not mount a disk")
    try:
        check_writable(disk)
        path = disk / RESULT_FILE.name
        save_result(path, RESULT)
        before = path.read_bytes()
        with suppress_full(), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        with pytest.raises(OSError, match=r"output_dir must be .*; got No space left on device; .*free space"):
            check_writable(disk)
        with pytest.raises(OSError, match=r"No space left on device.*The result is not lost") as error:
            save_result(path, {**RESULT, "env": 7})
        assert path.read_bytes() == before
        assert sorted(file.name for file in disk.iterdir()) == ["filler", path.name]
        (disk / "filler").unlink()
        shutil.move(re.search(r"move (\S+) to", str(error.value)).group(1), path)
        assert load(path)["env"] == 7
    finally:
        subprocess.run(["umount", str(disk)], check=True)


class suppress_full:  # noqa: N801 - it reads as `suppress`
    def __enter__(self) -> None: ...

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> bool:
        return isinstance(error, OSError) and error.errno == errno.ENOSPC


# -- Two at once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_what_many_set_aside_at_once_is_all_kept(tmp_path, stress, kind) -> None:
    number = 500 if stress else 50
    for round_ in range(3):  # the same names again and again
        for file in range(number):
            (tmp_path / f"{file}.json").write_text(f"{round_} {file}")
        if kind == "threads":
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(rename_rejected, [path for path in sorted(tmp_path.glob("*.json")) for _ in range(8)]))
        else:
            for process in [run(SET_ALL_ASIDE, tmp_path) for _ in range(3)]:
                assert process.communicate(timeout=60)[1] == ""
    found = sorted(path.read_text() for path in tmp_path.iterdir())
    assert found == sorted(f"{round_} {file}" for round_ in range(3) for file in range(number))


@pytest.mark.extended
def test_two_harnesses_may_run_the_same_cell_in_the_same_folder(tmp_path, stress, report_figure) -> None:
    files, output_dir = corpus(tmp_path), tmp_path / "runs"
    rounds = 4 if stress else 1
    for _ in range(rounds):
        for path in output_dir.glob("*.json"):  # both find it broken at the same time
            path.write_text(path.read_text()[:-20])
        pair = [start(output_dir, *files, "--arms", "static", "--seeds", "0") for _ in range(2)]
        for status, output in map(finish, pair):
            assert status == 0, output
    results, rejected = read_results(output_dir)
    assert ([result["status"] for result in results], rejected) == (["ok"], [])
    aside = [path for path in output_dir.iterdir() if ".rejected." in path.name]
    assert len(aside) == rounds - 1
    assert len(list(output_dir.iterdir())) == rounds, "a result and the rejected files, nothing else"
    report_figure("results survive, two harnesses", f"{rounds} pairs on one cell, {len(aside)} broken files kept")


def test_two_harnesses_may_run_different_cells_in_the_same_folder(tmp_path, stress) -> None:
    if not stress:
        pytest.skip("starts several harnesses: with --stress")
    files, output_dir = corpus(tmp_path), tmp_path / "runs"
    cells = [("none", "static"), ("static", "dynamic"), ("dynamic", "none")]
    for status, output in map(finish, [start(output_dir, *files, "--arms", *arms, "--seeds", "0") for arms in cells]):
        assert status == 0, output
    results, rejected = read_results(output_dir)
    assert sorted(result["arm"]["name"] for result in results) == ["dynamic", "none", "static"]
    assert not rejected


# -- The harness ------------------------------------------------------------------------------------------------------


@pytest.mark.extended
def test_a_harness_whose_folder_is_closed_does_not_start(tmp_path) -> None:
    (tmp_path / "runs").mkdir(mode=0o555)
    (tmp_path / "temporary").mkdir()
    process = start(tmp_path / "runs", "--arms", "none", "--seeds", "0", TMPDIR=str(tmp_path / "temporary"))
    status, output = finish(process)
    assert status == 1
    assert "output_dir must be a writable folder; got Permission denied; " in output
    assert not list((tmp_path / "temporary").glob("hf_dynmask-*")), "nothing was trained"


def test_a_cell_whose_folder_was_closed_meanwhile_is_not_run_again(tmp_path, stress, report_figure) -> None:
    """The folder is closed once training has begun, so that the harness's own check at its start has passed."""
    if not stress:
        pytest.skip("starts several harnesses: with --stress")
    temporary, output_dir = tmp_path / "temporary", tmp_path / "runs"
    temporary.mkdir()
    cell = [*corpus(tmp_path), "--arms", "none", "--seeds", "0"]
    process = start(output_dir, *cell, TMPDIR=str(temporary))
    while not list(temporary.glob("hf_dynmask-*")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    output_dir.chmod(0o555)
    status, output = finish(process)
    assert status == 1
    moved, to = re.search(r"move (\S+) to (\S+), and run the same command again", output).groups()
    assert not list(output_dir.iterdir())

    output_dir.chmod(0o755)
    shutil.move(moved, to)
    status, output = finish(start(output_dir, *cell))
    assert status == 0, output
    assert output.count("(finished before)") == 1
    report_figure("results survive, closed folder", "a cell's result was kept, moved back and known again")


def test_a_harness_that_is_killed_again_and_again_gets_done(tmp_path, stress, report_figure) -> None:
    if not stress:
        pytest.skip("kills harnesses: with --stress")
    files, output_dir, moments, kills = corpus(tmp_path), tmp_path / "runs", random.Random(0), 8
    cells = [*files, "--arms", "none", "static", "dynamic", "--seeds", "0", "1"]
    for _ in range(kills):
        known = len(list(output_dir.glob("*.json")))
        process = start(output_dir, *cells)
        time.sleep(moments.uniform(3, 20))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert len(list(output_dir.glob("*.json"))) >= known
        assert read_results(output_dir)[1] == [] if output_dir.exists() else True
    status, output = finish(start(output_dir, *cells))
    assert status == 0, output
    results, rejected = read_results(output_dir)
    assert ([result["status"] for result in results], rejected) == (["ok"] * 6, [])
    report_figure("results survive, killed harnesses", f"{kills} kills, then all of 6 cells there and valid")


def test_a_run_that_diverges_has_failed_and_is_kept(tmp_path, stress) -> None:
    if not stress:
        pytest.skip("trains: with --stress")
    cell = [*corpus(tmp_path), "--arms", "static", "--seeds", "0", "--mlm_learning_rate", "1e30"]
    for known in (0, 1):
        status, output = finish(start(tmp_path / "runs", *cell))
        assert status == 1
        assert "the training diverged:" in output  # in a table, whose lines break where they must
        assert output.count("(finished before)") == known
    (result,) = read_results(tmp_path / "runs")[0]
    assert (result["status"], result["mlm"]["eval_loss"]) == ("failed", None)
    assert result["reason"].startswith("the training diverged: result['mlm']['eval_loss']")
