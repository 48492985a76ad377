"""Parses rates, schedules and strategies, such as `linear(0.3, 0.15)`."""

from __future__ import annotations

import re
from typing import Any

from hf_dynmask import strategies
from hf_dynmask.cli.calls import Functions, called_name, evaluate
from hf_dynmask.core.checks import checked_fraction
from hf_dynmask.rates import distributions
from hf_dynmask.rates import schedules as rates
from hf_dynmask.strategies.positional import POSITIONS

RATES: Functions = {
    f"{name}_rate": getattr(distributions, f"{name}_rate") for name in ("uniform", "truncated_normal", "cosine")
}
SCHEDULES: Functions = {
    "constant": rates.constant_schedule,
    "linear": rates.linear_schedule,
    "cosine": rates.cosine_schedule,
    "polynomial": rates.polynomial_schedule,
    "step": rates.step_schedule,
    "phase": rates.phase_schedule,
    "cyclic": rates.cyclic_schedule,
    "with_warmup": rates.with_warmup,
}
STRATEGIES: Functions = {
    name: getattr(strategies, name) for name in ("token", "whole_word", "span", "ngram", "position", "mixture")
}
LENGTHS: Functions = {
    f"{name}_lengths": getattr(strategies, f"{name}_lengths") for name in ("fixed", "geometric", "poisson")
}

_NAMED_SCHEDULES: Functions = {**SCHEDULES, **{f"{name}_schedule": make for name, make in SCHEDULES.items()}}
_MODULE = re.compile(r"\b(?:hf_dynmask\.)?strategies\.")  # as Python code writes it
_STRATEGY = "a strategy such as whole_word, `span(fixed_lengths(3))` or `mixture({'span': 3, 'token': 1})`"


def rate_from(text: str) -> rates.FixedRate:
    """Parses `--rate`: a number or a distribution. Raises a `ValueError` for anything else."""
    if called_name(text) in _NAMED_SCHEDULES:
        raise ValueError(f"`--rate` must be a number or a distribution, but got {text!r}. Pass it as `--schedule`.")
    rule = "a number such as 0.15, or a distribution such as `uniform_rate(0.1, 1.0)`"
    rate = evaluate(text, RATES, "--rate", rule)
    return rate if isinstance(rate, distributions.RateDistribution) else _fraction(rate, "--rate")


def schedule_from(text: str, argument: str = "schedule") -> rates.Schedule:
    """Parses a schedule, by its name in [`SCHEDULES`] or the name of its function.

    Raises:
        ValueError: if the text is not a schedule.

    >>> schedule_from("linear(0.30, 0.10)")(0.5)
    0.2
    """
    schedule = evaluate(text, _NAMED_SCHEDULES, argument, "a schedule such as `linear(0.3, 0.15)`")
    return schedule if callable(schedule) else rates.as_schedule(_fraction(schedule, argument))


def strategy_from(text: str) -> strategies.Strategy:
    """Parses `--strategy`: the name of a strategy, or a call, also as in Python with `strategies.` before names.

    Raises:
        ValueError: if the text is neither, or the strategy needs more than text.

    >>> strategy_from("span(poisson_lengths(3))")
    <Strategy span>
    >>> strategy_from("strategies.span(fixed_lengths(3))")
    <Strategy span>
    >>> strategy_from("mixture({'span': 3, 'token': 1})")
    <Strategy mixture(span 75 %, token 25 %)>
    """
    text = _MODULE.sub("", text)
    name = called_name(text)
    if name in POSITIONS:
        raise ValueError(
            f"`--strategy` does not accept {text!r}: there is no {name!r}. Did you mean `position({name!r})`?"
        )
    if name in LENGTHS:
        raise ValueError(f"`--strategy` must be {_STRATEGY}, but got the lengths {text!r}. Pass `span({text})`.")
    if name in ("entity", "adaptive", "weighted"):
        raise _needs_more(text)
    value = evaluate(text, STRATEGIES, "--strategy", _STRATEGY, inner=LENGTHS)
    if not isinstance(value, str | strategies.Strategy):
        raise ValueError(f"`--strategy` must be {_STRATEGY}, but got {text!r}. Pass one of {', '.join(STRATEGIES)}.")
    strategy = strategies.resolve_strategy(value, "--strategy")
    if strategy.columns or strategy.losses is not None:
        raise _needs_more(text)
    return strategy


def _needs_more(text: str) -> ValueError:
    return ValueError(
        f"`--strategy` must be a strategy that needs only text, but got {text!r}, which needs tags, a model or weights."
        " Use this strategy from Python."
    )


def _fraction(value: Any, argument: str) -> float:
    percent = value if isinstance(value, int | float) and 1 < value <= 100 else 15
    return checked_fraction(value, argument, f"Pass {percent / 100:g} for {percent:g} %.")
