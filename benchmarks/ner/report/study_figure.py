"""The figure of a registered study: the cost of repeated masks against the number of passes over each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.ner.analysis.registered import Dose, LookResult
from benchmarks.ner.report.axes import NATS, save_figure, widened
from benchmarks.ner.report.number_text import percent

SIZE = (7.0, 4.2)  # inches: readable on a page of 400 pixels
LINE, MEAN = "C0", "C3"


def draw_doses(look: LookResult, path: Path) -> None:
    """Draws the MLM loss by passes over each mask, minus that of new masks: a thin line per pair, the mean in bold."""
    doses = sorted(look.doses, key=lambda dose: dose.passes)
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(doses) + 1)
    _pairs(axes, places, doses)
    _means(axes, places, doses)
    axes.set_ylim(widened(axes.get_ylim(), NATS))
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set_xlim(-0.25, len(doses) + 0.6)  # room for the last number
    axes.set_xticks(places, ["1", *(f"{dose.passes:g}" for dose in doses)])
    axes.set_xlabel("passes over each mask in the same training", fontsize="large")
    axes.set_ylabel("MLM loss, nat above\nnew masks in each epoch", fontsize="large")
    axes.tick_params(labelsize="large")
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize="large", loc="upper left", frameon=False)
    save_figure(figure, path)


def _pairs(axes: Axes, places: np.ndarray, doses: Sequence[Dose]) -> None:
    """Draws the pairs that all doses have."""
    seeds = sorted(set.intersection(*(set(dose.differences) for dose in doses)))
    values = [[0.0, *(dose.differences[seed] for dose in doses)] for seed in seeds]
    for number, line in enumerate(values):
        label = None if number else f"each of {len(seeds)} pairs of runs"
        axes.plot(places, line, color=LINE, alpha=0.4, linewidth=0.9, label=label)


def _means(axes: Axes, places: np.ndarray, doses: Sequence[Dose]) -> None:
    judged = [
        (place, each.contrast.difference, (each.contrast.high - each.contrast.low) / 2)
        for place, each in zip(places[1:], doses, strict=True)
        if each.contrast.difference is not None and each.contrast.high is not None and each.contrast.low is not None
    ]
    at, means, reach = zip(*judged, strict=True)
    label = f"mean, {percent(1 - doses[0].contrast.level)} interval"
    axes.errorbar(at, means, reach, fmt="o", color=MEAN, linewidth=2.5, capsize=5, label=label)
    for place, mean in zip(at, means, strict=True):
        axes.annotate(f"{mean:+.2f}", (place, mean), xytext=(9, -4), textcoords="offset points", fontsize="large")
