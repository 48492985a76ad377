"""The sentence on the differences of the reference from other arms, in one outcome."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from benchmarks.ner.analysis.outcomes import Outcome
from benchmarks.ner.report.differences import Difference
from benchmarks.ner.report.number_text import interval

SAME = 1e-9
FOUND = "the {outcome} of {reference} is {others}"
UNCERTAIN = "once adjusted, a difference in {outcome} is not certain between {reference} and {others}"
NONE = "no difference in {outcome} was found between {reference} and {others}"


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
    """Returns which differences are found, which are uncertain, and which are not found."""
    kinds = {form: [each for each in told if _form(each) == form] for form in (FOUND, UNCERTAIN, NONE)}
    return "; ".join(
        form.format(
            outcome=outcome.name,
            reference=words(members[0].reference),
            others=listed([_other(outcome, each, words) for each in members], "and" if form == FOUND else "or"),
        )
        for form, members in kinds.items()
        if members
    )


def listed(parts: Sequence[str], last: str) -> str:
    """Returns "a", "a and b", or "a, b and c" if the `last` two are joined by "and"."""
    return f" {last} ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _form(each: Difference) -> str:
    if each.is_found:
        return FOUND
    return NONE if each.low is None or each.high is None or each.low <= 0 <= each.high else UNCERTAIN


def _other(outcome: Outcome, each: Difference, words: Words) -> str:
    if not each.is_found:
        return words(each.other, f"{_number(outcome, each, '+')}, {_interval(outcome, each)}")
    if abs(each.difference) < SAME:
        return f"the same as that of {words(each.other)}"
    distance = _positive(each)
    reach = "" if each.low is None else f" ({_interval(outcome, distance)})"
    side = "above" if each.difference > 0 else "below"
    return f"{_number(outcome, distance)}{reach} {side} that of {words(each.other)}"


def _positive(each: Difference) -> Difference:
    if each.difference > 0 or each.low is None or each.high is None:
        return each._replace(difference=abs(each.difference))
    return each._replace(difference=-each.difference, low=-each.high, high=-each.low)


def _number(outcome: Outcome, each: Difference, sign: str = "") -> str:
    return f"{each.difference:{sign}.{outcome.decimals}f} {outcome.unit}"


def _interval(outcome: Outcome, each: Difference) -> str:
    return interval(each.low, each.high, outcome.decimals)
