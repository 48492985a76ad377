"""Generates the parts of both README.md that show committed results: `python -m benchmarks.readme`."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ner.experiments.result import Result
from benchmarks.ner.experiments.result_reader import read_results
from benchmarks.ner.report.blocks import Figure, Paragraph, markdown
from benchmarks.ner.report.document import judgements, report
from benchmarks.ner.report.finding import finding
from benchmarks.ner.report.grouping import without_studies
from benchmarks.speed import gpu, table

HERE = Path(__file__).parent
README, BENCHMARKS = HERE.parent / "README.md", HERE / "README.md"
RESULTS = HERE / "results"


def parts() -> dict[Path, dict[str, str]]:
    """Returns the Markdown of each part by file and name."""
    results, _ = read_results(RESULTS)
    speed = json.loads(table.RESULT.read_text(encoding="utf-8"))
    return {
        README: {
            "finding": markdown([_finding(results)]),
            "picture": markdown([_picture(results)], figures="benchmarks/results/report/"),
            "speed": table.highlights(speed),
        },
        BENCHMARKS: {"speed": table.markdown(speed), "gpu": gpu.markdown()},
    }


def _finding(results: Sequence[Result]) -> Paragraph:
    of_studies = judgements(results)
    return finding(of_studies[0] if of_studies else None, without_studies(results))


def _picture(results: Sequence[Result]) -> Figure:
    """Returns the first picture of the report: that of the study, or of the first exploratory comparison."""
    return next(block for block in report(results, []) if isinstance(block, Figure))


def insert_parts(text: str, parts: dict[str, str]) -> str:
    """Replaces the text between the markers of each part."""
    for name, part in parts.items():
        between = re.compile(rf"(<!-- {name}: begin -->\n).*(<!-- {name}: end -->)", re.DOTALL)
        text, found = between.subn(lambda marks, part=part: marks[1] + part + marks[2], text)  # type: ignore[misc]
        if found != 1:
            raise ValueError(
                f"the text must have the markers of {name!r} once, but has them {found} times. Correct the text."
            )
    return text


def main() -> None:
    for file, made in parts().items():
        file.write_text(insert_parts(file.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
