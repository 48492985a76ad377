"""The table of made-up results, for the terminal and as Markdown."""

import io
import json
import sys

import pytest
from rich.console import Console

from benchmarks.ner import report
from benchmarks.ner.keeping import write_result
from benchmarks.ner.report import failures, results_markdown, results_table, skips
from benchmarks.ner.results import KEYS, SCHEMA, configuration, result_path, run_id


def make_result(arm, seed, test_f1, **changes):
    result = {
        **dict.fromkeys(KEYS, None),
        "schema": SCHEMA,
        "status": "ok",
        "arm": {"name": arm},
        "seed": seed,
        "dataset": {"name": "tiny"},
        "model": {"name": "models/toy"},
        "launch": {"requested": {"num_processes": 2, "mixed_precision": "bf16", "config": "cpu_2_bf16"}},
        "budget": {"mlm_epochs": 12.0, "ner_epochs": 6.5},
        "mlm": {"eval_loss": 2.0 + seed},
        "quality": {"dev_f1": 0.5, "test_f1": test_f1},
        "speed": {"mlm": {"tokens_per_second": 1234.4}, "ner": None},
        "time": {"seconds": 20.0},
        **changes,
    }
    return {**result, "run_id": run_id(configuration(result))}


RESULTS = [
    make_result("dynamic", 0, 0.80),
    make_result("dynamic", 1, 0.82),
    make_result("dynamic", 2, 0.99, status="failed", reason="2 processes were asked for, 1 train together"),
    make_result("static", 0, 0.75),
    make_result("none", 0, 0.70, speed={"mlm": None, "ner": None}),
]


def printed(results, width=100):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(results_table(results))
    return console.export_text()


def cells(markdown, arm):
    (line,) = [line for line in markdown.splitlines() if line.startswith(f"| {arm} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_is_the_mean_and_sample_deviation_over_sound_seeds():
    # The sample standard deviation of 80 and 82 is the square root of 2.
    assert cells(results_markdown(RESULTS), "dynamic") == [
        "dynamic",
        "2 (1 failed)",
        "50.00 ± 0.00",
        "81.00 ± 1.41",
        "2.500",
        "1,234",
    ]


def test_one_seed_has_no_spread_and_an_arm_without_pre_training_no_speed():
    markdown = results_markdown(RESULTS)
    assert cells(markdown, "static")[3] == "75.00"
    assert cells(markdown, "none")[-1] == "-"


def test_arms_stand_in_the_order_of_the_comparison_below_what_they_share():
    lines = results_markdown([*RESULTS, make_result("zebra", 0, 0.1)]).splitlines()
    assert lines[0] == "**tiny, toy, 12 + 6.5 epochs, 2 processes, bf16**"
    assert [line.split()[1] for line in lines[4:]] == ["none", "static", "dynamic", "zebra"]


def test_every_dataset_model_and_launch_has_its_own_table():
    one = {"launch": {"requested": {"num_processes": 1, "mixed_precision": "no", "config": None}}}
    markdown = results_markdown([*RESULTS, make_result("static", 0, 0.7, **one)])
    assert "1 process, fp32**" in markdown
    assert markdown.count("| static |") == 2


def test_an_arm_whose_runs_all_failed_keeps_its_row():
    failed = make_result("static", 0, 0.7, status="failed", reason="launch")
    assert cells(results_markdown([failed]), "static") == ["static", "0 (1 failed)", "-", "-", "-", "-"]


def test_failures_name_the_run_and_its_reason():
    (line,) = failures(RESULTS)
    assert line.endswith("dynamic, seed 2: 2 processes were asked for, 1 train together")


def test_the_table_fits_a_hundred_columns_uncut():
    text = printed(RESULTS)
    assert max(map(len, text.splitlines())) <= 100
    assert "81.00 ± 1.41" in text
    assert "2 (1 failed)" in text
    assert "…" not in text


def test_no_results_are_an_empty_report():
    assert results_markdown([]) == ""
    assert printed([]).strip() == ""


@pytest.mark.parametrize("flags", [[], ["--markdown"]])
def test_a_folder_is_printed_with_what_failed_and_what_is_not_trusted(tmp_path, monkeypatch, capsys, flags):
    for result in RESULTS:
        write_result(result_path(tmp_path, result["arm"]["name"], result["seed"], result["run_id"]), result)
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({**RESULTS[0], "seed": 7}))
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path), *flags])
    monkeypatch.setenv("COLUMNS", "200")
    report.main()
    output = capsys.readouterr().out
    assert "81.00 ± 1.41" in output
    assert "seed 2: 2 processes were asked for" in output
    assert "not trusted: changed.json: the configuration in the file does not hash" in output


def test_names_are_printed_as_they_are_and_steer_nothing():
    name = "[red]a|b\x1b[2J\ud800:smile:"
    (line,) = failures([make_result(name, 0, 0.5, status="failed", reason="[/bold]\nnext")])
    assert line.endswith(r"[red]a|b\x1b[2J\ud800:smile:, seed 0: [/bold]\nnext")
    assert r"[red]a|b\x1b[2J\ud800:smile:" in printed([make_result(name, 0, 0.5)])
    assert r"| \[red\]a\|b\\x1b\[2J\\ud800:smile: | 1 |" in results_markdown([make_result(name, 0, 0.5)])


def test_a_run_that_failed_without_numbers_has_its_row():
    failed = make_result("static", 0, None, status="failed", reason="diverged", mlm={"eval_loss": None})
    assert cells(results_markdown([failed, make_result("static", 1, 0.5)]), "static")[:4] == [
        "static",
        "1 (1 failed)",
        "50.00",
        "50.00",
    ]


def test_what_was_skipped_is_counted_by_its_reason_and_has_no_row():
    skipped = [make_result("static", seed, None, status="skipped", reason="no GPU") for seed in range(3)]
    assert results_markdown(skipped) == ""
    assert failures(skipped) == []
    assert skips([*skipped, *RESULTS]) == ["skipped: 3 for this reason: no GPU"]


@pytest.mark.parametrize(
    ("requested", "budget", "ending"),
    [
        ({}, {}, "1 process, fp32"),
        ({"tf32": True}, {}, "1 process, tf32"),
        ({"strategy": "FSDP", "num_machines": 2}, {}, "1 process, fp32, FSDP, 2 machines"),
        ({}, {"dataloader_num_workers": 2}, "1 process, fp32, 2 workers"),
        ({}, {"dataloader_num_workers": 2, "dataloader_persistent_workers": True}, "fp32, 2 persistent workers"),
    ],
)
def test_launches_and_workers_that_differ_are_not_in_one_table(requested, budget, ending):
    result = make_result("static", 0, 0.5)
    result["launch"]["requested"] = {"num_processes": 1, "mixed_precision": "no", **requested}
    result["budget"] = {**result["budget"], **budget}
    (row,) = report.rows([result])
    assert row.group.endswith(ending)
