"""The curve of a pre-training, out of Trainer's log."""

from support.made_results import made_curve

from benchmarks.ner.training.curve import by_step, columns, curve, evaluations


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


def test_an_evaluation_without_a_logged_cost_continues_the_cost_of_the_steps_before():
    kept = [
        {"step": 10, "loss": 3.0, "train_seconds": 5.0},
        {"step": 10, "eval_loss": 2.5},
        {"step": 16, "eval_loss": 2},
    ]
    assert evaluations({"mlm": {"curve": kept}}, "train_seconds").tolist() == [[5.0, 8.0], [2.5, 2.0]]
    assert evaluations({"mlm": {"curve": kept}}, "num_input_tokens_seen").shape == (2, 0)
    assert evaluations({"mlm": {"eval_loss": 8.0}}, "train_seconds").shape == (2, 0)


def test_logged_costs_stay_as_they_are():
    run = {"mlm": {"curve": made_curve(0.15, 2.0)}}
    costs, losses = evaluations(run, "num_input_tokens_seen")
    assert costs.tolist() == columns(run, "num_input_tokens_seen")[0].tolist()
    assert losses.tolist() == columns(run, "eval_loss")[0].tolist()
