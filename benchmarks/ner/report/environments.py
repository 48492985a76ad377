"""The software and the machines that made the results of a report."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.blocks import Block, Heading, Paragraph, Table


def environments(results: Iterable[Result]) -> Iterator[Block]:
    """Yields a table of the environments, with the number of runs of each."""
    made = Counter(_environment(each["env"]) for each in results if each["status"] != "skipped")
    if made:
        yield Heading("Environment")
        rows = [(maker, str(runs)) for maker, runs in made.most_common()]
        yield Table("", ("software and machine", "runs"), rows)


def mixed_commits(runs: Iterable[Result]) -> Iterator[Paragraph]:
    """Warns of runs under the same conditions that were made by several commits of this project."""
    commits = Counter(str((each["env"] or {}).get("commit"))[:8] for each in runs if each["status"] == "ok")
    if len(commits) > 1:
        made = ", ".join(f"{commit} ({count})" for commit, count in commits.most_common())
        text = f"these runs were made by several commits, so pairs may differ in more than their arm: {made}."
        yield Paragraph(printable(text), mark="Mixed commits:")


def _environment(env: Any) -> str:
    if not isinstance(env, Mapping) or not isinstance(env.get("packages"), Mapping):
        return "unknown"
    packages = [f"{name} {version}" for name, version in env["packages"].items()]
    named = [f"Python {env.get('python')}", *packages, f"commit {env.get('commit')}", str(env.get("processor"))]
    return printable(", ".join(named))
