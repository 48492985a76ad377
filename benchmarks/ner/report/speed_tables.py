"""Tables of speed: tokens per second, gains by more processes and lower precision, memory."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from benchmarks.ner.experiments.result import Result, canonical_json
from benchmarks.ner.report.blocks import RunLinks, Table
from benchmarks.ner.report.labels import disambiguate, launch
from benchmarks.ner.report.number_text import number, percent
from benchmarks.ner.report.quality_tables import runs_cell

HEADINGS = ("launch", "tokens/s", "ms/step", "scaling", "vs fp32", "data wait", "peak GB", "runs")
NOTE = (
    "Tokens are counted without padding, over all processes; 'ms/step' is the time of an optimizer step. "
    "'scaling' is the speed of each process relative to a single process, 'vs fp32' the speed relative to fp32 "
    "with the same launch, 'data wait' the share of the time that training waits for batches, and 'peak GB' the "
    "memory of all processes."
)
STAGES = {"mlm": "Pre-training", "ner": "Fine-tuning"}


class Speed(NamedTuple):
    """The runs of one task and launch, and their medians."""

    label: str
    settings: Mapping[str, Any]
    runs: list[Result]
    tokens_per_second: float  # total over processes
    step_time: float  # seconds
    data_wait_share: float
    peak_bytes: float  # total over processes


def speeds(results: Iterable[Result], stage: str) -> list[Speed]:
    """Groups the successful, timed runs of one task and stage, "mlm" or "ner", by launch."""
    timed = [run for run in results if run["status"] == "ok" and run["speed"][stage] and run["memory"][stage]]
    timed.sort(
        key=lambda run: (run["launch"]["requested"]["num_processes"], launch(run), canonical_json(settings(run)))
    )
    members = [list(runs) for _, runs in groupby(timed, key=lambda run: canonical_json(settings(run)))]
    labels = disambiguate([launch(runs[0]) for runs in members], [settings(runs[0]) for runs in members])
    return [_speed(label, runs, stage) for label, runs in zip(labels, members, strict=True)]


def settings(result: Result) -> dict[str, Any]:
    """Returns the settings that affect the speed of a run but not its result, without the name of the config file."""
    workers = {name: value for name, value in result["budget"].items() if name.startswith("dataloader_")}
    return {**{name: value for name, value in result["launch"]["requested"].items() if name != "config"}, **workers}


def speed_table(found: Sequence[Speed], stage: str) -> Table:
    return Table(f"{STAGES[stage]}, medians over runs", HEADINGS, [_row(speed, found) for speed in found], note=NOTE)


def scaling(speed: Speed, found: Iterable[Speed]) -> float | None:
    """Returns tokens per second and process relative to a single process; None if that was not run, or is 0."""
    alone = _matching(speed, found, lambda kept: {**kept, "num_processes": 1}, ("strategy", "num_machines"))
    return _ratio(speed, alone, speed.settings["num_processes"])


def precision_gain(speed: Speed, found: Iterable[Speed]) -> float | None:
    """Returns tokens per second relative to fp32 with the same launch; None if that was not run, or is 0."""
    fp32 = _matching(speed, found, lambda kept: {**kept, "mixed_precision": "no"}, ("tf32",))
    return _ratio(speed, fp32)


def _matching(
    speed: Speed, found: Iterable[Speed], changed: Callable[[dict[str, Any]], dict[str, Any]], without: tuple[str, ...]
) -> Speed | None:
    wanted = changed({name: value for name, value in speed.settings.items() if name not in without})
    return next((other for other in found if other.settings == wanted), None)


def _ratio(speed: Speed, other: Speed | None, times: int = 1) -> float | None:
    if other is None or not other.tokens_per_second:
        return None
    return speed.tokens_per_second / (times * other.tokens_per_second)


def _speed(label: str, runs: list[Result], stage: str) -> Speed:
    def median(part: str, name: str) -> float:
        return statistics.median(run[part][stage][name] for run in runs)

    return Speed(
        label,
        settings(runs[0]),
        runs,
        median("speed", "tokens_per_second"),
        median("speed", "step_time_median"),
        median("speed", "data_wait_share"),
        median("memory", "peak_bytes_total"),
    )


def _row(speed: Speed, found: Sequence[Speed]) -> tuple[str | RunLinks, ...]:
    return (
        speed.label,
        f"{speed.tokens_per_second:,.0f}",
        f"{1000 * speed.step_time:,.0f}",
        number(scaling(speed, found), partial(percent, decimals=0)),
        number(precision_gain(speed, found), "{:.2f} x"),
        percent(speed.data_wait_share, decimals=1),
        f"{speed.peak_bytes / 1e9:.2f}",
        runs_cell(speed.runs, len(speed.runs), lambda run: f"{run['arm']['name']} {run['seed']}"),
    )
