"""The report of made-up results: its tables, that each number leads to its files, that names do no harm."""

import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console
from support.made_results import make_result, with_scores
from support.made_study import all_results

from benchmarks.ner.analysis.comparison import comparisons
from benchmarks.ner.experiments.result import file_name
from benchmarks.ner.experiments.storage import write_result
from benchmarks.ner.experiments.study import STUDIES, read_study
from benchmarks.ner.report import __main__ as command
from benchmarks.ner.report.blocks import Figure, Heading, Paragraph, Table, markdown, notes_once, terminal
from benchmarks.ner.report.document import EMPTY, METHOD, report
from benchmarks.ner.report.html_page import to_html
from benchmarks.ner.report.quality_tables import FROM_SCRATCH, HEADINGS, NO_ENTITIES, PRETRAINED, comparison_tables
from benchmarks.ner.report.status_tables import not_run, overview
from benchmarks.ner.report.write import write_report

RESULTS = [
    with_scores(make_result("dynamic", 0), 0.80),
    with_scores(make_result("dynamic", 1), 0.82),
    with_scores(make_result("dynamic", 2, status="failed", reason="2 processes were requested, but 1 trains"), 0.99),
    with_scores(make_result("static", 0), 0.75),
    with_scores(make_result("none", 0, mlm={"eval_loss": 8.0}), 0.70),
]


def printed(blocks, width=80):
    console = Console(width=width, file=io.StringIO())
    console.print(terminal(blocks))
    return console.file.getvalue()


def quality_tables(results):
    return [block for block in overview(results) if isinstance(block, Table) and block.headings == HEADINGS]


def rows(results):
    (table,) = quality_tables(results)
    return {row[0]: row[1:] for row in table.rows}


def stored(folder, results):
    folder.mkdir(exist_ok=True)
    for result in results:
        write_result(folder / file_name(result), result)
    return folder


# -- F1 ---------------------------------------------------------------------------------------------------------------


def test_a_row_is_the_mean_and_sample_deviation_over_sound_seeds():
    # The sample standard deviation of 80 and 82 is the root of 2. Two seeds have no interval.
    seeds, *cells = rows(RESULTS)["dynamic"]
    assert cells == ["50.00 ± 0.00", "81.00 ± 1.41", "-", "90.0 %", "2.500"]
    assert seeds.text == "2 of 3"
    assert seeds.files == (("0", file_name(RESULTS[0])), ("1", file_name(RESULTS[1])))


def test_one_seed_has_no_spread():
    assert rows(RESULTS)["static"][1:4] == ("50.00", "75.00", "-")


def test_an_arm_whose_runs_all_failed_keeps_its_row():
    failed = with_scores(make_result("static", 0, status="failed", mlm={"eval_loss": None}), None, None)
    seeds, *cells = rows([failed])["static"]
    assert (seeds.text, cells) == ("0 of 1", ["-"] * 5)


def test_arms_stand_in_the_order_of_the_comparison_below_what_they_share():
    (table,) = quality_tables([*RESULTS, make_result("zebra", 0)])
    assert table.title == "tiny, toy, 12 + 6.5 epochs, 1 process, fp32"
    assert [row[0] for row in table.rows] == ["none", "static", "dynamic", "zebra"]


@pytest.mark.parametrize(
    ("requested", "budget", "ending"),
    [
        ({"num_processes": 2, "mixed_precision": "bf16"}, {}, "2 processes, bf16"),
        ({"tf32": True}, {}, "1 process, tf32"),
        ({"strategy": "FSDP", "num_machines": 2}, {}, "1 process, fp32, FSDP, 2 machines"),
        ({}, {"dataloader_num_workers": 2}, "1 process, fp32, 2 workers"),
        ({}, {"dataloader_num_workers": 2, "dataloader_persistent_workers": True}, "fp32, 2 persistent workers"),
        ({}, {"mlm_epochs": 3.0}, "tiny, toy, 3 + 6.5 epochs, 1 process, fp32"),
        ({}, {"mlm_learning_rate": 1e-4}, "epochs, budget.mlm_learning_rate=0.0001, 1 process, fp32"),
        ({"use_cpu": True}, {}, "fp32, launch.use_cpu=True"),
    ],
)
def test_what_was_run_in_another_way_has_its_own_table(requested, budget, ending):
    (other,) = quality_tables([make_result("static", 0, requested=requested, budget=budget)])
    tables = quality_tables([*RESULTS, make_result("static", 0, requested=requested, budget=budget)])
    assert len(tables) == 2
    assert any(table.title.endswith(ending) for table in tables)
    assert [len(table.rows) for table in tables if table.title.endswith(ending)] == [len(other.rows)]


