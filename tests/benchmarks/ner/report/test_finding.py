"""The sentence that says what the runs of a task show."""

from __future__ import annotations

import pytest
from support.made_results import make_result

from benchmarks.ner.analysis.comparison import comparisons
from benchmarks.ner.report.blocks import Paragraph
from benchmarks.ner.report.finding import comparison_finding

STATIC = {"name": "static", "pretrain": True, "mlm_probability": 0.15, "num_mask_patterns": 1}
STATIC4 = {"name": "static4", "pretrain": True, "mlm_probability": 0.15, "num_mask_patterns": 4}
DYNAMIC = {"name": "dynamic", "pretrain": True, "mlm_probability": 0.15, "num_mask_patterns": None}
NONE = {"name": "none", "pretrain": False, "mlm_probability": 0.15, "num_mask_patterns": None}


def runs_of(arm: dict, losses: list[float], found: float = 0.6) -> list[dict]:
    """A run for each loss, with seeds 0, 1, ..."""
    return [
        {**make_result(arm["name"], seed, found, mlm={"eval_loss": loss}), "arm": arm}
        for seed, loss in enumerate(losses)
    ]


def found_in(runs: list[dict]) -> Paragraph:
    return comparison_finding("wnut17, tiny", runs, comparisons(runs))


def test_a_difference_has_its_interval_and_says_what_the_arms_do() -> None:
    shown = found_in([*runs_of(STATIC, [3.0, 3.1, 3.25, 3.3, 3.1]), *runs_of(DYNAMIC, [2.0, 2.1, 2.2, 2.35, 2.1])])
    # The differences are -1, -1, -1.05, -0.95 and -1: mean -1, standard error 0.035355 / sqrt(5), t(4) = 2.776.
    assert shown.mark.startswith(
        "wnut17, tiny: the MLM loss of dynamic (new masks in each epoch) is 1.000 nat (0.956 to 1.044) below that of "
        "static (one mask for each example, seen 12 times); "
    )
    assert shown.text == "Exploratory: 5 seeds, 95 % intervals. Epochs: 12 of pre-training + 6.5 of fine-tuning."


def test_a_difference_that_is_not_found_is_signed_with_its_interval() -> None:
    shown = found_in([*runs_of(STATIC, [2.1, 2.1, 2.1]), *runs_of(DYNAMIC, [2.0, 2.1, 2.2])])
    assert (
        "no difference in MLM loss was found between dynamic (new masks in each epoch) and static (one mask for each "
        "example, seen 12 times; +0.000 nat, -0.248 to 0.248)"
    ) in shown.mark
    assert "no difference in test F1 was found between dynamic and static (" in shown.mark


@pytest.mark.parametrize(("losses", "seeds"), [([2.5], "1 seed"), ([2.5, 2.7], "2 seeds")])
def test_few_seeds_have_no_interval_and_no_verdict(losses: list[float], seeds: str) -> None:
    shown = found_in([*runs_of(STATIC, [loss + 0.25 for loss in losses]), *runs_of(DYNAMIC, losses)])
    assert shown.mark.startswith(
        f"wnut17, tiny: with {seeds} and no verdict, the MLM loss of dynamic (new masks in each epoch) is 0.250 nat "
        f"below that of static (one mask for each example, seen 12 times); with {seeds} and no verdict, the test F1 "
    )
    assert " to " not in shown.mark
    assert shown.text.startswith(f"Exploratory: {seeds}. A difference of fewer than three seeds has no interval and ")


def test_the_weakest_evidence_stands_last_and_can_be_chance() -> None:
    runs = [*runs_of(STATIC, [2.1, 2.1, 2.1]), *runs_of(STATIC4, [2.05]), *runs_of(DYNAMIC, [2.0, 2.1, 2.2])]
    shown = found_in(runs)
    loss, *_ = shown.mark.split("; no difference in test F1")
    assert loss == (
        "wnut17, tiny: no difference in MLM loss was found between dynamic (new masks in each epoch) and static (one "
        "mask for each example, seen 12 times; +0.000 nat, -0.248 to 0.248); with 1 seed and no verdict, the MLM loss "
        "of dynamic is 0.050 nat below that of static4 (4 masks for each example, each seen 3 times)"
    )
    assert shown.text.startswith(
        "Exploratory: 1 to 3 seeds, 95 % intervals; verdicts are adjusted for 3 comparisons of arms. A difference of "
        "fewer than three seeds has no interval and can be chance: run three or more, --seeds 0 1 2. Epochs: 12"
    )


def test_one_arm_with_too_few_seeds_does_not_take_the_intervals_of_the_others() -> None:
    runs = [*runs_of(STATIC, [3.0, 3.1, 3.2]), *runs_of(STATIC4, [2.6, 2.9]), *runs_of(DYNAMIC, [2.0, 2.1, 2.3])]
    shown = found_in(runs)
    assert "with 2 seeds and no verdict, the MLM loss of dynamic is 0.700 nat below that of static4 (" in shown.mark
    assert "nat (0.823 to 1.110) below that of static (" in shown.mark


