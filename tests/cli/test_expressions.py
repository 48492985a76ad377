"""Rates, schedules and strategies as text, and the errors where text is none of them."""

from __future__ import annotations

import pytest

from hf_dynmask import uniform_rate
from hf_dynmask.cli.expressions import rate_from, schedule_from, strategy_from


@pytest.mark.parametrize(
    ("text", "progress", "rate"),
    [
        ("linear(0.3, 0.1)", 0.5, 0.2),
        ("linear_schedule(start=0.3, end=0.1)", 0.5, 0.2),
        ("polynomial(0.30, 0.10, power=2)", 0.5, 0.15),
        ("step([0.3, 0.15, 0.05], boundaries=[0.5, 0.9])", 0.6, 0.15),
        ("with_warmup(linear(0.30, 0.10), 0.2)", 0.6, 0.2),
        (" constant(0.15) ", 0.3, 0.15),
        ("0.25", 0.3, 0.25),
    ],
)
def test_schedules_as_text(text, progress, rate) -> None:
    assert schedule_from(text)(progress) == pytest.approx(rate)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "linear",
        "linear(0.3, 0.1).__class__",
        "linear(*[0.3, 0.1])",
        "linear(**{'start': 0.3, 'end': 0.1})",
        "[linear(0.3, 0.1)][0]",
        "'0.3'",
        "linear(0.3, 0.1",
        "linear(0.3, 0.1)\nlinear(0.3, 0.1)",
        "",
        "\0",
        "(" * 1_000,
        "-" * 10_000 + "1",
    ],
)
def test_text_that_is_no_schedule_is_refused_and_never_run(text) -> None:
    with pytest.raises(ValueError, match=r"`schedule` (must be|does not accept) "):
        schedule_from(text)


def test_a_strategy_of_lengths() -> None:
    assert strategy_from("span(fixed_lengths(3), unit='token')").name == "span"
    assert strategy_from("position('prefix')").name == "position:prefix"
    assert strategy_from("position").name == "position:block"
    assert strategy_from("span(fixed_lengths, unit=token)").name == "span"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("strategies.span(fixed_lengths(3))", "span"),
        ("strategies.span(strategies.fixed_lengths(3), unit=strategies.token())", "span"),
        ("hf_dynmask.strategies.whole_word", "whole_word"),
        ("strategies.mixture({'span': 1, 'token': 1})", "mixture(span 50 %, token 50 %)"),
    ],
)
def test_a_strategy_may_be_written_as_in_python(text, name) -> None:
    assert strategy_from(text).name == name


def test_rates_as_text() -> None:
    assert rate_from("0.3") == 0.3
    assert rate_from("uniform_rate(0.2, high=0.6)").mean == uniform_rate(0.2, 0.6).mean


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mixture({'span': 3, 'token': 1})", "mixture(span 75 %, token 25 %)"),
        ("mixture({span(fixed_lengths(3)): 1, 'whole_word': 1})", "mixture(span 50 %, whole_word 50 %)"),
        ("mixture([('span', 3), (position('prefix'), 1)])", "mixture(span 75 %, position:prefix 25 %)"),
        ("'whole_word'", "whole_word"),
    ],
)
def test_mixtures_and_quoted_names_are_strategies(text, name) -> None:
    assert strategy_from(text).name == name