def test_the_comparison_of_most_arms_comes_first():
    alone = make_result("dynamic", 0, budget={"mlm_epochs": 1.0})
    tables = quality_tables([alone, *RESULTS])
    assert [len(table.rows) for table in tables] == [3, 1]


def test_arms_that_share_a_name_are_told_apart_and_not_compared():
    results = [make_result("dynamic", 0), make_result("dynamic", 0, rate=0.3), make_result("static10", 0)]
    assert list(rows(results)) == ["static10", "dynamic, mlm_probability=0.15", "dynamic, mlm_probability=0.3"]
    text = markdown(report(results, []))
    assert "these arms cannot be compared.** results must have one run per arm and seed" in text


# -- Runs that found nothing ------------------------------------------------------------------------------------------


def test_runs_that_found_no_entity_have_no_verdict_and_the_report_says_what_to_do():
    results = [make_result(arm, seed, found=0) for arm in ("anneal", "dynamic") for seed in range(3)]
    blocks = report(results, [])
    _, compared = (block for block in blocks if isinstance(block, Table) and block.headings[0] == "difference")
    assert compared.headings[2] == "points"
    assert compared.rows == [
        ("anneal minus dynamic", "3", "+0.00", "-", "-", "-", "no verdict: the difference is the same with every seed")
    ]
    advice = Paragraph(PRETRAINED, mark=NO_ENTITIES)
    assert advice in blocks
    assert list(overview(results))[1] == advice
    assert "no run found an entity of the test split" in blocks[1].mark


def test_advice_on_runs_that_found_no_entity_depends_on_the_model():
    tiny, trained = (make_result("anneal", 0, found=0, model={"name": name}) for name in ("tiny", "models/toy"))
    (advice,) = (block for block in overview([tiny]) if isinstance(block, Paragraph) and block.mark == NO_ENTITIES)
    assert advice.text == FROM_SCRATCH
    assert "pass a pre-trained --model" in advice.text
    (advice,) = (block for block in overview([trained]) if isinstance(block, Paragraph) and block.mark == NO_ENTITIES)
    assert "--word_column" in advice.text
    assert "pass a pre-trained" not in advice.text


def test_runs_of_which_one_found_an_entity_have_no_such_line():
    results = [make_result("anneal", 0, found=0), make_result("anneal", 1)]
    for blocks in (report(results, []), overview([*results, make_result("static", 0, status="failed", reason="")])):
        assert not [block for block in blocks if getattr(block, "mark", None) == NO_ENTITIES]


# -- What did not run -------------------------------------------------------------------------------------------------


def test_what_failed_is_named_with_its_reason_and_its_file():
    (table,) = not_run(RESULTS)
    ((name, file, reason),) = table.rows
    assert name == "tiny, toy, 12 + 6.5 epochs, 1 process, fp32, dynamic, seed 2"
    assert (file.text, reason) == (file_name(RESULTS[2]), "2 processes were requested, but 1 trains")


def test_what_was_skipped_is_counted_by_its_reason_and_has_no_row():
    skipped = [make_result("static", seed, status="skipped", reason="no GPU") for seed in range(3)]
    assert quality_tables(skipped) == []
    (table,) = not_run(skipped)
    assert (table.title, table.rows) == ("Skipped", [("no GPU", "3")])


# -- The whole --------------------------------------------------------------------------------------------------------


