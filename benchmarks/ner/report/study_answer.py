"""The answer of a registered study: the sentences that a reader should remember, and the picture that shows them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.ner.analysis.comparison import NO_DIFFERENCE
from benchmarks.ner.analysis.contrasts import NOT_KNOWN, Contrast
from benchmarks.ner.analysis.registered import Dose, Judgement, LookResult
from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.harness_arguments import dataset_name
from benchmarks.ner.experiments.study import Study
from benchmarks.ner.report.arm_words import arm_words
from benchmarks.ner.report.blocks import Block, Figure, Paragraph
from benchmarks.ner.report.finding_text import Words, first_mention, listed
from benchmarks.ner.report.number_text import counted, interval, percent
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
    yield Paragraph(answer_sentences(judgement), mark=cost_sentence(last))
    about = f"Loss by passes over a mask, {study.name}"
    yield Figure(f"{study.name}.png", about, lambda path: draw_doses(last, path))


def cost_sentence(look: LookResult) -> str:
    """Returns what the declared numbers of passes cost at a look."""
    declared = {frozenset(each.arms): each for each in look.primary}
    doses = [dose for dose in look.doses if frozenset(dose.contrast.arms) in declared]
    if not doses:
        return "No number of passes over a mask was declared."
    doses.sort(key=lambda dose: dose.passes)
    costs = ", and one that is seen ".join(_cost(dose, declared[frozenset(dose.contrast.arms)]) for dose in doses)
    return f"Compared to new masks in each epoch, a mask that is seen {costs}{_confidence(look, doses)}."


def answer_sentences(judgement: Judgement) -> str:
    """Returns what was trained and the further answers of the last look: other contrasts, test F1, and which it is."""
    last = judgement.looks[-1]
    words = first_mention({run["arm"]["name"]: printable(arm_words(run)) for run in judgement.runs.by_cell.values()})
    repeats = {judgement.study.reference, *judgement.study.repeats}
    others = [_sentence(each, words) for each in last.primary if not set(each.arms) <= repeats]
    return " ".join([_setting(judgement.study), *others, *_f1_sentences(last, words), _look_sentence(judgement)])


def chance_sentence(control: Contrast) -> str:
    """Returns what arms differ by that differ in their masks alone."""
    arms = f"{control.first} minus {control.second}, which differ in nothing but the seed of their masks"
    numbers = "" if control.difference is None else f" ({_size(control)}, {_interval(control)})"
    return f"{arms}: {control.verdict}{numbers}."


def _cost(dose: Dose, declared: Contrast) -> str:
    """Returns what a number of passes costs, as far as the declared contrast found it."""
    contrast, times = dose.contrast, f"{dose.passes:g} times"
    if contrast.difference is None or contrast.low is None or contrast.high is None:
        return f"{times} {contrast.verdict}"
    loss, decided = f"nat of {contrast.outcome.name}", _decided(declared)
    if declared.verdict == NO_DIFFERENCE:
        is_uncertain = not contrast.low <= 0 <= contrast.high
        found = "a cost that is not certain once adjusted" if is_uncertain else "no cost that was found"
        return f"{times} has {found} ({contrast.difference:+.3f} {loss}, {_interval(contrast)})"
    if declared.verdict.startswith("worse" if declared.arms == contrast.arms else "better"):
        return f"{times} costs {contrast.difference:.3f} {loss} ({_interval(contrast)}{decided})"
    gain = interval(-contrast.high, -contrast.low, contrast.outcome.decimals)
    return f"{times} gains {-contrast.difference:.3f} {loss} ({gain}{decided})"


def _confidence(look: LookResult, doses: Sequence[Dose]) -> str:
    judged = [dose.contrast for dose in doses if dose.contrast.estimate is not None]
    if not judged:
        return ""
    pairs = counted(min(each.pairs for each in judged), "pair")
    bases = counted(min(each.estimate.units for each in judged if each.estimate is not None), "base")
    return f"; {percent(1 - look.look.level)} intervals, {pairs} of runs from {bases}"


def _setting(study: Study) -> str:
    """Returns what was trained, and for how long."""
    arguments = study.grid.cells[-1].arguments
    text = " and ".join(Path(file).name for file in arguments.mlm_train_file)
    return printable(
        f"Each of {study.bases} pre-trained bases ({Path(arguments.model).name}) is trained further by each arm, for "
        f"{study.mlm_epochs:g} epochs of {text} of {dataset_name(arguments)}."
    )


def _sentence(contrast: Contrast, words: Words) -> str:
    outcome, first, second = contrast.outcome.name, words(contrast.first), words(contrast.second)
    if contrast.difference is None:
        return f"In {outcome}, {first} minus {second} {contrast.verdict}."
    numbers = f"{_size(contrast)}, {_interval(contrast)}{_decided(contrast)}"
    if contrast.verdict == NO_DIFFERENCE:
        return f"Between {first} and {second}, no difference in {outcome} is found ({numbers})."
    return f"In {outcome}, {first} is {contrast.verdict} than {second} ({numbers})."


def _f1_sentences(look: LookResult, words: Words) -> Iterator[str]:
    """Yields what is known of the secondary contrasts, what is not known, and that they are not adjusted."""
    judged = [_judged_f1(each, words) for each in look.secondary if each.verdict != NOT_KNOWN]
    if judged:
        yield f"In test F1, {'; '.join(judged)}."
    unknown = [each for each in look.secondary if each.verdict == NOT_KNOWN]
    if unknown:
        yield f"Not known is whether, in test F1, {listed(_unknown_f1(unknown, words), 'or')}."
    yield f"Verdicts on F1 are secondary, and not adjusted for {counted(len(look.secondary), 'contrast')}."


def _judged_f1(contrast: Contrast, words: Words) -> str:
    arms = f"{words(contrast.first)} minus {words(contrast.second)}"
    if contrast.difference is None:
        return f"{arms} {contrast.verdict}"
    return f"{arms} is {_size(contrast)} ({_interval(contrast)}), {contrast.verdict}"


def _unknown_f1(contrasts: Sequence[Contrast], words: Words) -> list[str]:
    """Returns what each first arm may differ from."""
    by_first = {each.first: [other for other in contrasts if other.first == each.first] for each in contrasts}
    return [f"{words(first)} differs from {_others(found, words)}" for first, found in by_first.items()]


def _others(contrasts: Sequence[Contrast], words: Words) -> str:
    return listed([words(each.second, f"{_size(each)}, {_interval(each)}") for each in contrasts], "or")


def _size(contrast: Contrast) -> str:
    return f"{contrast.difference:+.{contrast.outcome.decimals}f} {contrast.outcome.unit}"


def _interval(contrast: Contrast) -> str:
    return interval(contrast.low, contrast.high, contrast.outcome.decimals)


def _decided(contrast: Contrast) -> str:
    return "" if contrast.decided_at is None else f"; decided at {counted(contrast.decided_at, 'pair')}"


def _look_sentence(judgement: Judgement) -> str:
    looks, done = judgement.study.looks, len(judgement.looks)
    if done == len(looks):
        return "This is the last look."
    return f"This is look {done} of {len(looks)}; the next is at {looks[done].pairs} pairs."
