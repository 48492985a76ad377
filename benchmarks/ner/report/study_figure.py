"""The figure of a registered study: the cost of repeated masks against the number of passes over each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.ner.analysis.contrasts import Contrast
from benchmarks.ner.analysis.registered import Dose, LookResult
from benchmarks.ner.report.axes import NATS, STYLE, WIDTH, save_figure, widened
from benchmarks.ner.report.number_text import percent

LINE, MEAN = "C0", "C3"


@rc_context(STYLE)
def draw_doses(look: LookResult, path: Path) -> None:
    """Draws the MLM loss by passes over each mask, minus that of new masks: a thin line per pair, the mean in bold.

    At one pass, where the lines begin at 0, the mean is that of other new masks: it shows what chance does.
    """
    doses = sorted(look.doses, key=lambda dose: dose.passes)
    figure = Figure(figsize=(WIDTH, 0.65 * WIDTH), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(doses) + 1)
    _pairs(axes, places, doses)
    _means(axes, places, [look.control, *(dose.contrast for dose in doses)])
    axes.set_ylim(widened(axes.get_ylim(), NATS))
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set_xlim(-0.7, len(doses) + 0.3)  # room for the first number
    axes.set_xticks(places, ["1\n(other masks)", *(f"{dose.passes:g}" for dose in doses)])
    axes.set_xlabel("passes over each mask in the same training")
    axes.set_ylabel("MLM loss, nat above\nnew masks in each epoch")
    axes.grid(alpha=0.3, axis="y")
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    save_figure(figure, path)


def _pairs(axes: Axes, places: np.ndarray, doses: Sequence[Dose]) -> None:
    """Draws each pair; its line has a gap where a run was left out."""
    seeds = sorted({seed for dose in doses for seed in dose.differences})
    values = [[0.0, *(dose.differences.get(seed, np.nan) for dose in doses)] for seed in seeds]
    for number, line in enumerate(values):
        label = None if number else f"each of {len(seeds)} pairs of runs"
        axes.plot(places, line, color=LINE, alpha=0.4, linewidth=0.9, label=label)


def _means(axes: Axes, places: np.ndarray, contrasts: Sequence[Contrast]) -> None:
    judged = [
        (place, each.difference, (each.high - each.low) / 2)
        for place, each in zip(places, contrasts, strict=True)
        if each.difference is not None and each.high is not None and each.low is not None
    ]
    if not judged:
        return
    at, means, reach = zip(*judged, strict=True)
    label = f"mean, {percent(1 - contrasts[0].level)} interval"
    axes.errorbar(at, means, reach, fmt="o", color=MEAN, linewidth=2.5, capsize=5, label=label)
    for place, mean in zip(at, means, strict=True):
        axes.annotate(f"{mean:+.2f}", (place, mean), xytext=(-7, 5), textcoords="offset points", ha="right")
