"""Tables of quality: F1 over seeds, and exploratory comparisons."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from statistics import fmean
from typing import NamedTuple

from benchmarks.ner.analysis.comparison import Comparison
from benchmarks.ner.analysis.seed_summary import spread
from benchmarks.ner.data.display import printable
from benchmarks.ner.experiments.result import Result, canonical_json, file_name
from benchmarks.ner.report.blocks import Paragraph, RunLinks, Table
from benchmarks.ner.report.labels import disambiguate, rank
from benchmarks.ner.report.number_text import detectable_range, interval, number, p_text, percent
from benchmarks.ner.training.models import TINY

HEADINGS = ("arm", "seeds", "dev F1", "test F1", "interval", "accuracy", "MLM loss")
COMPARED = ("difference", "pairs", "{unit}", "95 % interval", "p", "80 % power for", "verdict")
NOTE = (
    "F1 counts whole entities (strict IOB2, micro-averaged, by seqeval), in percent. ± is the standard deviation "
    "over seeds; the interval is the 95 % confidence interval of the mean test F1 over three seeds or more. Accuracy "
    "is the share of correct tags. MLM loss is that of the validation text with 15 % of its tokens masked, in "
    "nat, over one mask of each example or the mean of several (--mlm_evaluation_masks): lower is better."
)
COMPARED_NOTE = (
    "A row is the first arm minus the second, over pairs of runs with the same seed. The first is better if its MLM "
    "loss is lower, or its F1 higher. "
)
JUDGED_NOTE = (
    "The interval is for this row alone. p and the verdict are adjusted for all rows of the table by Holm's method. "
    "'80 % power for' is the size that a true difference needs for this test to find it in 80 % of such experiments, "
    "with the range that the uncertain standard deviation allows."
)
NOT_JUDGED_NOTE = (
    "'-' is in place of what needs three seeds or more and differences that are not all the same: the interval, p, and "
    "the size that a true difference needs for this test to find it in 80 % of such experiments, '80 % power for'."
)
BY_HOLM = ", p by Holm's method"
NO_ENTITIES = "No run found an entity of the test split."
FROM_SCRATCH = "A tiny model learns slowly: increase --ner_epochs, or pass a pre-trained --model."
PRETRAINED = (
    "With a pre-trained model, the likely causes are columns that are not words and tags (see --word_column and "
    "--tag_column), too few --ner_epochs, or an unsuitable --ner_learning_rate; 5e-5 is usual."
)


class ArmRuns(NamedTuple):
    """The runs of one arm with one setting, under the same conditions."""

    label: str
    successful: list[Result]  # sorted by seed
    runs: list[Result]  # including failed ones


def by_arm(results: Iterable[Result]) -> list[ArmRuns]:
    """Groups runs by arm, in the order of the comparison; labels include the settings of arms with the same name."""
    ordered = sorted(results, key=lambda result: (*rank(result["arm"]["name"]), canonical_json(result["arm"])))
    members = [list(runs) for _, runs in groupby(ordered, key=lambda result: canonical_json(result["arm"]))]
    labels = disambiguate([printable(runs[0]["arm"]["name"]) for runs in members], [runs[0]["arm"] for runs in members])
    return [ArmRuns(label, _successful(runs), runs) for label, runs in zip(labels, members, strict=True)]


def _successful(runs: Iterable[Result]) -> list[Result]:
    return sorted((run for run in runs if run["status"] == "ok"), key=lambda run: run["seed"])


def runs_cell(
    successful: Sequence[Result], asked: int, label: Callable[[Result], str] = lambda run: f"{run['seed']}"
) -> RunLinks:
    """Returns the cell with the number of successful runs and a link to each, labeled by its seed."""
    text = str(len(successful)) if len(successful) == asked else f"{len(successful)} of {asked}"
    return RunLinks(text, tuple((printable(label(run)), file_name(run)) for run in successful))


def quality_table(title: str, results: Iterable[Result]) -> Table:
    """Builds a table of F1 in percent, mean and standard deviation over seeds, under the same conditions."""
    arms = by_arm(results)
    return Table(title, HEADINGS, list(map(_row, arms)), note=NOTE if any(arm.successful for arm in arms) else "")


def no_entities(results: Sequence[Result]) -> Iterator[Paragraph]:
    """Yields advice if every successful run has an F1 of 0."""
    if found_no_entity(results):
        is_tiny = all(run["model"]["name"] == TINY for run in results)
        yield Paragraph(FROM_SCRATCH if is_tiny else PRETRAINED, mark=NO_ENTITIES)


def found_no_entity(results: Iterable[Result]) -> bool:
    scores = percentages((run for run in results if run["status"] == "ok"), "test_f1")
    return bool(scores) and not any(scores)


def _row(arm: ArmRuns) -> tuple[str | RunLinks, ...]:
    dev, test = (percentages(arm.successful, name) for name in ("dev_f1", "test_f1"))
    return (
        arm.label,
        runs_cell(arm.successful, len(arm.runs)),
        with_deviation(dev),
        with_deviation(test),
        interval(*spread(test)[2:], decimals=1) if test else "-",
        number(_mean(run["quality"].get("test_accuracy") for run in arm.successful), partial(percent, decimals=1)),
        number(mean_loss(arm.successful), "{:.3f}"),
    )


def percentages(runs: Iterable[Result], name: str) -> list[float]:
    """Returns a score of each run that was fine-tuned, in percent."""
    return [100 * run["quality"][name] for run in runs if run["quality"][name] is not None]


def with_deviation(values: list[float], form: str = "{:.2f}") -> str:
    if not values:
        return "-"
    mean, deviation, *_ = spread(values)
    return form.format(mean) + ("" if deviation is None else f" ± {form.format(deviation)}")


def mean_loss(runs: Iterable[Result]) -> float | None:
    return _mean(run["mlm"]["eval_loss"] for run in runs)


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return fmean(there) if there else None


def comparison_tables(found: Iterable[Comparison]) -> Iterator[Table]:
    """Builds a table of the exploratory comparisons of arms in each outcome, under the same conditions."""
    for outcome, members in groupby(found, key=lambda comparison: comparison.outcome):
        headings = tuple(heading.format(unit=outcome.unit) for heading in COMPARED)
        rows = list(map(_compared, compared := list(members)))
        judged = any(comparison.p is not None for comparison in compared)
        title = f"Exploratory comparisons in {outcome.name}{BY_HOLM if judged else ''}"
        yield Table(title, headings, rows, note=COMPARED_NOTE + (JUDGED_NOTE if judged else NOT_JUDGED_NOTE))


def _compared(comparison: Comparison) -> tuple[str, ...]:
    decimals = comparison.outcome.decimals
    return (
        printable(f"{comparison.first} minus {comparison.second}"),
        str(len(comparison.seeds)),
        f"{comparison.difference:+.{decimals}f}",
        interval(comparison.low, comparison.high, decimals),
        p_text(comparison.p_adjusted),
        detectable_range(comparison.detectable, decimals),
        printable(comparison.verdict),
    )
