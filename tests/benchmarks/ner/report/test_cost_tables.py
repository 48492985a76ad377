"""What it costs an arm to reach the loss that another reaches."""

from support.made_results import make_result

from benchmarks.ner.report.cost_tables import cost, cost_tables
from benchmarks.ner.report.quality_tables import by_arm


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
