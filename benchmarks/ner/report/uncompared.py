"""The sentences on runs that cannot be compared: those of one arm, and of arms without a common seed or outcome."""

from collections.abc import Iterator, Sequence

from benchmarks.ner.analysis.comparison import incomparable_reason
from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result
from benchmarks.ner.report.blocks import Paragraph
from benchmarks.ner.report.number_text import counted
from benchmarks.ner.report.quality_tables import ArmRuns, by_arm, mean_loss, percentages, with_deviation
from benchmarks.ner.report.speed_tables import STAGES, speeds

ADVICE = "To compare, run two arms or more with the same launch and seeds, such as --arms static dynamic --seeds 0 1 2."
NO_OUTCOME = (
    "A comparison in MLM loss needs two arms that were pre-trained. One in test F1 needs two arms that were fine-tuned "
    "(--fine_tunings 1 or more) and whose results count entities per sentence."
)


def uncompared(label: str, launches: Sequence[Sequence[Result]]) -> Iterator[Paragraph]:
    """Yields why the runs of a task are not compared, and the scores of an arm that is alone.

    It yields nothing for runs that all failed.

    Args:
        launches: the runs of each launch.
    """
    successful = list(filter(None, ([run for run in runs if run["status"] == "ok"] for runs in launches)))
    if not successful:
        return
    arms = by_arm([run for runs in successful for run in runs])
    if reasons := list(filter(None, map(incomparable_reason, successful))):
        yield Paragraph(printable(f"{reasons[0]}."), f"{label}: these arms cannot be compared.")
    elif len(arms) == 1:
        yield Paragraph(_alone(arms[0]), f"{label}: one arm, {arms[0].label}, so nothing can be compared.")
    elif any(map(_share_seed, successful)):
        yield Paragraph(NO_OUTCOME, f"{label}: no two arms share an outcome, so nothing can be compared.")
    else:
        where = " in one launch" if len(successful) > 1 else ""
        yield Paragraph(ADVICE, f"{label}: no two arms share a seed{where}, so nothing can be compared.")


def _share_seed(runs: Sequence[Result]) -> bool:
    """Whether two arms of a launch share a seed, as an arm has one run for each."""
    return len({run["seed"] for run in runs}) < len(runs)


def _alone(arm: ArmRuns) -> str:
    if any(len(speeds(arm.successful, stage)) > 1 for stage in STAGES):
        return "Its launches are compared under 'Speed'."
    return f"{_scores(arm)} {ADVICE}"


def _scores(arm: ArmRuns) -> str:
    f1, loss = percentages(arm.successful, "test_f1"), mean_loss(arm.successful)
    scores = [f"a test F1 of {with_deviation(f1)} %" if f1 else "", f"an MLM loss of {loss:.3f} nat" if loss else ""]
    return f"It has {' and '.join(filter(None, scores))} ({counted(len(arm.successful), 'run')})."
