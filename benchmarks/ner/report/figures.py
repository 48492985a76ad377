"""The figures of a report, drawn with matplotlib."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.ner.analysis.outcomes import F1, Outcome
from benchmarks.ner.analysis.seed_summary import spread
from benchmarks.ner.report.axes import (
    NATS,
    POINTS,
    STYLE,
    WIDTH,
    height,
    label,
    numbers,
    padded,
    rows,
    save_figure,
    widened,
    within,
)
from benchmarks.ner.report.differences import Difference
from benchmarks.ner.report.labels import ORDER
from benchmarks.ner.report.quality_tables import ArmRuns, percentages
from benchmarks.ner.report.speed_tables import STAGES, Speed
from benchmarks.ner.training.curve import columns

COLORS = dict(zip(ORDER, ("C7", "C5", "C6", "C3", "C8", "C1", "C9", "C0", "C0", "C4", "C2"), strict=True))
FRAME = 1.2  # inches that the frame and the labels of a panel need
LINE_STYLES = ("-", "--", ":", "-.")  # by turns, so that lines that lie on each other are all seen
BETTER = {True: "right", False: "left"}


@rc_context(STYLE)
def draw_differences(by_outcome: Mapping[Outcome, Sequence[Difference]], path: Path) -> None:
    """Draws how far the reference is from each other arm: a dot per seed, the mean, and its 95 % interval."""
    heights = [FRAME + height([each.other for each in found]) for found in by_outcome.values()]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    panels = figure.subplots(nrows=len(heights), squeeze=False, height_ratios=heights)[:, 0]
    for axes, (outcome, found) in zip(panels, by_outcome.items(), strict=True):
        _draw_differences(axes, outcome, found)
    save_figure(figure, path)


def _draw_differences(axes: Axes, outcome: Outcome, found: Sequence[Difference]) -> None:
    for row, each in enumerate(found):
        _draw_spread(axes, row, each.by_seed, each.difference, (each.low, each.high), "C0")
    drawn = [end for each in found for end in (0.0, each.low, each.high, *each.by_seed) if end is not None]
    axes.set_xlim(widened(padded(drawn), POINTS if outcome == F1 else NATS))
    axes.axvline(0, color="0.4", linewidth=1)
    rows(axes, [each.other for each in found])
    numbers(axes, [f"{each.difference:+.{outcome.decimals}f}" for each in found])
    reference = label(found[0].reference)
    side = BETTER[outcome.higher_is_better]
    axes.set_xlabel(
        f"{outcome.name}, {reference} minus the arm, {outcome.unit}\n"
        f"({side} of 0: {reference} is better{_bars(each.low for each in found)})"
    )


@rc_context(STYLE)
def draw_f1(arms: Sequence[ArmRuns], path: Path) -> None:
    """Draws test F1 by arm: a dot per seed, the mean, and its 95 % interval."""
    names = [arm.label for arm in arms]
    figure = Figure(figsize=(WIDTH, FRAME + height(names)), layout="constrained")
    axes = figure.subplots()
    for row, arm in enumerate(arms):
        if values := percentages(arm.successful, "test_f1"):
            mean, _, low, high = spread(values)
            _draw_spread(axes, row, values, mean, (low, high), _color(arm))
    rows(axes, names)
    axes.set_xlim(within(axes.get_xlim(), least=POINTS, bottom=0.0, top=100.0))
    lows = [spread(values)[2] for arm in arms if (values := percentages(arm.successful, "test_f1"))]
    axes.set_xlabel(f"test F1, %\n(dots: seeds{_bars(lows)})")
    save_figure(figure, path)


@rc_context(STYLE)
def draw_training(arms: Sequence[ArmRuns], path: Path) -> None:
    """Draws the MLM evaluation loss and the observed mask rate by step: a thin line per seed, and the mean."""
    arms = [arm for arm in arms if any(columns(run, "step", "eval_loss").size for run in arm.successful)]
    figure = Figure(figsize=(WIDTH, 5.2 + 0.25 * len(arms)), layout="constrained")
    losses, rates = figure.subplots(nrows=2, sharex=True, height_ratios=(2, 1))
    for arm, line in zip(arms, cycle(LINE_STYLES), strict=False):
        _curves(losses, arm, "eval_loss", 1.0, line)
        _curves(rates, arm, "masked_fraction", 100.0, line)
    losses.set_ylim(widened(losses.get_ylim(), NATS))
    losses.set(ylabel="MLM loss, nat")
    rates.set_ylim(0.0, max(rates.get_ylim()[1], 20.0))  # from 0, where the noise of a constant rate cannot be seen
    rates.set(xlabel="step (thin lines: seeds)", ylabel="masked, %")
    rates.xaxis.set_major_locator(MaxNLocator(5))
    for axes in (losses, rates):
        axes.grid(alpha=0.3)
    figure.legend(*losses.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    save_figure(figure, path)


@rc_context(STYLE)
def draw_speeds(stages: dict[str, list[Speed]], path: Path) -> None:
    """Draws tokens per second of both stages by launch."""
    stages = {stage: found for stage, found in stages.items() if found}
    heights = [FRAME + height([one.label for one in found]) for found in stages.values()]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    panels = figure.subplots(nrows=len(stages), squeeze=False, height_ratios=heights)[:, 0]
    for axes, (stage, found) in zip(panels, stages.items(), strict=True):
        axes.barh(range(len(found)), [one.tokens_per_second for one in found], color="C0")
        rows(axes, [one.label for one in found])
        numbers(axes, [f"{one.tokens_per_second:,.0f}" for one in found])
        axes.set_xlabel(f"{STAGES[stage].lower()}, tokens/s")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    save_figure(figure, path)


def has_curve(arm: ArmRuns) -> bool:
    return any(columns(run, "step", "masked_fraction").size for run in arm.successful)


def _curves(axes: Axes, arm: ArmRuns, name: str, unit: float, line: str) -> None:
    seeds = [seed for run in arm.successful if (seed := columns(run, "step", name)).size]
    if not seeds:
        return
    for steps, values in seeds:
        axes.plot(steps, unit * values, color=_color(arm), alpha=0.3, linewidth=0.8)
    at = seeds[0][0]  # the same steps for all seeds, which share the budget
    mean = unit * np.mean([np.interp(at, steps, values) for steps, values in seeds], axis=0)
    axes.plot(at, mean, "o", linestyle=line, color=_color(arm), markersize=3, label=label(arm.label))


def _draw_spread(
    axes: Axes, row: int, values: Sequence[float], mean: float, interval: tuple[float | None, float | None], color: str
) -> None:
    """Draws a bar for the interval, if it is known, a dot for each value, and a mark at the mean."""
    low, high = interval
    if low is not None and high is not None:
        axes.plot([low, high], [row, row], color=color, linewidth=7, alpha=0.3, solid_capstyle="butt")
    axes.plot(values, [row] * len(values), "o", color=color, markersize=4, alpha=0.7, clip_on=False)
    axes.plot([mean], [row], "|", color=color, markersize=16, markeredgewidth=2.5, clip_on=False)


def _bars(lows: Iterable[float | None]) -> str:
    """Returns what the bars of a figure are, if it has any: fewer than three seeds have no interval."""
    return "; bars: 95 % intervals" if any(low is not None for low in lows) else ""


def _color(arm: ArmRuns) -> str:
    return COLORS.get(arm.label, "black")
