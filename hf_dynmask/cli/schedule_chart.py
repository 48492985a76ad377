"""Shows a mask rate over the course of training: as lines in the terminal, and as an image."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Column, Table

from hf_dynmask.cli.expressions import schedule_from
from hf_dynmask.rates.schedules import Schedule, rate_at

_LINES, _POINTS = 11, 2_000


def show_schedule(text: str, steps: int, out: str | None) -> None:
    """Prints the rate at some of the steps, and draws the curve into the file `out` if it is given.

    Raises:
        ValueError: if the text names no schedule, or `out` cannot be written.
    """
    schedule = schedule_from(text)
    if out is not None:
        draw(schedule, steps, text, out)
    console = Console(emoji=False)
    console.print(_bars(schedule, steps))
    if out is not None:
        console.print(f"Curve written to {out}.", markup=False, highlight=False, soft_wrap=True)


def draw(schedule: Schedule, steps: int, title: str, path: str) -> None:
    """Draws the rate of each step, at up to 2,000 steps, as a staircase."""
    from matplotlib.figure import Figure

    at, rates = _sampled_rates(schedule, steps, _POINTS)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.step(at, 100 * rates, where="post")
    axes.set(xlabel="optimizer step", ylabel="mask rate in %", title=title, xlim=(0, steps), ylim=(0, None))
    axes.grid(alpha=0.3)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error  # matplotlib's own list of formats, or the system's reason
        raise ValueError(f"`--out` must be an image file, but {path!r} cannot be written: {why}.") from error


def _sampled_rates(schedule: Schedule, steps: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    at = np.unique([*(index * steps // (most - 1) for index in range(most - 1)), steps - 1])
    return at, np.array([rate_at(schedule, int(step), steps) for step in at])


def _bars(schedule: Schedule, steps: int) -> Table:
    """The rate at some steps. The highest of these rates has a bar of full width."""
    at, rates = _sampled_rates(schedule, steps, _LINES)
    highest = float(rates.max()) or 1.0
    scale = Table.grid(Column(), Column(justify="right"), expand=True)
    scale.add_row("0%", f"{100 * highest:.3g}%")
    columns = Column("step", justify="right"), Column("mask rate", justify="right"), Column(scale, ratio=1)
    table = Table(*columns, box=None, pad_edge=False, expand=True)
    for step, rate in zip(at, rates, strict=True):
        bar = ProgressBar(highest, float(rate), complete_style="bar.complete", finished_style="bar.complete")
        table.add_row(f"{step:,}", f"{rate:.2%}", bar)
    return table
