"""Tables of the runs with results and of those without; a sweep prints them at its end."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result, file_name
from benchmarks.ner.report.blocks import Block, RunLinks, Table, notes_once
from benchmarks.ner.report.grouping import launches, tasks, without_studies
from benchmarks.ner.report.labels import run
from benchmarks.ner.report.loss_tables import loss_blocks
from benchmarks.ner.report.quality_tables import by_arm, no_entities, quality_table


def overview(results: Sequence[Result]) -> Iterator[Block]:
    """Builds tables of F1 and of the MLM loss for each dataset, model, budget and launch, with advice if no entity was
    found; then the runs without results. Runs of a study have no table here, as no number is shown before a look.
    """
    yield from notes_once(_overview(results))


def _overview(results: Sequence[Result]) -> Iterator[Block]:
    for label, members in tasks(without_studies(results)):
        for launched, runs in launches(members):
            yield quality_table(f"{label}, {launched}", runs)
            yield from no_entities(runs)
            yield from loss_blocks(by_arm(runs))
    yield from not_run(results)


def not_run(results: Iterable[Result], rejected: Iterable[tuple[Path, str]] = ()) -> Iterator[Table]:
    """Builds tables of failed runs, of skip reasons with the number of runs, and of rejected files."""
    failed = [each for each in results if each["status"] == "failed"]
    skipped = Counter(printable(str(each["reason"])) for each in results if each["status"] == "skipped")
    tables = (
        Table("Failed", ("run", "file", "reason"), [_failure(each) for each in failed], words=True),
        Table("Skipped", ("reason", "runs"), [(reason, str(count)) for reason, count in sorted(skipped.items())]),
        Table("Rejected", ("file", "reason"), [(printable(file.name), printable(why)) for file, why in rejected], True),
    )
    return (table for table in tables if table.rows)


def _failure(result: Result) -> tuple[str | RunLinks, ...]:
    file = file_name(result)
    return run(result), RunLinks(printable(file), ((printable(file), file),)), printable(str(result["reason"]))
