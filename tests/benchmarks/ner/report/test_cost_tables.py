"""The cost at which an arm reaches the loss that another reaches."""

from pathlib import Path

from support.made_results import make_result

from benchmarks.ner.experiments.result_reader import read_results
from benchmarks.ner.report.cost_tables import cost, cost_tables
from benchmarks.ner.report.grouping import launches, tasks, without_studies
from benchmarks.ner.report.quality_tables import by_arm

COMMITTED = Path(__file__).parents[4] / "benchmarks" / "results"


def at(loss_to_step):
    """A run whose evaluation loss is as given at steps; it sees 1,000 tokens a step and takes 0.2 s."""
    entries = []
    for step, loss in loss_to_step.items():
        entries += [
            {
                **{"step": step, "loss": 1.0, "train_seconds": step / 5},
                **{"num_input_tokens_seen": 1000 * step, "num_masked_tokens_seen": 150 * step},
            },
            {"step": step, "eval_loss": loss},
        ]
    return {"mlm": {"eval_loss": loss, "curve": entries}}


def test_the_cost_of_a_loss_is_on_the_line_between_two_evaluations():
    run = make_result("dynamic", 0, **at({10: 5.0, 20: 4.0, 30: 3.0, 40: 3.5}))
    tokens = {loss: cost(run, loss, "num_input_tokens_seen") for loss in (6.0, 3.25, 3.0, 2.9)}
    assert tokens == {6.0: 10_000, 3.25: 27_500, 3.0: 30_000, 2.9: None}
    assert cost(run, 3.25, "train_seconds") == 5.5


def test_each_arm_is_held_against_what_the_others_reach_in_all_of_their_runs():
    own = {"env": {"own_machine": True}}
    slow = make_result("static", 0, **at({10: 5.0, 20: 4.5, 30: 4.6}), **own)
    fast = [make_result("dynamic", seed, **at({10: 5.0, 20: 4.0 - seed, 30: 2.0 - seed}), **own) for seed in (0, 1)]
    tokens, labels, seconds = cost_tables(by_arm([slow, *fast, make_result("none", 0, mlm={"eval_loss": 8.0})]))
    assert (
        tokens.headings
        == labels.headings
        == seconds.headings
        == ("arm", "seeds", "loss of static (4.500)", "loss of dynamic (2.000)")
    )
    # 4.5 is half of the way from 5 to 4, and a quarter of that from 5 to 3; 2 is where one ends, and half of 3 to 1.
    assert [(row[0], *row[2:]) for row in tokens.rows] == [("static", "0.02", "-"), ("dynamic", "0.01375", "0.0275")]
    assert [(row[0], *row[2:]) for row in labels.rows] == [
        ("static", "0.003", "-"),
        ("dynamic", "0.002063", "0.004125"),
    ]
    assert [(row[0], *row[2:]) for row in seconds.rows] == [("static", "4", "-"), ("dynamic", "3", "6")]


def test_seconds_count_on_a_machine_of_its_own_only_and_labels_where_they_were_counted():
    runs = [make_result(arm, 0) for arm in ("static", "dynamic")]
    assert _units(runs) == ["(million tokens)"]
    alone = [make_result(arm, 0, env={"own_machine": True}) for arm in ("static", "dynamic")]
    assert _units(alone) == ["(million tokens)", "(seconds)"]
    assert _units([runs[0], alone[1]]) == ["(million tokens)"]


def _units(runs: list[dict]) -> list[str]:
    title = "Training needed to reach the best MLM loss of an arm "
    return [table.title.removeprefix(title) for table in cost_tables(by_arm(runs))]


def test_a_single_arm_has_no_loss_of_another_to_reach():
    assert list(cost_tables(by_arm([make_result("static", 0, **at({10: 5.0, 20: 4.5}))]))) == []


def test_runs_without_a_curve_have_no_cost():
    assert list(cost_tables(by_arm([make_result("none", 0, mlm={"eval_loss": 8.0})]))) == []


def test_the_loss_after_the_last_step_has_a_cost_even_if_trainer_did_not_log_that_step():
    entries = [{"step": 12, "eval_loss": 2.0}] * 2  # Trainer's evaluation at the end, and the one that follows
    runs = [
        make_result(arm, 0, mlm={"eval_loss": 2.0, "curve": [*at({10: last})["mlm"]["curve"], *entries]})
        for arm, last in (("static", 3.0), ("dynamic", 2.5))
    ]
    assert cost(runs[0], 2.0, "num_input_tokens_seen") == 12_000
    (tokens, labels) = cost_tables(by_arm(runs))
    assert [row[2:] for row in tokens.rows] == [("0.012", "0.012"), ("0.012", "0.012")]
    assert [row[2:] for row in labels.rows] == [("0.0018", "0.0018"), ("0.0018", "0.0018")]


def test_every_arm_of_the_committed_results_reaches_its_own_lowest_loss():
    results, _ = read_results(COMMITTED)
    members = [runs for _, of_task in tasks(without_studies(results)) for _, runs in launches(of_task)]
    tables = [table for runs in members for table in cost_tables(by_arm(runs))]
    own = [row[2 + number] for table in tables for number, row in enumerate(table.rows)]
    assert len(own) >= 10
    assert "-" not in own