def test_a_difference_that_is_less_than_its_decimals_is_not_zero() -> None:
    shown = found_in([*runs_of(STATIC, [2.0001]), *runs_of(DYNAMIC, [2.0])])
    assert "is less than 0.001 nat below that of static (" in shown.mark


def test_an_interval_without_zero_is_no_finding_if_the_adjusted_verdict_is_none() -> None:
    losses = {"a": [3.3, 2.6, 3.0], "b": [2.4, 3.3, 3.0], "c": [3.2, 2.5, 2.6], "anneal": [2.19, 2.45, 2.61]}
    arms = [runs_of({**DYNAMIC, "name": name}, values) for name, values in losses.items()]
    shown = found_in([*runs_of(DYNAMIC, [2.0, 2.2, 2.3]), *(run for runs in arms for run in runs)])
    assert "once adjusted, a difference in MLM loss is not certain between dynamic" in shown.mark
    assert "anneal (new masks in each epoch; -0.250 nat, -0.399 to -0.101)" in shown.mark
    assert "verdicts are adjusted for 10 comparisons of arms" in shown.text


def test_only_f1_is_told_against_an_arm_without_pretraining() -> None:
    shown = found_in([*runs_of(NONE, [8.0, 8.1, 8.2], 0.1), *runs_of(DYNAMIC, [2.0, 2.1, 2.2], 0.9)])
    assert "MLM loss" not in shown.mark
    assert shown.mark.startswith("wnut17, tiny: the test F1 of dynamic (new masks in each epoch) is ")
    assert " above that of none (no pre-training)." in shown.mark


def test_arms_whose_masks_repeat_come_before_all_others() -> None:
    runs = [*runs_of(NONE, [8.0, 8.1, 8.2]), *runs_of(STATIC, [3.0, 3.1, 3.2]), *runs_of(DYNAMIC, [2.0, 2.1, 2.3])]
    assert "none" not in found_in(runs).mark
    assert "static" in found_in(runs).mark


def test_an_outcome_without_an_arm_that_is_asked_about_is_left_out() -> None:
    not_tuned = {"quality": dict.fromkeys(("dev_f1", "test_f1", "test_accuracy"))}
    static = [{**run, **not_tuned} for run in runs_of(STATIC, [3.0, 3.1, 3.2])]
    shown = found_in([*runs_of(NONE, [8.0, 8.1, 8.2]), *static, *runs_of(DYNAMIC, [2.0, 2.1, 2.3])])
    assert shown.mark.endswith(" below that of static (one mask for each example, seen 12 times).")


def test_runs_that_found_no_entity_have_no_difference_in_f1() -> None:
    shown = found_in([*runs_of(STATIC, [3.0, 3.1, 3.2], 0.0), *runs_of(DYNAMIC, [2.0, 2.1, 2.3], 0.0)])
    assert shown.mark.endswith("; no run found an entity of the test split.")
    assert "test F1" not in shown.mark


@pytest.mark.parametrize(
    ("more", "side"), [(0.0, "the same as that of static"), (0.25, "0.250 nat below that of static")]
)
def test_a_difference_that_is_the_same_in_all_pairs_has_no_verdict(more: float, side: str) -> None:
    losses = [2.0, 2.1, 2.2]
    shown = found_in([*runs_of(STATIC, [loss + more for loss in losses]), *runs_of(DYNAMIC, losses)])
    assert (
        "with the same difference in each of 3 seeds and no verdict, the MLM loss of dynamic (new masks in each epoch) "
        f"is {side} (one mask for each example, seen 12 times)"
    ) in shown.mark


def same_as(runs: list[dict], arm: dict) -> list[dict]:
    return [{**run, "arm": arm} for run in runs]


@pytest.mark.parametrize("losses", [[2.0], [2.0, 2.1, 2.2]])
def test_arms_with_the_same_results_do_not_need_more_seeds(losses: list[float]) -> None:
    runs = runs_of(DYNAMIC, losses)
    shown = found_in([*same_as(runs, STATIC), *same_as(runs, STATIC4), *runs])
    assert (
        "The results of dynamic, static and static4 are the same with every seed, for example because masks repeat "
        "only after the first epoch: raise --mlm_epochs."
    ) in shown.text
    assert "can be chance" not in shown.text


def test_arms_that_differ_next_to_arms_that_do_not_can_differ_by_chance() -> None:
    runs = runs_of(DYNAMIC, [2.0])
    shown = found_in([*runs_of(STATIC, [2.0]), *same_as(runs, STATIC4), *runs])  # `static` differs in F1 alone
    assert "The results of dynamic and static4 are the same" in shown.text
    assert "can be chance" in shown.text
