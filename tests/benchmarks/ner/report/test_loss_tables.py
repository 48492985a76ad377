"""The loss while an arm trains: where it is lowest, and how far it rises again."""

from __future__ import annotations

from support.made_results import make_result

from benchmarks.ner.report.loss_tables import loss_blocks
from benchmarks.ner.report.quality_tables import by_arm


def _run(arm: str, seed: int, losses: list[float], **changes):
    curve = [{"step": 10 * number, "eval_loss": loss} for number, loss in enumerate(losses, 1)]
    return make_result(arm, seed, mlm={"eval_loss": losses[-1], "curve": curve}, **changes)


def test_a_loss_that_rises_with_every_seed_is_said() -> None:
    runs = [
        _run("static", 0, [5.8, 5.6, 5.7, 5.84]),
        _run("static", 1, [5.6, 5.7, 5.7, 5.80]),
        _run("dynamic", 0, [5.8, 5.6, 5.5, 5.4]),
        _run("dynamic", 1, [5.8, 5.6, 5.3, 5.4]),
        make_result("none", 0, mlm={"eval_loss": 8.0}),
    ]
    table, *said = loss_blocks(by_arm(runs))
    assert [(row[0], row[1].text, *row[2:]) for row in table.rows] == [
        ("static", "2", "5.600", "38 %", "5.820", "0.20 to 0.24"),
        ("dynamic", "2", "5.350", "88 %", "5.400", "0.00 to 0.10"),
    ]
    assert [(each.mark, each.text) for each in said] == [
        (
            "Rising loss:",
            "the loss of static is lowest after 38 % of the training. Then it rises again, with every seed, by 0.20 "
            "to 0.24 nat.",
        )
    ]


def test_arms_without_a_curve_have_no_table() -> None:
    assert list(loss_blocks(by_arm([make_result("none", 0, mlm={"eval_loss": 8.0})]))) == []
    assert list(loss_blocks([])) == []
