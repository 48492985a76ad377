"""Generates the parts of both README.md that show committed results: `python -m benchmarks.readme`."""

import json
import re
from pathlib import Path

from benchmarks.ner.experiments.result_reader import read_results
from benchmarks.ner.report.blocks import markdown
from benchmarks.ner.report.front_page import front_page
from benchmarks.speed import gpu, table

HERE = Path(__file__).parent
README, BENCHMARKS = HERE.parent / "README.md", HERE / "README.md"
RESULTS = HERE / "results"


def parts() -> dict[Path, dict[str, str]]:
    """Returns the Markdown of each part by file and name."""
    results, _ = read_results(RESULTS)
    finding, picture = front_page(results)
    speed = json.loads(table.RESULT.read_text(encoding="utf-8"))
    return {
        README: {
            "finding": markdown([finding]),
            "picture": markdown([picture], figures="benchmarks/results/report/"),
            "speed": table.highlights(speed),
        },
        BENCHMARKS: {"speed": table.markdown(speed), "gpu": gpu.markdown()},
    }


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
