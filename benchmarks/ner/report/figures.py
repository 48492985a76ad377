"""The figures of a report, drawn with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.ner.analysis.seed_summary import spread
from benchmarks.ner.report.labels import ORDER
from benchmarks.ner.report.quality_tables import ArmRuns, percentages
from benchmarks.ner.report.speed_tables import STAGES, Speed
from benchmarks.ner.training.curve import columns

WIDTH = 9.0  # inches
LINE = 0.42  # inches per arm or launch
COLORS = dict(zip(ORDER, ("C7", "C5", "C6", "C3", "C8", "C1", "C9", "C0", "C0", "C4", "C2"), strict=True))


def draw_f1(arms: Sequence[ArmRuns], path: Path) -> None:
    """Draws F1 on both splits by arm: a dot per seed, the mean, and its 95 % interval."""
    figure, (dev, test) = _figure(len(arms), columns=2)
    for axes, split in ((dev, "dev"), (test, "test")):
        for row, arm in enumerate(arms):
            _draw_spread(axes, row, percentages(arm.successful, f"{split}_f1"), _color(arm))
        axes.set(xlabel=f"{split} F1, %", xlim=f1_range(*axes.get_xlim()))
        _names(axes, [arm.label for arm in arms] if axes is dev else [""] * len(arms))
    test.set_title("dots: seeds; bars: 95 % intervals of the mean", loc="right", fontsize="small")
    save_figure(figure, path)


def draw_training(arms: Sequence[ArmRuns], path: Path) -> None:
    """Draws the MLM evaluation loss and the observed mask rate by step: a thin line per seed, and the mean."""
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    losses, rates = figure.subplots(ncols=2)
    for arm in arms:
        _curves(losses, arm, "eval_loss")
        _curves(rates, arm, "masked_fraction")
    losses.set(xlabel="step", ylabel="MLM evaluation loss at 15 %")
    rates.set(xlabel="step", ylabel="observed mask rate, %")
    rates.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")
    for axes in (losses, rates):
        axes.grid(alpha=0.3)
    losses.legend(fontsize="small")
    save_figure(figure, path)


def draw_speeds(stages: dict[str, list[Speed]], path: Path) -> None:
    """Draws tokens per second of both stages by launch."""
    stages = {stage: found for stage, found in stages.items() if found}
    figure, panels = _figure(max(map(len, stages.values())), columns=len(stages))
    for axes, (stage, found) in zip(panels, stages.items(), strict=True):
        bars = axes.barh(range(len(found)), [one.tokens_per_second for one in found], color="C0")
        axes.bar_label(bars, [f" {one.tokens_per_second:,.0f}" for one in found], fontsize="small")
        axes.margins(x=0.2)
        axes.set(xlabel=f"{STAGES[stage].lower()}, tokens/s")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        _names(axes, [one.label for one in found])
    save_figure(figure, path)


def has_curve(arm: ArmRuns) -> bool:
    return any(columns(run, "step", "masked_fraction").size for run in arm.successful)


def _curves(axes: Axes, arm: ArmRuns, name: str) -> None:
    seeds = [seed for run in arm.successful if (seed := columns(run, "step", name)).size]
    if not seeds:
        return
    for steps, values in seeds:
        axes.plot(steps, values, color=_color(arm), alpha=0.3, linewidth=0.8)
    at = seeds[0][0]  # the same steps for all seeds, which share the budget
    mean = np.mean([np.interp(at, steps, values) for steps, values in seeds], axis=0)
    axes.plot(at, mean, "o-", color=_color(arm), markersize=3, label=_text(arm.label))


def f1_range(low: float, high: float) -> tuple[float, float]:
    """Returns the limits of an axis for scores in percent; they differ even if all scores are 0."""
    return max(0.0, low), min(100.0, max(high, 1.0))


def _draw_spread(axes: Axes, row: int, values: list[float], color: str) -> None:
    if not values:
        return
    mean, _, low, high = spread(values)
    if low is not None and high is not None:
        axes.plot([low, high], [row, row], color=color, linewidth=6, alpha=0.25, solid_capstyle="butt")
    axes.plot(values, [row] * len(values), "o", color=color, markersize=4, alpha=0.7, clip_on=False)
    axes.plot([mean], [row], "|", color=color, markersize=16, markeredgewidth=2, clip_on=False)


def _color(arm: ArmRuns) -> str:
    return COLORS.get(arm.label, "black")


def _figure(lines: int, columns: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, 1.0 + LINE * lines), layout="constrained")
    return figure, figure.subplots(ncols=columns, squeeze=False)[0]


def _names(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_text(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(alpha=0.3, axis="x")


def _text(name: str) -> str:
    """Escapes names, which are not formulas and may have letters that the font lacks."""
    return ascii(name)[1:-1].replace("$", r"\$")


def save_figure(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=120, metadata={"Software": None})
