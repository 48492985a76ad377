"""The sentence on the differences that the runs of a task show, for the top of a report."""

from collections.abc import Sequence

from benchmarks.ner.analysis.comparison import Comparison
from benchmarks.ner.analysis.outcomes import F1, Outcome
from benchmarks.ner.analysis.seed_summary import FEWEST_FOR_INTERVAL
from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.arm_words import arm_words, is_pretrained, is_repeated
from benchmarks.ner.report.blocks import Paragraph
from benchmarks.ner.report.differences import Difference, differences
from benchmarks.ner.report.finding_text import first_mention, listed, outcome_text
from benchmarks.ner.report.number_text import counted
from benchmarks.ner.report.quality_tables import found_no_entity

CHANCE = " A difference of fewer than three seeds has no interval and can be chance: run three or more, --seeds 0 1 2."
SAME = (
    " The results of {arms} are the same with every seed, for example because masks repeat only after "
    "the first epoch: raise --mlm_epochs."
)


def comparison_finding(
    label: str, runs: Sequence[Result], found: Sequence[Comparison], told: Sequence[Comparison] = ()
) -> Paragraph:
    """Returns how far the reference is from the arms that a reader asks about, in each outcome.

    Args:
        label: names the task.
        runs: successful runs under the same conditions.
        found: their comparisons, of which [`differences`] has at least one.
        told: those to mention; by default, all.
    """
    by_outcome = _asked(differences(runs, told or found), runs)
    words = first_mention({printable(run["arm"]["name"]): arm_words(run) for run in runs})
    if found_no_entity(runs):
        by_outcome.pop(F1, None)
    texts = [outcome_text(outcome, told, words) for outcome, told in by_outcome.items()]
    if found_no_entity(runs):
        texts.append("no run found an entity of the test split")
    stated = [each for told in by_outcome.values() for each in told]
    epochs = runs[0]["budget"]
    trained = f"Epochs: {epochs['mlm_epochs']:g} of pre-training + {epochs['ner_epochs']:g} of fine-tuning."
    return Paragraph(f"{_caveat(stated, found)}{trained}", mark=f"{label}: {'; '.join(texts)}.")


def _asked(by_outcome: dict[Outcome, list[Difference]], runs: Sequence[Result]) -> dict[Outcome, list[Difference]]:
    """Leaves out the arms that a reader asks about less.

    Those that stay are the arms whose masks repeat or, without such, all that are pre-trained or, without such, all.
    """
    arms = {printable(run["arm"]["name"]): run for run in runs}
    present = [arms[each.other] for told in by_outcome.values() for each in told]
    kept = next(kind for kind in (is_repeated, is_pretrained, bool) if any(map(kind, present)))
    asked = {outcome: [each for each in told if kept(arms[each.other])] for outcome, told in by_outcome.items()}
    return {outcome: told for outcome, told in asked.items() if told}


def _caveat(stated: Sequence[Difference], found: Sequence[Comparison]) -> str:
    """Returns how sure the stated differences are, followed by a space; "" if none is stated."""
    if not stated:
        return ""
    counts = [len(each.seeds) for each in stated]
    fewest = f"{min(counts)} to " if min(counts) < max(counts) else ""
    intervals = f", 95 % intervals{_adjusted(found)}" if any(each.low is not None for each in stated) else ""
    same = _same(stated)
    few = any(len(each.seeds) < FEWEST_FOR_INTERVAL for each in stated if each.other not in same)
    equal = SAME.format(arms=listed([stated[0].reference, *same], "and")) if same else ""
    return f"Exploratory: {fewest}{counted(max(counts), 'seed')}{intervals}.{equal}{CHANCE if few else ''} "


def _same(stated: Sequence[Difference]) -> list[str]:
    """Returns the arms that do not differ from the reference in any outcome, with any seed."""
    differ = {each.other for each in stated if any(each.by_seed)}
    return list(dict.fromkeys(each.other for each in stated if each.other not in differ))


def _adjusted(found: Sequence[Comparison]) -> str:
    family = max(sum(each.outcome == outcome for each in found) for outcome in {each.outcome for each in found})
    return f"; verdicts are adjusted for {family} comparisons of arms" if family > 1 else ""
