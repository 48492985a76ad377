"""The sentence on the differences of the reference from other arms, in one outcome."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Protocol

from benchmarks.ner.analysis.outcomes import Outcome
from benchmarks.ner.analysis.seed_summary import FEWEST_FOR_INTERVAL
from benchmarks.ner.report.differences import Difference
from benchmarks.ner.report.number_text import counted, interval

SAME = 1e-9
FOUND = "the {outcome} of {reference} is {others}"
UNCERTAIN = "once adjusted, a difference in {outcome} is not certain between {reference} and {others}"
NONE = "no difference in {outcome} was found between {reference} and {others}"
UNJUDGED = "with {seeds} and no verdict, the {outcome} of {reference} is {others}"
FORMS = (FOUND, UNCERTAIN, NONE, UNJUDGED)  # the weakest evidence last


class Words(Protocol):
    """Returns the name of an arm with, in parentheses, what it does and a number."""

    def __call__(self, name: str, value: str = "") -> str: ...


def first_mention(words: Mapping[str, str]) -> Words:
    """Returns a function that says what an arm does where it is named first, and not again."""
    left = dict(words)

    def named(name: str, value: str = "") -> str:
        added = "; ".join(filter(None, (left.pop(name, ""), value)))
        return f"{name} ({added})" if added else name

    return named


def outcome_text(outcome: Outcome, told: Sequence[Difference], words: Words) -> str:
    """Returns which differences are found, which are uncertain, which are not found, and which have no verdict."""
    kinds = groupby(sorted(told, key=_kind), key=_kind)
    return "; ".join(_sentence(outcome, list(members), words) for _, members in kinds)


def listed(parts: Sequence[str], last: str) -> str:
    """Returns "a", "a and b", or "a, b and c" if the `last` two are joined by "and"."""
    return f" {last} ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _kind(each: Difference) -> tuple[int, str]:
    """Returns what the differences of one sentence share: its form and, without a verdict, the seeds."""
    form = _form(each)
    return FORMS.index(form), _seeds(each) if form == UNJUDGED else ""


def _form(each: Difference) -> str:
    if each.low is None or each.high is None:
        return UNJUDGED
    if each.is_found:
        return FOUND
    return NONE if each.low <= 0 <= each.high else UNCERTAIN


def _seeds(each: Difference) -> str:
    """Returns the seeds of a difference without a verdict, which are too few or all have the same difference."""
    seeds = counted(len(each.seeds), "seed")
    return seeds if len(each.seeds) < FEWEST_FOR_INTERVAL else f"the same difference in each of {seeds}"


def _sentence(outcome: Outcome, members: Sequence[Difference], words: Words) -> str:
    """Returns the sentence on differences of one kind."""
    first, form = members[0], _form(members[0])
    other, last = (_side, "and") if form in (FOUND, UNJUDGED) else (_signed, "or")
    return form.format(
        seeds=_seeds(first),
        outcome=outcome.name,
        reference=words(first.reference),
        others=listed([other(outcome, each, words) for each in members], last),
    )


def _side(outcome: Outcome, each: Difference, words: Words) -> str:
    """Returns how far the reference is above or below another arm."""
    if abs(each.difference) < SAME:
        return f"the same as that of {words(each.other)}"
    distance = _positive(each)
    reach = "" if each.low is None else f" ({_interval(outcome, distance)})"
    side = "above" if each.difference > 0 else "below"
    return f"{_size(outcome, distance.difference)}{reach} {side} that of {words(each.other)}"


def _signed(outcome: Outcome, each: Difference, words: Words) -> str:
    number = f"{each.difference:+.{outcome.decimals}f} {outcome.unit}"
    return words(each.other, f"{number}, {_interval(outcome, each)}")


def _positive(each: Difference) -> Difference:
    if each.difference > 0 or each.low is None or each.high is None:
        return each._replace(difference=abs(each.difference))
    return each._replace(difference=-each.difference, low=-each.high, high=-each.low)


def _size(outcome: Outcome, distance: float) -> str:
    """Returns a distance that is not zero, in the decimals of the outcome."""
    text = f"{distance:.{outcome.decimals}f}"
    return f"{text if float(text) else f'less than {10**-outcome.decimals:g}'} {outcome.unit}"


def _interval(outcome: Outcome, each: Difference) -> str:
    return interval(each.low, each.high, outcome.decimals)
