"""What a report says of runs that cannot be compared: of a single arm, of arms without a common seed, failed ones."""

from collections.abc import Iterator, Sequence

from benchmarks.ner.analysis.comparison import incomparable_reason
from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.blocks import Paragraph
from benchmarks.ner.report.quality_tables import ArmRuns, by_arm, mean_loss, percentages, with_deviation

ADVICE = "To compare, run two arms or more with the same seeds, such as --arms static dynamic --seeds 0 1 2."


def uncompared(label: str, launches: Sequence[Sequence[Result]]) -> Iterator[Paragraph]:
    """Yields why the runs of a task are not compared, and the scores of an arm that is alone.

    Nothing is said of runs that all failed.

    Args:
        launches: the runs of each launch.
    """
    successful = [[run for run in runs if run["status"] == "ok"] for runs in launches]
    if not any(successful):
        return
    arms = by_arm([run for runs in successful for run in runs])
    alone = f"{label}: one arm, {arms[0].label}, so nothing can be compared."
    if reasons := list(filter(None, map(incomparable_reason, successful))):
        yield Paragraph(printable(f"{reasons[0]}."), f"{label}: these arms cannot be compared.")
    elif len(arms) > 1:
        yield Paragraph(ADVICE, f"{label}: no two arms share a seed, so nothing can be compared.")
    elif len(launches) > 1:
        yield Paragraph("Its launches are compared under 'Speed'.", alone)
    else:
        yield Paragraph(f"{_scores(arms[0])} {ADVICE}", alone)


def _scores(arm: ArmRuns) -> str:
    f1, loss = percentages(arm.successful, "test_f1"), mean_loss(arm.successful)
    seeds = f"{len(arm.successful)} seed{'s' if len(arm.successful) > 1 else ''}"
    scores = [f"a test F1 of {with_deviation(f1)} %" if f1 else "", f"an MLM loss of {loss:.3f} nat" if loss else ""]
    return f"It has {' and '.join(filter(None, scores))} ({seeds})."
