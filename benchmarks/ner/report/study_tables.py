"""The report of a registered study: its answer in one sentence, its picture, and its tables."""

from collections.abc import Iterator, Sequence

from benchmarks.ner.analysis.comparison import NO_DIFFERENCE
from benchmarks.ner.analysis.registered import Contrast, Dose, Judgement, LookResult, decided_at
from benchmarks.ner.data.display import printable
from benchmarks.ner.report.blocks import Block, Figure, Heading, Paragraph, RunLinks, Table
from benchmarks.ner.report.number_text import detectable_range, interval, p_text, percent
from benchmarks.ner.report.study_figure import draw_doses

COLUMNS = ("contrast", "verdict", "difference", "{confidence} interval", "p", "pairs", "80 % power for")
NOT_YET = "No number of a study is shown before a look is complete."


def study_section(judgement: Judgement) -> Iterator[Block]:
    """Yields the answer of a study, what it asked, and the tables of its last complete look."""
    study = judgement.study
    yield Heading(study.title)
    yield from study_answer(judgement)
    yield Paragraph(f"{study.texts['question']} Registered on {study.registered}, before its first run.", "Question:")
    if judgement.looks:
        last = judgement.looks[-1]
        yield _contrasts("Declared contrasts in MLM loss (nat), p by Holm's method", last.primary, last)
        yield _contrasts("The same in test F1 (points)", last.secondary, last)
        yield _passes(judgement, last)
        for reason in last.left_out:
            yield Paragraph(printable(reason), "Left out:")
    yield Paragraph(f"{study.texts['exclusions']} Extension: {study.texts['extension']}", "Exclusions:")


def study_answer(judgement: Judgement) -> Iterator[Block]:
    """Yields the sentences that a reader should remember, and the picture that shows them."""
    study, runs = judgement.study, judgement.runs
    if not judgement.looks:
        yield Paragraph(
            f"{runs.finished} of {runs.planned} runs are finished; the first look is at {study.looks[0].pairs} pairs. "
            f"{NOT_YET}",
            "Not known yet.",
        )
        return
    last = judgement.looks[-1]
    yield Paragraph(answer_sentences(judgement), mark=cost_sentence(judgement))
    about = f"Loss by passes over a mask, {study.name}"
    yield Figure(f"{study.name}.png", about, lambda path: draw_doses(last, path))


def cost_sentence(judgement: Judgement) -> str:
    """Returns what the declared numbers of passes cost at the last look."""
    look = judgement.looks[-1]
    costs = [
        f"{dose.passes:g} times costs {dose.contrast.estimate.difference:.2f} nat of MLM loss "
        f"({interval(dose.contrast.low, dose.contrast.high)})"
        for dose in sorted(_declared_doses(look), key=lambda dose: dose.passes)
    ]
    confidence = f"{percent(1 - look.look.level)} intervals, {look.look.pairs} pairs of runs"
    cost = " and one that is seen ".join(costs)
    return f"Compared to new masks in each epoch, a mask that is seen {cost} ({confidence})."


def answer_sentences(judgement: Judgement) -> str:
    """Returns the further answers of the last look: other contrasts, test F1, and which look it is."""
    last = judgement.looks[-1]
    return f"{_rate_sentence(judgement, last)} {_f1_sentence(last)} {_look_sentence(judgement)}"


def _declared_doses(look: LookResult) -> list[Dose]:
    """Returns the doses whose contrast with the reference was declared."""
    declared = {frozenset((each.first, each.second)) for each in look.primary}
    return [dose for dose in look.doses if {dose.arm, dose.contrast.second} in declared]


def _rate_sentence(judgement: Judgement, look: LookResult) -> str:
    """Returns a sentence for each declared contrast that is not one of repeated masks."""
    repeats = {judgement.study.reference, *judgement.study.repeats}
    others = [each for each in look.primary if not {each.first, each.second} <= repeats]
    return " ".join(_sentence(each) for each in others)


def _sentence(contrast: Contrast) -> str:
    numbers = f"{contrast.estimate.difference:+.3f} {contrast.outcome.unit}, {interval(contrast.low, contrast.high, 3)}"
    if contrast.verdict == NO_DIFFERENCE:
        return f"Between {contrast.first} and {contrast.second}, no difference is found ({numbers})."
    return f"{contrast.first} is {contrast.verdict} than {contrast.second} ({numbers})."


def _f1_sentence(look: LookResult) -> str:
    parts = [
        f"{each.first} minus {each.second} {each.estimate.difference:+.2f} ({interval(each.low, each.high)}), "
        f"{each.verdict}"
        for each in look.secondary
    ]
    return f"In points of test F1: {'; '.join(parts)}."


def _look_sentence(judgement: Judgement) -> str:
    study, last = judgement.study, judgement.looks[-1]
    number = len(judgement.looks)
    if number < len(study.looks):
        return f"This is look {number} of {len(study.looks)}; the next is at {study.looks[number].pairs} pairs."
    earlier = [
        f"{each.first} against {each.second} at {look.pairs} pairs"
        for each in last.primary
        if (look := decided_at(judgement, each.first, each.second)) is not None and look is not last.look
    ]
    return f"This is the last look. Decided before: {'; '.join(earlier) or 'nothing'}."


def _contrasts(title: str, contrasts: Sequence[Contrast], look: LookResult) -> Table:
    names = tuple(name.format(confidence=percent(1 - look.look.level)) for name in COLUMNS)
    return Table(f"{title}, {look.look.pairs} pairs, level {look.look.level:g}", names, list(map(_row, contrasts)))


def _row(contrast: Contrast) -> tuple[str, ...]:
    decimals = contrast.outcome.decimals
    return (
        printable(f"{contrast.first} minus {contrast.second}"),
        printable(contrast.verdict),
        f"{contrast.estimate.difference:+.{decimals}f}",
        interval(contrast.low, contrast.high, decimals),
        p_text(contrast.p_adjusted),
        str(contrast.pairs),
        detectable_range(contrast.detectable, decimals),
    )


def _passes(judgement: Judgement, look: LookResult) -> Table:
    """Builds the table of the loss by passes over each mask, which is exploratory but for the declared contrasts."""
    control = look.control
    rows: list[tuple[str | RunLinks, ...]] = [
        (
            f"1 (other masks: {control.first})",
            f"{control.estimate.difference:+.3f}",
            interval(control.low, control.high, 3),
            f"{control.pairs}",
        ),
        *(
            (
                f"{dose.passes:g} ({dose.arm})",
                f"{dose.contrast.estimate.difference:+.3f}",
                interval(dose.contrast.low, dose.contrast.high, 3),
                f"{dose.contrast.pairs}",
            )
            for dose in sorted(look.doses, key=lambda dose: dose.passes)
        ),
    ]
    title = f"MLM loss (nat) by passes over each mask, minus that of {judgement.study.reference}; not adjusted"
    return Table(title, ("passes", "difference", f"{percent(1 - look.look.level)} interval", "pairs"), rows)
