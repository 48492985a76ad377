"""What runs show, in one sentence for each task: for the top of a report, and of a README."""

from collections.abc import Sequence

from benchmarks.ner.analysis.comparison import Comparison, comparisons
from benchmarks.ner.analysis.outcomes import F1, Outcome
from benchmarks.ner.analysis.pairing import groups, runs_by_seed
from benchmarks.ner.analysis.registered import Judgement
from benchmarks.ner.analysis.seed_summary import FEWEST_FOR_INTERVAL
from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.arm_words import arm_words, is_pretrained, is_repeated
from benchmarks.ner.report.blocks import Paragraph
from benchmarks.ner.report.differences import REFERENCE, Difference, differences
from benchmarks.ner.report.finding_text import first_mention, outcome_text
from benchmarks.ner.report.labels import rank, task
from benchmarks.ner.report.quality_tables import found_no_entity
from benchmarks.ner.report.study_tables import answer_sentences, cost_sentence


def finding(judgement: Judgement | None, others: Sequence[Result]) -> Paragraph:
    """Returns the answer of a registered study or, before its first look, that of exploratory runs of most seeds."""
    if judgement is not None and judgement.looks:
        return Paragraph(answer_sentences(judgement), mark=cost_sentence(judgement))
    runs = max(groups(others), key=_repeated_seeds)
    shown = comparison_finding(task(runs[0]), runs, comparisons(runs))
    progress = "" if judgement is None else f" A registered study is under way: {_progress(judgement)}."
    return Paragraph(shown.text + progress, shown.mark)


def comparison_finding(label: str, runs: Sequence[Result], found: Sequence[Comparison]) -> Paragraph:
    """Returns how far the reference is from the arms that a reader asks about, in each outcome.

    Args:
        label: names the task.
        runs: successful runs under the same conditions.
        found: their comparisons, at least one.
    """
    by_outcome = _asked(differences(runs, found), runs)
    words = first_mention({printable(run["arm"]["name"]): arm_words(run) for run in runs})
    if found_no_entity(runs):
        by_outcome.pop(F1, None)
    texts = [outcome_text(outcome, told, words) for outcome, told in by_outcome.items()]
    if found_no_entity(runs):
        texts.append("no run found an entity of the test split")
    counts = {len(each.seeds) for told in by_outcome.values() for each in told}
    epochs = runs[0]["budget"]
    trained = f"{epochs['mlm_epochs']:g} epochs of pre-training, {epochs['ner_epochs']:g} of fine-tuning."
    return Paragraph(f"{_caveat(counts, found)} {trained}", mark=f"{label}: {'; '.join(texts)}.")


def _asked(by_outcome: dict[Outcome, list[Difference]], runs: Sequence[Result]) -> dict[Outcome, list[Difference]]:
    """Leaves out the arms that a reader asks about less.

    Those that stay are the arms whose masks repeat or, without such, all that are pre-trained or, without such, all.
    """
    arms = {printable(run["arm"]["name"]): run for run in runs}
    present = [arms[each.other] for told in by_outcome.values() for each in told]
    kept = next(kind for kind in (is_repeated, is_pretrained, bool) if any(map(kind, present)))
    return {outcome: [each for each in told if kept(arms[each.other])] for outcome, told in by_outcome.items()}


def _caveat(counts: set[int], found: Sequence[Comparison]) -> str:
    """Returns how sure this is, for the numbers of seeds of the differences."""
    seeds = " to ".join(str(count) for count in sorted({min(counts, default=0), max(counts, default=0)}))
    seeds += " seed" if seeds == "1" else " seeds"
    if max(counts, default=0) < FEWEST_FOR_INTERVAL:
        are = "is" if seeds == "1 seed" else "are"
        few = f"{seeds} {are} too few for an interval, so this can be chance."
        return f"Exploratory: {few} Run three or more: --seeds 0 1 2."
    family = max(sum(each.outcome == outcome for each in found) for outcome in {each.outcome for each in found})
    adjusted = f"; verdicts are adjusted for {family} comparisons of arms" if family > 1 else ""
    missing = ", from three seeds on" if min(counts) < FEWEST_FOR_INTERVAL else ""
    return f"Exploratory: {seeds}, 95 % intervals{missing}{adjusted}."


def _repeated_seeds(runs: Sequence[Result]) -> int:
    """Returns the most seeds that the reference shares with an arm whose masks repeat."""
    repeated = {run["arm"]["name"] for run in runs if is_repeated(run)}
    own = runs_by_seed(runs, REFERENCE).keys()
    return max((len(own & runs_by_seed(runs, name).keys()) for name in sorted(repeated, key=rank)), default=0)


def _progress(judgement: Judgement) -> str:
    return f"{judgement.runs.finished} of {judgement.runs.planned} runs are finished"
