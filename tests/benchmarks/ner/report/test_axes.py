"""Axes have a least span, and their labels do not overlap."""

from __future__ import annotations

from itertools import pairwise

import pytest
from matplotlib.figure import Figure
from support.made_results import make_result

from benchmarks.ner.analysis.comparison import comparisons
from benchmarks.ner.report import axes as tested
from benchmarks.ner.report.axes import LETTERS, LINES, POINTS, height, label, padded, rows, widened, within
from benchmarks.ner.report.differences import differences
from benchmarks.ner.report.figures import draw_differences, draw_f1, draw_training
from benchmarks.ner.report.quality_tables import by_arm


@pytest.mark.parametrize(
    ("drawn", "least", "shown"), [((-0.02, 0.02), 5.0, (-2.5, 2.5)), ((1.0, 9.0), 5.0, (1.0, 9.0))]
)
def test_an_axis_has_a_least_span(drawn, least, shown) -> None:
    assert widened(drawn, least) == pytest.approx(shown)


@pytest.mark.parametrize(
    ("drawn", "shown"),
    [
        ((0.0, 0.0), (0, 5)),
        ((-1.6, 4.2), (0, 5.8)),
        ((30, 50), (30, 50)),
        ((97, 104), (93, 100)),
        ((-5, 105), (0, 100)),
        ((50.0, 50.04), (47.52, 52.52)),
    ],
)
def test_an_axis_of_scores_shows_none_that_cannot_be(drawn, shown) -> None:
    assert within(drawn, least=POINTS, bottom=0, top=100) == pytest.approx(shown)


def test_values_have_a_margin() -> None:
    assert padded([0.0, 1.0, 2.0], share=0.1) == pytest.approx((-0.2, 2.2))


def test_labels_are_short_lines_without_formulas() -> None:
    assert label("dynamic, mlm_probability=0.15") == "dynamic,\nmlm_probability=0.15"
    assert label("$x$ \u4e2d") == r"\$x\$ \u4e2d"
    lines = label("a long name of an arm " * 9).splitlines()
    assert (len(lines), lines[-1].endswith("...")) == (LINES, True)
    assert max(map(len, lines)) <= LETTERS


def test_rows_are_as_high_as_their_labels() -> None:
    names = ["a", "dynamic, mlm_probability=0.15, strategy=whole_word", "b"]
    figure = Figure(figsize=(6, 1.0 + height(names)), layout="constrained")
    axes = figure.subplots()
    rows(axes, names)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.get_yticklabels()]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))


@pytest.fixture
def limits(monkeypatch) -> list:
    """The axes of the figures that are drawn, in order."""
    drawn: list = []
    for module in ("figures", "axes"):
        monkeypatch.setattr(
            f"benchmarks.ner.report.{module}.save_figure", lambda figure, path: drawn.extend(figure.axes)
        )
    return drawn


def test_noise_does_not_fill_a_figure(limits, tmp_path) -> None:
    runs = [make_result(arm, 0, mlm=_flat(offset)) for arm, offset in (("static", 0.0), ("dynamic", 0.001))]
    arms = by_arm(runs)
    draw_f1(arms, tmp_path / "f1.png")
    draw_training(arms, tmp_path / "loss.png")
    f1, losses, rates = limits
    assert f1.get_xlim()[1] - f1.get_xlim()[0] >= tested.POINTS
    assert losses.get_ylim()[1] - losses.get_ylim()[0] == pytest.approx(tested.NATS)
    assert rates.get_ylim() == (0.0, 20.0)


def test_lines_on_each_other_are_all_seen(limits, tmp_path) -> None:
    runs = [make_result(arm, 0, mlm=_flat(0.0)) for arm in ("static", "dynamic")]
    draw_training(by_arm(runs), tmp_path / "loss.png")
    for axes in limits:
        means = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
        assert [line.get_linestyle() for line in means] == ["-", "--"]


@pytest.mark.parametrize(("seeds", "said"), [(2, False), (3, True)])
def test_a_figure_names_bars_only_if_it_has_some(limits, tmp_path, seeds, said) -> None:
    runs = [make_result(arm, seed) for arm in ("static", "dynamic") for seed in range(seeds)]
    draw_f1(by_arm(runs), tmp_path / "f1.png")
    draw_differences(differences(runs, comparisons(runs)), tmp_path / "differences.png")
    texts = [axes.get_xlabel() for axes in limits if "test F1" in axes.get_xlabel()]
    assert [("bars: 95 % intervals" in text) for text in texts] == [said, said]


def _flat(offset: float) -> dict:
    curve = []
    for step in (10, 20):
        curve += [
            {"step": step, "loss": 2.0, "masked_fraction": 0.15 + offset},
            {"step": step, "eval_loss": 2.0 + offset},
        ]
    return {"eval_loss": 2.0 + offset, "curve": curve}
