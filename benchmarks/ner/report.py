"""Results as a table, in the terminal or in Markdown: `python -m benchmarks.ner.report DIR [--markdown]`."""

import argparse
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from benchmarks.ner.results import read_results

HEADINGS = ("arm", "seeds", "dev F1", "test F1", "MLM eval loss", "tokens/s")
LONGEST = 1000  # characters of a text that are printed
MARKS = re.compile(r"[\\|`*<>\[\]]")
ORDER = ("none", "finetune_static", "finetune_dynamic", "static", "static10", "dynamic", "constant_mean", "anneal")


class Row(NamedTuple):
    """One arm under one dataset, model and launch, over its seeds; only runs that did what was asked count."""

    group: str
    cells: tuple[str, ...]


def rows(results: Sequence[dict[str, Any]]) -> list[Row]:
    """The table's rows, grouped by dataset, model and launch; arms in the order of the comparison.

    What was skipped has no row, see [`skips`].
    """
    run = [result for result in results if result["status"] != "skipped"]
    ordered = sorted(run, key=lambda result: (_group(result), *_rank(result["arm"]["name"])))
    keyed = groupby(ordered, key=lambda result: (_group(result), result["arm"]["name"]))
    return [Row(group, _cells(arm, list(members))) for (group, arm), members in keyed]


def results_table(results: Sequence[dict[str, Any]]) -> Group:
    """The rows for a terminal: F1 in percent, mean and standard deviation over seeds."""
    tables = []
    for group, members in groupby(rows(results), key=lambda row: row.group):
        within_80_columns = (0, 1, 0, 0)
        table = Table(title=Text(group), title_justify="left", box=SIMPLE_HEAD, padding=within_80_columns)
        for number, heading in enumerate(HEADINGS):
            table.add_column(heading, justify="left" if number == 0 else "right", no_wrap=True)
        for row in members:
            table.add_row(*map(Text, row.cells))
        tables.append(table)
    return Group(*tables)


def results_markdown(results: Sequence[dict[str, Any]]) -> str:
    """The same rows as Markdown tables, one for each dataset, model and launch."""
    parts = []
    for group, members in groupby(rows(results), key=lambda row: row.group):
        lines = [f"**{_escaped(group)}**", "", _line(HEADINGS), _line(["---", *["---:"] * (len(HEADINGS) - 1)])]
        parts.append("\n".join([*lines, *(_line(row.cells) for row in members)]))
    return "\n\n".join(parts)


def failures(results: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each run that did not do what was asked of it."""
    return [
        printable(f"failed: {_group(result)}, {result['arm']['name']}, seed {result['seed']}: {result['reason']}")
        for result in results
        if result["status"] == "failed"
    ]


def skips(results: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each reason why the machine could not run something: of a large grid it may be most."""
    reasons = Counter(str(result["reason"]) for result in results if result["status"] == "skipped")
    return [printable(f"skipped: {count} for this reason: {reason}") for reason, count in sorted(reasons.items())]


def printable(text: str) -> str:
    """A text out of a file as one line that neither steers a terminal nor fills it."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:LONGEST])
    return "".join(shown) + ("..." if len(text) > LONGEST else "")


def _group(result: dict[str, Any]) -> str:
    requested, epochs = result["launch"]["requested"], result["budget"]
    processes = requested["num_processes"]
    return printable(
        f"{result['dataset']['name']}, {Path(result['model']['name']).name}, {epochs['mlm_epochs']:g} + "
        f"{epochs['ner_epochs']:g} epochs, {processes} process{'es' if processes > 1 else ''}, "
        f"{_precision(requested)}{_further(requested, epochs)}"
    )


def _precision(requested: dict[str, Any]) -> str:
    if requested["mixed_precision"] == "no":
        return "tf32" if requested.get("tf32") else "fp32"
    return requested["mixed_precision"]


def _further(requested: dict[str, Any], budget: dict[str, Any]) -> str:
    """What tells a launch from others and most do not ask for."""
    strategy, machines = requested.get("strategy"), requested.get("num_machines", 1)
    workers = budget.get("dataloader_num_workers", 0)
    kept = "persistent " if budget.get("dataloader_persistent_workers") else ""
    parts = [(strategy, strategy), (f"{machines} machines", machines != 1), (f"{workers} {kept}workers", workers)]
    return "".join(f", {part}" for part, asked in parts if asked)


def _rank(arm: str) -> tuple[int, str]:
    return (ORDER.index(arm) if arm in ORDER else len(ORDER), arm)


def _cells(arm: str, members: list[dict[str, Any]]) -> tuple[str, ...]:
    sound = [result for result in members if result["status"] == "ok"]
    failed = len(members) - len(sound)
    return (
        printable(arm),
        f"{len(sound)} ({failed} failed)" if failed else str(len(sound)),
        _spread([100 * result["quality"]["dev_f1"] for result in sound]),
        _spread([100 * result["quality"]["test_f1"] for result in sound]),
        _mean([result["mlm"]["eval_loss"] for result in sound], "{:.3f}"),
        _mean([result["speed"]["mlm"]["tokens_per_second"] for result in sound if result["speed"]["mlm"]], "{:,.0f}"),
    )


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return _mean(values, "{:.2f}")
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"


def _mean(values: list[float], form: str) -> str:
    return form.format(statistics.mean(values)) if values else "-"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(cell: str) -> str:
    """For Markdown: a name is a name, not another column or a mark-up."""
    return MARKS.sub(r"\\\g<0>", cell)


def main() -> None:
    """Prints the table of a folder, what failed, and which files are not to be trusted."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("directory", type=Path, help="a folder of result files")
    parser.add_argument("--markdown", action="store_true", help="Markdown instead of a table for the terminal")
    arguments = parser.parse_args()
    results, rejected = read_results(arguments.directory)
    console = Console()
    if arguments.markdown:
        print(results_markdown(results))
    else:
        console.print(results_table(results))
    for line in failures(results):
        console.print(Text(line, style="red"))
    for line in skips(results):
        console.print(Text(line, style="yellow"))
    for path, reason in rejected:
        console.print(Text(printable(f"not trusted: {path.name}: {reason}"), style="yellow"))


if __name__ == "__main__":
    main()
