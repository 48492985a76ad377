"""What ran and what did not, as tables: all that a sweep prints at its end."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.ner.report.blocks import Runs, Table
from benchmarks.ner.report.grouping import launches, tasks
from benchmarks.ner.report.labels import Result, printable, run
from benchmarks.ner.report.quality import quality_table
from benchmarks.ner.results import file_name


def quality_tables(results: Iterable[Result]) -> list[Table]:
    """A table for each dataset, model, budget and launch; what was skipped is in none."""
    return [
        quality_table(f"{label}, {launched}", runs)
        for label, members in tasks(results)
        for launched, runs in launches(members)
    ]


def not_run(results: Iterable[Result], rejected: Iterable[tuple[Path, str]] = ()) -> Iterator[Table]:
    """What failed, run by run; what was skipped, by reason, since of a large grid it may be most; untrusted files."""
    failed = [each for each in results if each["status"] == "failed"]
    skipped = Counter(printable(str(each["reason"])) for each in results if each["status"] == "skipped")
    tables: dict[str, tuple[tuple[str, ...], list[Any]]] = {
        "Failed": (("run", "file", "reason"), [_failure(each) for each in failed]),
        "Skipped": (("reason", "runs"), [(reason, str(count)) for reason, count in sorted(skipped.items())]),
        "Not trusted": (("file", "reason"), [(printable(path.name), printable(why)) for path, why in rejected]),
    }
    return (Table(title, headings, rows, words=True) for title, (headings, rows) in tables.items() if rows)


def _failure(result: Result) -> tuple[str | Runs, ...]:
    file = file_name(result)
    return run(result), Runs(printable(file), ((printable(file), file),)), printable(str(result["reason"]))
