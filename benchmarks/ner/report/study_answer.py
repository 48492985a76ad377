"""The answer of a registered study: the sentences that a reader should remember, and the picture that shows them."""

from collections.abc import Iterator

from benchmarks.ner.analysis.comparison import NO_DIFFERENCE
from benchmarks.ner.analysis.contrasts import Contrast
from benchmarks.ner.analysis.registered import Dose, Judgement, LookResult
from benchmarks.ner.report.blocks import Block, Figure, Paragraph
from benchmarks.ner.report.number_text import interval, number, percent
from benchmarks.ner.report.study_figure import draw_doses

NOT_YET = "This report shows no number of a study before a look is complete."


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
