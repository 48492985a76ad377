"""The speed and the cost of runs in a report, against figures worked out by hand."""

import pytest
from made_results import made_curve, made_speed, make_result

from benchmarks.ner.report.cost_tables import cost, cost_tables
from benchmarks.ner.report.quality_tables import by_arm
from benchmarks.ner.report.speed_tables import precision_gain, scaling, speed_table, speeds
from benchmarks.ner.training.curve import by_step, columns, curve


def timed(tokens_per_second, seed=0, budget=(), **requested):
    speed = {"mlm": made_speed(tokens_per_second), "ner": None}
    return make_result("dynamic", seed, speed=speed, requested=requested, budget=budget)


def test_a_launch_has_the_medians_of_its_runs():
    (one,) = speeds([timed(100.0, 0), timed(300.0, 1), timed(120.0, 2)], "mlm")
    assert (one.tokens_per_second, one.step_time, one.data_wait_share, one.peak_bytes) == (120.0, 0.05, 0.01, 1e9)
    (row,) = speed_table([one], "mlm").rows
    assert row[:7] == ("1 process, fp32", "120", "50", "100%", "1.00 x", "1.0%", "1.00")
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


def at(loss_to_step):
    """A run whose evaluation loss is as given at steps; it sees 1,000 tokens a step and takes 0.2 s."""
    entries = []
    for step, loss in loss_to_step.items():
        entries += [
            {"step": step, "loss": 1.0, "num_input_tokens_seen": 1000 * step, "train_seconds": step / 5},
            {"step": step, "eval_loss": loss},
        ]
    return {"mlm": {"eval_loss": loss, "curve": entries}}


def test_the_cost_of_a_loss_is_on_the_line_between_two_evaluations():
    run = make_result("dynamic", 0, **at({10: 5.0, 20: 4.0, 30: 3.0, 40: 3.5}))
    tokens = {loss: cost(run, loss, "num_input_tokens_seen") for loss in (6.0, 3.25, 3.0, 2.9)}
    assert tokens == {6.0: 10_000, 3.25: 27_500, 3.0: 30_000, 2.9: None}
    assert cost(run, 3.25, "train_seconds") == 5.5


def test_each_arm_is_held_against_what_the_others_reach_in_all_of_their_runs():
    slow = make_result("static", 0, **at({10: 5.0, 20: 4.5, 30: 4.6}))
    fast = [make_result("dynamic", seed, **at({10: 5.0, 20: 4.0 - seed, 30: 2.0 - seed})) for seed in (0, 1)]
    tokens, seconds = cost_tables(by_arm([slow, *fast, make_result("none", 0, mlm={"eval_loss": 8.0})]))
    assert tokens.headings == seconds.headings == ("arm", "runs", "to 4.500, as static", "to 2.000, as dynamic")
    # 4.5 is half of the way from 5 to 4, and a quarter of that from 5 to 3; 2 is where one ends, and half of 3 to 1.
    assert [(row[0], *row[2:]) for row in tokens.rows] == [("static", "0.020", "-"), ("dynamic", "0.014", "0.028")]
    assert [(row[0], *row[2:]) for row in seconds.rows] == [("static", "4", "-"), ("dynamic", "3", "6")]


def test_a_single_arm_has_no_loss_of_another_to_reach():
    assert list(cost_tables(by_arm([make_result("static", 0, **at({10: 5.0, 20: 4.5}))]))) == []


def test_runs_without_a_curve_have_no_cost():
    assert list(cost_tables(by_arm([make_result("none", 0, mlm={"eval_loss": 8.0})]))) == []


def test_a_curve_is_what_trainer_logged_of_training_and_evaluation():
    history = [
        {"loss": 1.0, "step": 1, "epoch": 0.5, "masked_fraction": 0.2},
        {"eval_loss": 2.0, "eval_runtime": 3.0, "step": 1},
        {"train_runtime": 9.0, "step": 1},
        {"eval_loss": 2.0, "step": 1},
    ]
    kept = curve(history)
    assert kept == [{"step": 1, "loss": 1.0, "masked_fraction": 0.2}, *[{"step": 1, "eval_loss": 2.0}] * 2]
    run = {"mlm": {"curve": kept}}
    assert by_step(run) == [{"step": 1, "loss": 1.0, "masked_fraction": 0.2, "eval_loss": 2.0}]
    assert columns(run, "step", "eval_loss").tolist() == [[1.0], [2.0]]
    assert columns(run, "step", "mask_rate").shape == (2, 0)


def test_made_curves_are_those_of_ten_evaluations():
    assert columns({"mlm": {"curve": made_curve(0.15, 2.0)}}, "eval_loss")[0].tolist()[-1] == 2.0
