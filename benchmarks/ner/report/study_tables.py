"""The section of a registered study: its answer, what it asked, and the tables of its last complete look."""

from collections.abc import Iterator, Sequence

from benchmarks.ner.analysis.contrasts import Contrast
from benchmarks.ner.analysis.registered import Judgement, LookResult
from benchmarks.ner.data.display import printable
from benchmarks.ner.report.blocks import Block, Heading, Paragraph, RunLinks, Table
from benchmarks.ner.report.number_text import detectable_range, interval, number, p_text, percent
from benchmarks.ner.report.study_answer import chance_sentence, study_answer

COLUMNS = ("contrast", "verdict", "difference", "{confidence} interval", "p", "pairs", "80 % power for")
METHOD = (
    "Intervals are those of the level of the look, for each contrast alone. The p-values of MLM loss are adjusted "
    "by Holm's method over the contrasts that no earlier look decided, and verdicts follow from them; those of "
    "test F1 are not adjusted. If there are pairs enough, a p-value is at least that of a sign-flip permutation "
    "test. Equivalence follows from two one-sided tests at the level of the look, whose interval is narrower than the "
    "one shown. '80 % power for' is the size that a true difference needs for a t-test to find it in 80 % of such "
    "studies, at the level of the look, divided by the number of declared contrasts for MLM loss, with the range that "
    "the uncertain standard deviation allows."
)


def study_section(judgement: Judgement) -> Iterator[Block]:
    """Yields the answer of a study, what it asked, and the tables of its last complete look."""
    study = judgement.study
    yield Heading(study.title)
    yield from study_answer(judgement)
    yield Paragraph(f"{study.texts['question']} Registered on {study.registered}, before its first run.", "Question:")
    if judgement.looks:
        last = judgement.looks[-1]
        yield _contrasts("Declared contrasts in MLM loss (nat), p by Holm's method", last.primary, last)
        yield _contrasts("The same in test F1 (points), p not adjusted", last.secondary, last)
        yield _passes(judgement, last)
        yield Paragraph(printable(chance_sentence(last.control)), "Chance:")
        yield Paragraph(METHOD, "Method:")
        yield from (Paragraph(printable(reason), "Left out:") for reason in last.left_out)
    yield from (Paragraph(printable(reason), "Not of this study:") for reason in judgement.runs.strangers)
    yield Paragraph(f"{study.texts['exclusions']} Extension: {study.texts['extension']}", "Exclusions:")


def _contrasts(title: str, contrasts: Sequence[Contrast], look: LookResult) -> Table:
    names = tuple(name.format(confidence=percent(1 - look.look.level)) for name in COLUMNS)
    return Table(f"{title}, {look.look.pairs} pairs, level {look.look.level:g}", names, list(map(_row, contrasts)))


def _row(contrast: Contrast) -> tuple[str, ...]:
    decimals = contrast.outcome.decimals
    return (
        printable(f"{contrast.first} minus {contrast.second}"),
        _verdict(contrast),
        number(contrast.difference, f"{{:+.{decimals}f}}"),
        interval(contrast.low, contrast.high, decimals),
        p_text(contrast.p_adjusted),
        str(contrast.pairs),
        detectable_range(contrast.detectable, decimals),
    )


def _verdict(contrast: Contrast) -> str:
    decided = "" if contrast.decided_at is None else f" (decided at {contrast.decided_at} pairs)"
    return printable(contrast.verdict + decided)


def _passes(judgement: Judgement, look: LookResult) -> Table:
    """Builds the table of the loss by passes over each mask, which is exploratory except for declared contrasts."""
    control = look.control
    named = [
        (f"1 (other masks: {control.first})", control),
        *((f"{each.passes:g} ({each.arm})", each.contrast) for each in sorted(look.doses, key=lambda one: one.passes)),
    ]
    rows: list[tuple[str | RunLinks, ...]] = [
        (name, number(each.difference, "{:+.3f}"), interval(each.low, each.high, 3), str(each.pairs))
        for name, each in named
    ]
    title = f"MLM loss (nat) by passes over each mask, minus that of {judgement.study.reference}; not adjusted"
    return Table(title, ("passes", "difference", f"{percent(1 - look.look.level)} interval", "pairs"), rows)