@pytest.mark.parametrize(
    "text", ["entity", "adaptive", "weighted", "'entity'", "'adaptive'", "entity(0.5)", "mixture({'entity': 1})"]
)
def test_a_strategy_that_needs_more_than_text_is_refused(text) -> None:
    with pytest.raises(ValueError, match="`--strategy` must be a strategy that needs only text, but got ") as refused:
        strategy_from(text)
    assert f"but got {text!r}, which needs tags, a model or weights." in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("xyz", "there is no 'xyz', only token, whole_word, span, ngram, position and mixture."),
        ("block", "there is no 'block'. Did you mean `position('block')`?"),
        ("every_nth", "there is no 'every_nth'. Did you mean `position('every_nth')`?"),
        ("strategies.prefix()", "there is no 'prefix'. Did you mean `position('prefix')`?"),
        ("strategies.entity", "must be a strategy that needs only text, but got 'entity', which needs tags"),
        ("os.system(3)", "it is more than names, numbers, lists, mappings and words in quotes."),
        ("poisson_lengths(3)", "but got the lengths 'poisson_lengths(3)'. Pass `span(poisson_lengths(3))`."),
        ("fixed_lengths", "but got the lengths 'fixed_lengths'. Pass `span(fixed_lengths)`."),
        ("span(fixed_length(3))", "there is no 'fixed_length'. Did you mean 'fixed_lengths'?"),
        ("span(xyz(3))", "there is no 'xyz', only token, whole_word, span, ngram, position, mixture, fixed_lengths, "),
        ("3", "`mixture({'span': 3, 'token': 1})`, but got '3'. Pass one of token, "),
        ("[fixed_lengths(3)]", "but got '[fixed_lengths(3)]'. Pass one of token, whole_word, span, ngram, position"),
        ("span(poisson_lengths(30))", "`mean` must not exceed `max_length`, but got 30 and 20. Raise `max_length`."),
        ("mixture({'spam': 1})", "Did you mean 'span'?"),
        ("mixture({'adaptive': 1})", "`components` must not follow the losses of the model"),
        ("mixture({**{}})", "it is more than names, numbers, lists, mappings and words in quotes."),
        ("mixture({[1]: 1})", "unhashable type: 'list'."),
    ],
)
def test_text_that_is_no_strategy_is_refused(text, said) -> None:
    with pytest.raises(ValueError, match=r"^`--strategy` (must be|does not accept) ") as refused:
        strategy_from(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("linear(30, 15)", "linear(0.3, 0.15)"),
        ("linear(1, 15)", "linear(0.01, 0.15)"),
        ("polynomial(30, end=15, power=2)", "polynomial(0.3, end=0.15, power=2)"),
        ("with_warmup(step([30, 5], [0.5]), 0.1)", "step([0.3, 0.05], [0.5])"),
        ("with_warmup(30, 0.1)", "with_warmup(0.3, 0.1)"),
        ("phase([(30, 1), (15, 1)])", "phase([(0.3, 1), (0.15, 1)])"),
        ("cyclic(schedule=30, cycles=3)", "cyclic(schedule=0.3, cycles=3)"),
    ],
)
def test_a_schedule_in_percent_has_a_suggestion(text, meant) -> None:
    with pytest.raises(ValueError, match=r"rates are fractions, such as 0.15 for 15 %") as refused:
        schedule_from(text)
    assert str(refused.value).endswith(f" Did you mean `{meant}`?")
    schedule_from(meant)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("uniform_rate(10, 50)", " Did you mean `uniform_rate(0.1, 0.5)`?"),
        (
            "uniform_rate(1, 0.5)",
            ": `low` must be below `high`, but got 1.0 and 0.5. Pass a number for a constant rate.",
        ),
        ("0,15", "`--rate` does not accept '0,15': numbers have a decimal point. Did you mean 0.15?"),
        ("0,05", "numbers have a decimal point. Did you mean 0.05?"),
        ("[0.1]", "`--rate` must be a number between 0 and 1, but got [0.1]. Pass 0.15 for 15 %."),
    ],
)
def test_text_that_is_no_rate_is_refused(text, said) -> None:
    with pytest.raises(ValueError, match=r"^`--rate` (must be|does not accept) ") as refused:
        rate_from(text)
    assert str(refused.value).endswith(said)


def test_a_remainder_is_no_percentage() -> None:
    with pytest.raises(ValueError, match="it is more than names") as error:
        strategy_from("lambda tokens: tokens.positions % 2 == 0")
    assert "fractions" not in str(error.value)
