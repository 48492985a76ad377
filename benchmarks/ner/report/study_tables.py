"""The report of a registered study: its answer in one sentence, its picture, and its tables."""

from collections.abc import Iterator, Sequence

from benchmarks.ner.analysis.comparison import NO_DIFFERENCE
from benchmarks.ner.analysis.contrasts import Contrast
from benchmarks.ner.analysis.registered import Dose, Judgement, LookResult
from benchmarks.ner.data.display import printable
from benchmarks.ner.report.blocks import Block, Figure, Heading, Paragraph, RunLinks, Table
from benchmarks.ner.report.number_text import detectable_range, interval, number, p_text, percent
from benchmarks.ner.report.study_figure import draw_doses

COLUMNS = ("contrast", "verdict", "difference", "{confidence} interval", "p", "pairs", "80 % power for")
NOT_YET = "This report shows no number of a study before a look is complete."
METHOD = (
    "Intervals are those of the level of the look, for each contrast alone. The p-values of MLM loss are adjusted "
    "by Holm's method over the contrasts that no earlier look decided, and verdicts follow from them; those of "
    "test F1 are not adjusted. If there are pairs enough, a p-value is at least that of a sign-flip permutation "
    "test. The last column has the difference that a test at the strictest of these levels finds with a power of "
    "80 %, and its range, as the standard deviation is itself an estimate."
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
        yield Paragraph(METHOD, "Method:")
        yield from (Paragraph(printable(reason), "Left out:") for reason in last.left_out)
    yield from (Paragraph(printable(reason), "Not of this study:") for reason in judgement.runs.strangers)
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
    doses = sorted(_declared_doses(look), key=lambda dose: dose.passes)
    if not doses:
        return "No number of passes over a mask was declared."
    costs = " and one that is seen ".join(_cost(dose, look) for dose in doses)
    pairs = min(dose.contrast.pairs for dose in doses)
    confidence = f"{percent(1 - look.look.level)} intervals, {pairs} pairs of runs"
    return f"Compared to new masks in each epoch, a mask that is seen {costs} ({confidence})."


def answer_sentences(judgement: Judgement) -> str:
    """Returns the further answers of the last look: other contrasts, test F1, and which look it is."""
    last = judgement.looks[-1]
    repeats = {judgement.study.reference, *judgement.study.repeats}
    others = [_sentence(each) for each in last.primary if not set(each.arms) <= repeats]
    return " ".join([*others, _f1_sentence(last), _look_sentence(judgement)])


def _cost(dose: Dose, look: LookResult) -> str:
    """Returns what a number of passes costs, unless the declared contrast found no difference."""
    contrast = dose.contrast
    (verdict,) = {each.verdict for each in look.primary if set(each.arms) == set(contrast.arms)}
    numbers = f"{number(contrast.difference, '{:.2f}')} nat of MLM loss ({interval(contrast.low, contrast.high)})"
    if verdict == NO_DIFFERENCE:
        return f"{dose.passes:g} times has no cost that was found, {numbers},"
    return f"{dose.passes:g} times costs {numbers}"


def _declared_doses(look: LookResult) -> list[Dose]:
    """Returns the doses whose contrast with the reference was declared."""
    declared = {frozenset(each.arms) for each in look.primary}
    return [dose for dose in look.doses if frozenset(dose.contrast.arms) in declared]


def _sentence(contrast: Contrast) -> str:
    numbers = f"{number(contrast.difference, '{:+.3f}')} {contrast.outcome.unit}"
    numbers += f", {interval(contrast.low, contrast.high, 3)}"
    if contrast.verdict == NO_DIFFERENCE:
        return f"Between {contrast.first} and {contrast.second}, no difference is found ({numbers})."
    return f"{contrast.first} minus {contrast.second}: {contrast.verdict} ({numbers})."


def _f1_sentence(look: LookResult) -> str:
    parts = [
        f"{each.first} minus {each.second} {number(each.difference, '{:+.2f}')} "
        f"({interval(each.low, each.high)}), {each.verdict}"
        for each in look.secondary
    ]
    return f"In points of test F1: {'; '.join(parts)}."


def _look_sentence(judgement: Judgement) -> str:
    looks, done = judgement.study.looks, len(judgement.looks)
    if done == len(looks):
        return "This is the last look."
    return f"This is look {done} of {len(looks)}; the next is at {looks[done].pairs} pairs."


def _contrasts(title: str, contrasts: Sequence[Contrast], look: LookResult) -> Table:
    names = tuple(name.format(confidence=percent(1 - look.look.level)) for name in COLUMNS)
    return Table(f"{title}, {look.look.pairs} pairs, level {look.look.level:g}", names, list(map(_row, contrasts)))


def _row(contrast: Contrast) -> tuple[str, ...]:
    decimals = contrast.outcome.decimals
    return (
        printable(f"{contrast.first} minus {contrast.second}"),
        printable(contrast.verdict),
        number(contrast.difference, f"{{:+.{decimals}f}}"),
        interval(contrast.low, contrast.high, decimals),
        p_text(contrast.p_adjusted),
        str(contrast.pairs),
        detectable_range(contrast.detectable, decimals),
    )


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
