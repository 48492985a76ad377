"""README.md shows what the committed results say, and so does the committed report."""

from __future__ import annotations

import re

import pytest

from benchmarks.ner.report.write import write_report
from benchmarks.readme import README, RESULTS, insert_parts, parts


def test_what_is_written_shows_the_committed_results() -> None:
    for file, made in parts().items():
        text = file.read_text(encoding="utf-8")
        assert insert_parts(text, made) == text, "run `python -m benchmarks.readme`"


def test_the_committed_report_is_that_of_the_committed_results(tmp_path) -> None:
    write_report(RESULTS, tmp_path / "benchmarks" / "report")
    # The links differ in where they lead, as the report is elsewhere.
    found, committed = (
        re.sub(r"\]\(.*?(\w+-seed)", r"](\1", (folder / "report.md").read_text(encoding="utf-8"))
        for folder in (tmp_path / "benchmarks" / "report", RESULTS / "report")
    )
    assert found == committed, f"run `python -m benchmarks.ner.report {RESULTS}`"


def test_what_the_readme_shows_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    shown = [*re.findall(r"\]\(([^):#]+)[)#]", text), *re.findall(r"`(benchmarks/\S+\.(?:py|yaml))`", text)]
    assert shown
    assert [place for place in shown if not (README.parent / place).exists()] == []


def test_a_part_goes_between_its_marks() -> None:
    text = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"
    assert insert_parts(text, {"x": r"\1 new" + "\n"}) == "a\n<!-- x: begin -->\n\\1 new\n<!-- x: end -->\nb\n"
    with pytest.raises(ValueError, match="must have the markers of 'y' once, but has them 0 times"):
        insert_parts(text, {"y": ""})
