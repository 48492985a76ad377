"""The speed and the cost of runs in a report, against figures worked out by hand."""

import pytest
from support.made_results import made_speed, make_result

from benchmarks.ner.report.speed_tables import precision_gain, scaling, speed_table, speeds


def timed(tokens_per_second, seed=0, budget=(), **requested):
    speed = {"mlm": made_speed(tokens_per_second), "ner": None}
    return make_result("dynamic", seed, speed=speed, requested=requested, budget=budget)


def test_a_launch_has_the_medians_of_its_runs():
    (one,) = speeds([timed(100.0, 0), timed(300.0, 1), timed(120.0, 2)], "mlm")
    assert (one.tokens_per_second, one.step_time, one.data_wait_share, one.peak_bytes) == (120.0, 0.05, 0.01, 1e9)
    (row,) = speed_table([one], "mlm").rows
    assert row[:7] == ("1 process, fp32", "120", "50", "100 %", "1.00 x", "1.0 %", "1.00")
    assert [label for label, _ in row[7].files] == ["dynamic 0", "dynamic 1", "dynamic 2"]


def test_nothing_is_relative_to_a_speed_of_zero():
    (one,) = speeds([timed(0.0)], "mlm")
    assert (scaling(one, [one]), precision_gain(one, [one])) == (None, None)
    assert speed_table([one], "mlm").rows[0][3:5] == ("-", "-")


def test_scaling_is_against_one_process_and_a_precision_against_fp32_all_else_alike():
    results = [
        timed(100.0),
        timed(150.0, mixed_precision="bf16"),
        timed(130.0, tf32=True),
        timed(160.0, num_processes=2),
        timed(225.0, num_processes=2, mixed_precision="bf16", config="renamed"),
        timed(400.0, num_processes=4, strategy="FSDP"),
        timed(90.0, mixed_precision="bf16", budget={"dataloader_num_workers": 2}),
    ]
    found = speeds(results, "mlm")
    gains = {one.label: (scaling(one, found), precision_gain(one, found)) for one in found}
    assert gains == {
        "1 process, fp32": (1.0, 1.0),
        "1 process, bf16": (1.0, 1.5),
        "1 process, tf32": (1.0, 1.3),
        "2 processes, fp32": (0.8, 1.0),
        "2 processes, bf16": (0.75, pytest.approx(225 / 160)),
        "4 processes, fp32, FSDP": (1.0, 1.0),
        "1 process, bf16, 2 workers": (1.0, None),
    }


def test_runs_that_failed_or_were_not_timed_have_no_speed():
    failed = make_result("dynamic", 0, status="failed", reason="no")
    assert speeds([failed, timed(100.0)], "ner") == []
    assert len(speeds([failed, timed(100.0)], "mlm")) == 1