class Links(HTMLParser):
    """The links, the pictures and the elements of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.pictures, self.elements = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.links += [value for name, value in attrs if name == "href"]
        self.pictures += [value for name, value in attrs if name == "src"]


@pytest.fixture
def compared():
    """Two arms that were to be compared, and a launch of two processes."""
    arms = {"anneal": 0.8, "constant_mean": 0.5, "dynamic": 0.6}
    found = [make_result(arm, seed, share) for arm, share in arms.items() for seed in range(4)]
    return [*found, make_result("dynamic", 0, requested={"num_processes": 2}), RESULTS[2]]


def test_a_folder_is_reported_in_the_terminal_and_in_files(tmp_path, monkeypatch, capsys, compared):
    folder = stored(tmp_path / ":snake:", compared)  # is not to become a picture of one
    (folder / "changed:bug:.json").write_text("{")
    monkeypatch.setattr(sys, "argv", ["report", str(folder)])
    monkeypatch.setenv("COLUMNS", "200")
    command.main()
    output = capsys.readouterr().out
    text = (folder / "report" / "report.md").read_text(encoding="utf-8")
    for said in (
        "exploratory: better",
        "2 processes were requested, but 1 trains",
        "changed:bug:.json",
    ):
        assert said in output
        assert said in text
    assert f"Report: {folder / 'report' / 'report.html'}" in output


def test_every_run_is_linked_and_every_link_leads_to_a_file(tmp_path, compared):
    folder = stored(tmp_path / "results", compared)
    write_report(folder, tmp_path / "elsewhere")
    parsed = Links((tmp_path / "elsewhere" / "report.html").read_text(encoding="utf-8"))
    found = {(tmp_path / "elsewhere" / link).resolve() for link in parsed.links}
    assert found == {(folder / file_name(result)).resolve() for result in compared}


def test_the_page_is_whole_and_shows_what_the_markdown_shows(tmp_path, compared):
    folder = stored(tmp_path / "results", compared)
    blocks = write_report(folder, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert {Path(name).name for name in shown} == {path.name for path in tmp_path.glob("*.png")}
    pictures = Links((tmp_path / "report.html").read_text(encoding="utf-8")).pictures
    assert len(pictures) == len(shown) == sum(isinstance(block, Figure) for block in blocks) > 0
    assert all(picture.startswith("data:image/png;base64,iVBOR") for picture in pictures)


def test_a_report_of_the_same_results_is_the_same(tmp_path, compared):
    folder = stored(tmp_path / "results", compared)
    texts = []
    for name in ("one", "two"):
        write_report(folder, tmp_path / name)
        texts.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert texts[0] == texts[1]


def test_no_results_are_a_short_report():
    assert [block.text for block in report([], [])] == ["Comparison of masking strategies", EMPTY]


def test_a_report_begins_with_what_was_found_and_ends_with_method_and_speed(compared):
    blocks = report(compared, [])
    assert isinstance(blocks[1], Paragraph)
    assert blocks[1].mark.startswith("tiny, toy, 12 + 6.5 epochs: ")
    headings = [block.text for block in blocks if isinstance(block, Heading)]
    task = "tiny, toy, 12 + 6.5 epochs"
    assert headings[:5] == ["Comparison of masking strategies", task, "Runs without a result", "Method", "Speed"]
    after_task = blocks[blocks.index(Heading(task)) + 1 :]
    assert isinstance(after_task[0], Figure)
    assert after_task[0].alt.startswith("Differences")
    assert headings.count("Speed") == 1


def test_runs_without_a_result_are_counted_at_the_top():
    failed = make_result("static", 0, status="failed", reason="out of memory", mlm={"eval_loss": None})
    blocks = report([failed, make_result("dynamic", 1, status="skipped", reason="no GPU")], [(Path("x.json"), "bad")])
    assert blocks[1].mark == "Without a result:"
    assert blocks[1].text.startswith("1 failed, 1 skipped, 1 rejected; ")


def test_what_columns_mean_is_said_below_the_first_table_of_a_kind(compared):
    notes = [block.note for block in report(compared, []) if isinstance(block, Table) and block.note]
    assert len(notes) == len(set(notes)) > 3
    first, second = notes_once([Table("a", ("x",), [], note="An x."), Table("b", ("x",), [], note="An x.")])
    assert (first.note, second.note) == ("An x.", "")
    assert markdown([first, second]).count("\n\nAn x.\n") == 1
    assert printed([first, second]).count("An x.") == 1


def test_datasets_of_one_name_are_told_apart_by_the_first_digits_of_their_fingerprint():
    prints = ("0123456789abcdef" * 4, "fedcba9876543210" * 4)
    results = [
        make_result("dynamic", 0, dataset={"name": "tiny", "fingerprint": each, "sentences": {"train": number}})
        for number, each in enumerate(prints)
    ]
    blocks = report(results, [])
    headings = [block.text for block in blocks if isinstance(block, Heading) and block.text.startswith("tiny")]
    assert headings[:2] == [f"tiny, toy, 12 + 6.5 epochs, dataset {each[:8]}" for each in prints]
    assert len({block.file for block in blocks if isinstance(block, Figure)}) == 2
    assert not any(each in markdown(blocks) for each in prints)


def test_verdicts_of_comparisons_say_that_they_are_exploratory(compared):
    blocks = report(compared, [])
    assert Paragraph(METHOD) in blocks
    tables = [block for block in blocks if isinstance(block, Table) and "verdict" in block.headings]
    verdicts = {row[-1].partition(": ")[0] for table in tables for row in table.rows}
    assert verdicts == {"exploratory", "no verdict"}, "all arms have the same loss"


def test_runs_of_several_commits_are_named():
    of_two = [make_result("dynamic", seed, env={"commit": "0123456789"[seed:]}) for seed in (0, 0, 1)]
    (said,) = (block for block in report(of_two, []) if getattr(block, "mark", None) == "Mixed commits:")
    assert said.text.endswith("01234567 (2), 12345678 (1).")
    assert not [block for block in report(of_two[:2], []) if getattr(block, "mark", None) == "Mixed commits:"]


def test_runs_of_two_versions_of_the_harness_have_their_own_tables():
    old, new = make_result("dynamic", 0), make_result("dynamic", 0, harness=2)
    assert len(quality_tables([old, new])) == 2


# -- Registered studies -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study():
    return read_study(STUDIES / "repeated_masks.yaml")


def test_a_study_answers_in_its_first_sentence_and_shows_it(study, tmp_path):
    results = all_results(study, 6)
    _, heading, answer, figure, question, *rest = report(results, [])
    assert heading.text == "Repeated masks"
    assert answer.mark.startswith("Compared to new masks in each epoch, a mask that is seen 4 times costs 0.2")
    assert "one that is seen 40 times costs 1.0" in answer.mark
    assert answer.mark.endswith("; 99.5 % intervals, 6 pairs of runs from 6 bases.")
    assert "no difference in MLM loss is found" in answer.text
    assert answer.text.endswith("This is look 1 of 2; the next is at 12 pairs.")
    assert question.text.endswith("Registered on 2026-11-29, before its first run.")
    figure.draw(tmp_path / figure.file)
    assert (tmp_path / "repeated_masks.png").stat().st_size > 10_000
    primary, secondary, passes, *_ = (block for block in rest if isinstance(block, Table))
    assert [row[0] for row in primary.rows] == [
        "dynamic minus static10",
        "anneal minus constant_mean",
        "dynamic minus static",
    ]
    assert [row[1] for row in primary.rows] == ["better", "no difference found", "better"]
    assert {row[1] for row in secondary.rows} <= {"better", "worse", "not known", "equivalent (within ± 1 point)"}
    assert [row[0] for row in passes.rows][:2] == ["1 (other masks: dynamic_again)", "2 (static20)"]
    assert "Exploratory comparisons" not in [getattr(block, "text", "") for block in rest], "its runs are there once"


def test_a_study_shows_no_number_before_its_first_look(study):
    results = all_results(study, 6)[:-1]
    blocks = report(results, [])
    (said,) = (block for block in blocks if getattr(block, "mark", "") == "Not known yet.")
    assert said.text.startswith("59 of 114 runs are finished; the first look is at 6 pairs.")
    assert not [block for block in blocks if isinstance(block, Figure) or (isinstance(block, Table) and block.title)]


def test_the_last_look_says_what_was_decided_before(study):
    (answer,) = (
        block for block in report(all_results(study), []) if "seen 4 times" in (getattr(block, "mark", 0) or "")
    )
    assert answer.mark.endswith("; 95.2 % intervals, 12 pairs of runs from 6 bases.")
    assert answer.text.endswith("This is the last look.")
    primary = next(block for block in report(all_results(study), []) if isinstance(block, Table))
    assert [row[1] for row in primary.rows][::2] == ["better (decided at 6 pairs)"] * 2


def test_a_cost_that_was_not_found_is_not_called_one(study):
    results = all_results(study, 6, noise=1.0)
    _, _, answer, *_ = report(results, [])
    assert "4 times has no cost that was found (" in answer.mark


def test_runs_of_an_unknown_study_are_named():
    results = [make_result("dynamic", 0, study="mine")]
    assert report(results, [])[1] == Paragraph(
        "'mine' has 1 runs and no file in benchmarks/ner/studies, by which it is judged. Add that file.",
        mark="Unknown study:",
    )


def test_arms_that_were_not_fine_tuned_are_reported(tmp_path):
    none = dict.fromkeys(("dev_f1", "test_f1", "test_accuracy"))
    results = [make_result(arm, seed, quality=none) for arm in ("static", "dynamic") for seed in range(3)]
    for block in report(results, []):
        if isinstance(block, Figure):
            block.draw(tmp_path / block.file)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("f1")]
    assert rows(results)["static"][1:3] == ("-", "-")


@pytest.mark.parametrize(
    ("results", "output_dir", "lines", "message"),
    [
        ("results", "file", ["importing matplotlib and scipy ..."], "output_dir must be a writable folder"),
        ("nowhere", "report", [], "`directory` must be a folder of results"),
    ],
)
def test_a_folder_that_is_none_is_named_on_one_line(tmp_path, monkeypatch, capsys, results, output_dir, lines, message):
    stored(tmp_path / "results", RESULTS[:1])
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / results), "--output_dir", str(tmp_path / output_dir)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    *begun, error = said.err.splitlines()
    assert [line.removeprefix("python -m benchmarks.ner.report: ") for line in begun] == lines
    assert error.startswith(f"python -m benchmarks.ner.report: error: {message}")


def test_the_tables_fit_eighty_columns_uncut(compared):
    text = printed(report(compared, []))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "81.00 ± 1.41" in printed(quality_tables(RESULTS))


# -- Names ------------------------------------------------------------------------------------------------------------

NAME = "[red]a|b\x1b[2J:smile:<script>alert(1)</script>$x$_y_ [l](javascript:x) \u4e2d"


def test_names_are_printed_as_they_are_and_steer_nothing(tmp_path):
    results = [make_result(NAME, seed, dataset={"name": NAME}, reason=NAME) for seed in range(2)]
    results += [make_result("dynamic", seed, dataset={"name": NAME}) for seed in range(2)]
    results += [make_result(NAME, 0, status="failed", reason=NAME)]
    shown = NAME.replace("\x1b", r"\x1b")
    blocks = report(results, [(Path(NAME), NAME)])
    assert shown in printed(blocks, width=400)
    for block in blocks:
        if isinstance(block, Figure):
            block.draw(tmp_path / block.file)
    parsed = Links(to_html("names", markdown(blocks), tmp_path))
    assert not {"script", "em"} & parsed.elements
    assert not any(link.startswith("javascript") for link in parsed.links)


def test_markdown_escapes_what_is_mark_up_and_leaves_words():
    assert markdown([Heading("constant_mean"), Paragraph("a|b *c* _d_", mark="1 < 2 & 3")]) == (
        "## constant_mean\n\n**1 &lt; 2 &amp; 3** a\\|b \\*c\\* \\_d\\_\n"
    )
    assert markdown([Table("", ("a", "b"), [("x", "1")])]) == "| a | b |\n| --- | ---: |\n| x | 1 |\n"


def test_options_in_prose_are_code_that_is_not_broken():
    text = "Raise (--mlm_epochs), --a_, not x--y."
    assert markdown([Paragraph(text), Table("", ("--a",), [("--b",)], note="See --c.")]) == (
        "Raise (`--mlm_epochs`), `--a`\\_, not x--y.\n\n| --a |\n| --- |\n| --b |\n\nSee `--c`.\n"
    )


@pytest.mark.parametrize(("seeds", "title"), [(2, ""), (3, ", p by Holm's method")])
def test_the_columns_of_comparisons_are_explained_with_and_without_numbers(seeds, title):
    runs = [make_result(arm, seed) for arm in ("static", "dynamic") for seed in range(seeds)]
    (table,) = [table for table in comparison_tables(comparisons(runs)) if "F1" in table.title]
    assert table.title == f"Exploratory comparisons in test F1{title}"
    assert "'80 % power for'" in table.note
