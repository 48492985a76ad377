"""Mask rates: numbers, and schedules, which are functions of training progress.

Distributions, from which each sequence draws its rate, are in `hf_dynmask.rates.distributions`.

`progress` is the fraction of the optimizer steps already done, `step / total_steps`: 0 at the first step, and close to
1 at the last. Every schedule here can be pickled, so that spawned workers receive it, equals a schedule with the same
values, and prints as the call that makes it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Real

import numpy as np

from hf_dynmask.core.checks import checked_positive, checked_rate
from hf_dynmask.rates.curves import (
    ConstantCurve,
    CosineCurve,
    CyclicCurve,
    LinearCurve,
    PhaseCurve,
    PolynomialCurve,
    StepCurve,
    WarmupCurve,
)
from hf_dynmask.rates.distributions import RateDistribution, cosine_rate, truncated_normal_rate, uniform_rate

Schedule = Callable[[float], float]
FixedRate = float | RateDistribution
Rate = FixedRate | Schedule

_SCHEDULE = ", or a function of training progress such as `linear_schedule(0.30, 0.15)`"


def constant_schedule(rate: float) -> Schedule:
    """`rate(t) = rate`.

    Devlin et al. 2019 (BERT) use 0.15. Wettig et al. 2023 find that larger encoders learn better at up to 0.40.

    Raises:
        ValueError: if `rate` is not in [0, 1].

    >>> constant_schedule(0.15)(0.7)
    0.15
    """
    return ConstantCurve(checked_rate(rate, "rate"))


def linear_schedule(start: float, end: float) -> Schedule:
    """`rate(t) = start + (end - start) * t`.

    Ankner et al. 2024 ("Dynamic masking rate schedules for MLM pretraining") anneal from `start=0.30` to `end=0.15`.

    Raises:
        ValueError: if `start` or `end` is not in [0, 1].

    >>> linear_schedule(0.30, 0.10)
    linear_schedule(start=0.3, end=0.1)
    >>> linear_schedule(0.30, 0.10)(0.5)
    0.2
    """
    return LinearCurve(checked_rate(start, "start"), checked_rate(end, "end"))


def cosine_schedule(start: float, end: float) -> Schedule:
    """`rate(t) = end + (start - end) * (1 + cos(pi * t)) / 2`.

    The shape is that of Loshchilov and Hutter 2017 (SGDR). Ankner et al. 2024 test it for mask rates.

    Raises:
        ValueError: if `start` or `end` is not in [0, 1].

    >>> round(cosine_schedule(0.30, 0.10)(0.5), 6)
    0.2
    """
    return CosineCurve(checked_rate(start, "start"), checked_rate(end, "end"))


def polynomial_schedule(start: float, end: float, power: float = 2.0) -> Schedule:
    """`rate(t) = end + (start - end) * (1 - t) ** power`.

    `power=1` is linear. Above 1, the rate changes fastest at the start. The shape is that of transformers' polynomial
    decay of learning rates.

    Raises:
        ValueError: if `start` or `end` is not in [0, 1], or `power` is not a finite number above 0.

    >>> polynomial_schedule(0.30, 0.10, power=2)(0.5)
    0.15
    """
    power = checked_positive(power, "power")
    if power == 1:
        return linear_schedule(start, end)
    return PolynomialCurve(checked_rate(start, "start"), checked_rate(end, "end"), power)


def step_schedule(rates: Sequence[float], boundaries: Sequence[float]) -> Schedule:
    """`rate(t) = rates[i]`, where `i` is the number of `boundaries` that are at or below `t`.

    The rate is constant in each phase of training. Ankner et al. 2024 test such a schedule.

    Args:
        rates: the rate of each phase, in [0, 1].
        boundaries: the progress at which each phase except for the first begins, in rising order, in (0, 1).

    Raises:
        ValueError: if a rate or a boundary is out of its range, the boundaries do not rise, or their number is not one
            less than that of the rates.

    >>> phases = step_schedule([0.30, 0.15, 0.05], boundaries=[0.5, 0.9])
    >>> phases(0.0), phases(0.5), phases(0.95)
    (0.3, 0.15, 0.05)
    """
    for name, values in (("rates", rates), ("boundaries", boundaries)):
        if not isinstance(values, Sequence | np.ndarray) or not all(isinstance(value, Real) for value in values):
            raise ValueError(f"`{name}` must be a list of numbers, but got {values!r}. Pass `[0.5]`, for example.")
    if len(rates) != len(boundaries) + 1:
        raise ValueError(
            f"`rates` must have one element more than `boundaries`, but got {len(rates)} rates and {len(boundaries)} "
            "boundaries. Pass the progress in (0, 1) at which each rate except for the first begins."
        )
    if any(not 0 < b < 1 for b in boundaries) or any(a >= b for a, b in pairwise(boundaries)):
        raise ValueError(
            f"`boundaries` must rise strictly within (0, 1), but got {list(boundaries)!r}. "
            "They are fractions of training, not steps: divide steps by the total."
        )
    return StepCurve(tuple(checked_rate(rate, "rates") for rate in rates), tuple(map(float, boundaries)))


def phase_schedule(phases: Sequence[tuple[float | Schedule, float]]) -> Schedule:
    """Phases of training, each with a rate or a schedule of its own, by their lengths.

    The lengths are relative, so they can be tokens, steps or epochs. The progress of a schedule is that within its
    phase. mmBERT (Marone et al. 2025) masks 30, 15 and 5 % in phases of 2,300, 600 and 100 billion tokens.

    Args:
        phases: a pair `(rate, length)` for each phase, where `rate` is in [0, 1], or a schedule, and `length` is a
            positive number in any unit.

    Raises:
        ValueError: if there is no phase, or a rate or a length is out of its range.

    >>> mmbert = phase_schedule([(0.30, 2300), (0.15, 600), (0.05, 100)])
    >>> mmbert(0.0), mmbert(2300 / 3000), mmbert(0.99)
    (0.3, 0.15, 0.05)
    >>> stable_then_decay = phase_schedule([(0.30, 8), (linear_schedule(0.30, 0.10), 2)])
    >>> stable_then_decay(0.5), round(stable_then_decay(0.9), 6)
    (0.3, 0.2)
    """
    rows = phases.tolist() if isinstance(phases, np.ndarray) else phases
    is_list = isinstance(rows, Sequence) and not isinstance(rows, str) and len(rows) > 0
    if not is_list or not all(isinstance(phase, tuple | list) and len(phase) == 2 for phase in rows):
        raise ValueError(
            f"`phases` must be a list of pairs, a rate or a schedule and a length, but got {phases!r}. Pass "
            "`[(0.30, 3), (0.15, 1)]`, for example."
        )
    schedules = [as_schedule(rate, "rate` in `phases") for rate, _ in rows]
    lengths = [checked_positive(length, "length` in `phases") for _, length in rows]
    return PhaseCurve(tuple(zip(schedules, lengths, strict=True)))


def cyclic_schedule(schedule: float | Schedule, cycles: float) -> Schedule:
    """`rate(t) = schedule(cycles * t mod 1)`: `schedule` again and again.

    With as many cycles as epochs, the rate follows `schedule` within each epoch, as in FusOn-pLM (Vincoff et al. 2025),
    from 15 % to 40 % along a cosine. Task-informed anti-curriculum by masking (Jarca et al. 2025) lets the rate
    fall again in each cycle.

    Args:
        schedule: the schedule of one cycle, or a rate in [0, 1].
        cycles: the number of cycles in training; it may be a fraction, such as 2.5.

    Raises:
        ValueError: if `schedule` is neither, or `cycles` is not a finite number above 0.

    >>> each_epoch = cyclic_schedule(linear_schedule(0.15, 0.40), cycles=4)  # num_train_epochs=4
    >>> [round(each_epoch(progress), 6) for progress in (0.0, 0.125, 0.25, 1.0)]
    [0.15, 0.275, 0.15, 0.4]
    """
    return CyclicCurve(as_schedule(schedule), checked_positive(cycles, "cycles"))


def with_warmup(schedule: float | Schedule, warmup: float, start: float = 0.0) -> Schedule:
    """`rate(t) = start + (schedule(0) - start) * t / warmup` until `t = warmup`, and `schedule` afterwards.

    `schedule` covers its whole range in the remaining `1 - warmup` of training.

    Args:
        schedule: a schedule, or a rate in [0, 1].
        warmup: the fraction of training that the warm-up takes, in (0, 1).
        start: the rate at the first step, in [0, 1].

    Raises:
        ValueError: if an argument is out of its range.

    >>> warmed = with_warmup(linear_schedule(0.30, 0.10), warmup=0.2)
    >>> warmed(0.0), round(warmed(0.1), 6), round(warmed(0.2), 6), round(warmed(0.6), 6)
    (0.0, 0.15, 0.3, 0.2)
    """
    if not (isinstance(warmup, Real) and 0 < warmup < 1):
        raise ValueError(
            f"`warmup` must be a fraction of training in (0, 1), but got {warmup!r}. Divide steps by the total."
        )
    return WarmupCurve(as_schedule(schedule), float(warmup), checked_rate(start, "start"))


def as_schedule(rate: Rate, argument: str = "schedule") -> Schedule:
    """`rate` itself if it is a schedule; otherwise a constant schedule.

    Raises:
        ValueError: if it is neither a schedule nor a number in [0, 1].
    """
    check_not_a_factory(rate, argument)
    if callable(rate):
        check_schedule(rate, argument)
        return rate
    return ConstantCurve(checked_rate(rate, argument, _SCHEDULE))


def check_not_a_factory(rate: object, argument: str) -> None:
    """Checks that a rate is not a function of this package that makes a schedule or a distribution.

    Such a function is callable, so it would pass for a schedule until training begins.

    Raises:
        ValueError: if it is one.
    """
    for factory, call in _CALLS.items():
        if rate is factory:
            raise ValueError(
                f"`{argument}` must be a rate, a schedule or a distribution, but got "
                f"`{factory.__name__}` itself, which makes one. Call it: `{call}`, for example."
            )


def check_schedule(schedule: Callable[..., object], argument: str) -> None:
    """Checks that a callable returns a rate at the start of training. A class does not, nor does a rate in percent.

    Raises:
        ValueError: if it fails, or does not return a number in [0, 1].
    """
    try:
        rate = schedule(0.0)
    except Exception as error:
        raise ValueError(
            f"`{argument}` must be a function from training progress, 0 to 1, to a rate, but {schedule!r} fails at 0: "
            f"{type(error).__name__}: {error}. Pass a number, or a schedule such as `linear_schedule(0.30, 0.15)`."
        ) from error
    checked_rate(rate, f"{argument}(progress=0)")


def checked_fixed_rate(rate: object, argument: str, other: str = _SCHEDULE) -> FixedRate:
    """`rate`, as a float if it is a number. `other` names the other types that the argument accepts.

    Raises:
        ValueError: if it is neither a number in [0, 1] nor a distribution.
    """
    return rate if isinstance(rate, RateDistribution) else checked_rate(rate, argument, other)


def checked_evaluation_rate(rate: object) -> FixedRate:
    """The rate for evaluation, without `low_discrepancy`, so that the rate of a sequence does not depend on its batch.

    Raises:
        ValueError: if it is neither a number in [0, 1] nor a distribution.
    """
    checked = checked_fixed_rate(rate, "mlm_probability", other="")
    return dataclasses.replace(checked, low_discrepancy=False) if isinstance(checked, RateDistribution) else checked


def rate_at(rate: Rate, step: float, total_steps: int) -> float:
    """The mask rate at an optimizer step; the mean of a distribution.

    Args:
        rate: a number in [0, 1], a distribution, or a schedule.
        step: the number of optimizer steps already done.
        total_steps: the number of optimizer steps of the whole training. Later steps have the rate of the end.

    Raises:
        ValueError: if the schedule does not return a number in [0, 1] at this step.
    """
    if isinstance(rate, RateDistribution):
        return rate.mean
    progress = min(step / total_steps, 1.0)
    value = rate(progress) if callable(rate) else rate
    if type(value) is float and 0 <= value <= 1:
        return value  # fast, as every batch needs it
    return checked_rate(value, f"schedule(progress={progress:g}) at step {step} of {total_steps}")


_CALLS: dict[Callable[..., Rate], str] = {
    constant_schedule: "constant_schedule(0.15)",
    linear_schedule: "linear_schedule(0.30, 0.15)",
    cosine_schedule: "cosine_schedule(0.30, 0.15)",
    polynomial_schedule: "polynomial_schedule(0.30, 0.15, power=2)",
    step_schedule: "step_schedule([0.30, 0.15], boundaries=[0.5])",
    phase_schedule: "phase_schedule([(0.30, 3), (0.15, 1)])",
    cyclic_schedule: "cyclic_schedule(linear_schedule(0.15, 0.40), cycles=3)",
    with_warmup: "with_warmup(linear_schedule(0.30, 0.15), warmup=0.1)",
    uniform_rate: "uniform_rate()",
    truncated_normal_rate: "truncated_normal_rate()",
    cosine_rate: "cosine_rate()",
    RateDistribution: "RateDistribution(quantile)",
}
