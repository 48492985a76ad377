"""Axes of figures that stay readable on a page of 400 pixels, and that do not fill a picture with a tiny difference."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

Limits = tuple[float, float]
WIDTH = 6.0  # inches; with the letters of `STYLE`, the text of a figure has 10 pixels on a page of 400
STYLE: Any = {"font.size": 12.0, "axes.titlesize": 12.0, "legend.fontsize": 11.0}
# Least spans of axes, several times what two runs of one arm differ by with other seeds: points of F1, nats of loss.
POINTS, NATS = 5.0, 0.5
LINE = 0.24  # inches per line of a label
LETTERS, LINES = 24, 3  # of a label


def widened(limits: Limits, least: float) -> Limits:
    """Returns the limits, moved apart to the least span of an axis, so that noise does not look like a signal."""
    low, high = limits
    missing = max(least - (high - low), 0.0)
    return low - missing / 2, high + missing / 2


def within(limits: Limits, least: float, bottom: float, top: float) -> Limits:
    """Returns the limits with a least span like [`widened`], but moved or cut to lie within `bottom` and `top`."""
    low, high = widened(limits, least)
    moved = max(bottom - low, 0.0) - max(high - top, 0.0)
    return max(low + moved, bottom), min(high + moved, top)


def padded(values: Sequence[float], share: float = 0.06) -> Limits:
    """Returns the limits of values, with a margin."""
    margin = share * (max(values) - min(values))
    return min(values) - margin, max(values) + margin


def label(name: str) -> str:
    """Returns a name on a few short lines. Names are not formulas, and may have letters that the font lacks."""
    lines = textwrap.wrap(ascii(name)[1:-1], LETTERS, max_lines=LINES, placeholder=" ...")
    return "\n".join(lines).replace("$", r"\$")


def height(names: Sequence[str]) -> float:
    """Returns the inches that rows with these names need, without overlap."""
    return sum(LINE * (1 + len(label(name).splitlines())) for name in names)


def rows(axes: Axes, names: Sequence[str]) -> None:
    """Writes a name at each row, from the top."""
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(alpha=0.3, axis="x")


def numbers(axes: Axes, texts: Sequence[str]) -> None:
    """Writes a text at the right of each row, outside of the axes, where it covers nothing."""
    right = axes.get_yaxis_transform()
    for row, text in enumerate(texts):
        axes.annotate(
            text,
            (1.0, row),
            xycoords=right,
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )


def save_figure(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=120, metadata={"Software": None})
