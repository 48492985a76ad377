"""The schedules that the package makes, as functions of training progress.

They are frozen dataclasses: they pickle, compare equal if their values are equal, and print as the call that makes
them. The functions of `hf_dynmask.rates.schedules` check the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Any, ClassVar

# A schedule within another receives a progress with rounding errors. This is more than these errors, and less than the
# step of a training of a billion steps.
_ROUNDING = 1e-12


@lru_cache(maxsize=64)
def _phase_bounds(lengths: tuple[float, ...]) -> tuple[float, ...]:
    """The progress at which each phase begins, and 1.

    Lengths are added as the decimals that they are written as, and divided once, as the number of a step is by that of
    all steps. So a phase begins exactly at its step.
    """
    ends = [Fraction(0), *accumulate(Fraction(str(length)) for length in lengths)]
    return tuple(float(end / ends[-1]) for end in ends)


def _passed(bounds: Iterable[float], progress: float) -> int:
    """The number of bounds that `progress` has reached."""
    return sum(bound <= progress + _ROUNDING for bound in bounds)


class Curve:
    """A schedule with a name: the function that makes it, and its shape in words."""

    made_by: ClassVar[str]
    shape: ClassVar[str]

    def __call__(self, progress: float) -> float:
        """The rate at `progress`, the fraction of the optimizer steps already done."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return printed_call(self.made_by, vars(self))


def printed_call(function: str, arguments: Mapping[str, Any]) -> str:
    """A call with arguments by name, as Python reads it."""
    return f"{function}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"


@dataclass(frozen=True, repr=False)
class ConstantCurve(Curve):
    rate: float

    made_by = "constant_schedule"
    shape = "constant"

    def __call__(self, progress: float) -> float:
        return self.rate


@dataclass(frozen=True, repr=False)
class _StartToEndCurve(Curve):
    start: float
    end: float

    def __call__(self, progress: float) -> float:
        return self.end + (self.start - self.end) * self._share_of_start(progress)

    def _share_of_start(self, progress: float) -> float:
        """From 1 at the start of training to 0 at its end."""
        raise NotImplementedError


class LinearCurve(_StartToEndCurve):
    made_by = "linear_schedule"
    shape = "linear"

    def _share_of_start(self, progress: float) -> float:
        return 1 - progress


class CosineCurve(_StartToEndCurve):
    made_by = "cosine_schedule"
    shape = "cosine"

    def _share_of_start(self, progress: float) -> float:
        return (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True, repr=False)
class PolynomialCurve(_StartToEndCurve):
    power: float

    made_by = "polynomial_schedule"
    shape = "polynomial"

    def _share_of_start(self, progress: float) -> float:
        return (1 - progress) ** self.power


@dataclass(frozen=True, repr=False)
class StepCurve(Curve):
    rates: tuple[float, ...]
    boundaries: tuple[float, ...]

    made_by = "step_schedule"
    shape = "in steps"

    def __call__(self, progress: float) -> float:
        return self.rates[_passed(self.boundaries, progress)]


@dataclass(frozen=True, repr=False)
class PhaseCurve(Curve):
    phases: tuple[tuple[Callable[[float], float], float], ...]

    made_by = "phase_schedule"
    shape = "in phases"

    def __call__(self, progress: float) -> float:
        bounds = _phase_bounds(tuple(length for _, length in self.phases))
        number = _passed(bounds[1:-1], progress)
        start, end = bounds[number : number + 2]
        return self.phases[number][0](min(max((progress - start) / (end - start), 0.0), 1.0))


@dataclass(frozen=True, repr=False)
class CyclicCurve(Curve):
    schedule: Callable[[float], float]
    cycles: float

    made_by = "cyclic_schedule"
    shape = "in cycles"

    def __call__(self, progress: float) -> float:
        if progress >= 1 and self.cycles == int(self.cycles):
            return self.schedule(1.0)  # the end of the last cycle, not the start of another
        position = progress * self.cycles
        number = math.floor(position)
        if (number + 1) / self.cycles <= progress + _ROUNDING:  # the first step of a cycle was rounded down
            number += 1
        return self.schedule(min(max(position - number, 0.0), 1.0))


@dataclass(frozen=True, repr=False)
class WarmupCurve(Curve):
    schedule: Callable[[float], float]
    warmup: float
    start: float

    made_by = "with_warmup"
    shape = "with warm-up"

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return self.start + (self.schedule(0.0) - self.start) * progress / self.warmup
        return self.schedule((progress - self.warmup) / (1 - self.warmup))
