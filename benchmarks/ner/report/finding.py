"""What was found about repeated masks so far, in two sentences, for the top of a README."""

from collections.abc import Sequence

from benchmarks.ner.analysis.comparison import Comparison, compare
from benchmarks.ner.analysis.outcomes import F1, LOSS
from benchmarks.ner.analysis.pairing import arms, groups, runs_by_seed
from benchmarks.ner.analysis.registered import Judgement
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.blocks import Paragraph
from benchmarks.ner.report.labels import task
from benchmarks.ner.report.number_text import interval
from benchmarks.ner.report.study_tables import answer_sentences, cost_sentence

NEW, REPEATED = "dynamic", "static10"


def finding(judgement: Judgement | None, others: Sequence[Result]) -> Paragraph:
    """Returns the answer of a registered study or, before its first look, that of exploratory runs of most seeds."""
    if judgement is not None and judgement.looks:
        return Paragraph(answer_sentences(judgement), mark=cost_sentence(judgement))
    members = max((runs for runs in groups(others) if {NEW, REPEATED} <= set(arms(runs))), key=_common_seeds)
    loss, f1 = (compare(members, REPEATED, NEW, outcome) for outcome in (LOSS, F1))
    run = next(run for run in members if run["arm"]["name"] == REPEATED)
    patterns = run["arm"]["num_mask_patterns"]
    passes = run["budget"]["mlm_epochs"] / patterns
    known = (
        f"Pre-training with {patterns} masks for each example, each seen {passes:g} times, ends {_numbers(loss)} nat "
        "of MLM loss above pre-training with new masks in each epoch."
    )
    unknown = (
        f"This is exploratory: {len(loss.seeds)} seeds, {task(run)}, 95 % intervals. Whether NER gets better is not "
        f"known: there, the difference in test F1 is {_numbers(f1)} points."
    )
    progress = "" if judgement is None else f" A registered study is under way: {_progress(judgement)}."
    return Paragraph(unknown + progress, mark=known)


def _common_seeds(runs: Sequence[Result]) -> int:
    return len(runs_by_seed(runs, NEW).keys() & runs_by_seed(runs, REPEATED).keys())


def _numbers(found: Comparison) -> str:
    decimals = found.outcome.decimals
    return f"{found.difference:.{decimals}f} ({interval(found.low, found.high, decimals)})"


def _progress(judgement: Judgement) -> str:
    return f"{judgement.runs.finished} of {judgement.runs.planned} runs are finished"
