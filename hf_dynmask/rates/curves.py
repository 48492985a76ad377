"""The schedules that the package makes, as functions of training progress.

They are frozen dataclasses: they pickle, compare equal if their values are equal, and print as the call that makes
them. The functions of `hf_dynmask.rates.schedules` check the values.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar


class Curve:
    """A schedule with a name: the function that makes it, and its shape in words."""

    made_by: ClassVar[str]
    shape: ClassVar[str]

    def __call__(self, progress: float) -> float:
        """The rate at `progress`, the fraction of the optimizer steps already done."""
        raise NotImplementedError

    def __repr__(self) -> str:
        values = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self))  # type: ignore[arg-type]
        return f"{self.made_by}({', '.join(values)})"


@dataclass(frozen=True, repr=False)
class ConstantCurve(Curve):
    rate: float

    made_by = "constant_schedule"
    shape = "constant"

    def __call__(self, progress: float) -> float:
        return self.rate


@dataclass(frozen=True, repr=False)
class LinearCurve(Curve):
    start: float
    end: float

    made_by = "linear_schedule"
    shape = "linear"

    def __call__(self, progress: float) -> float:
        return self.end + (self.start - self.end) * (1 - progress)


@dataclass(frozen=True, repr=False)
class CosineCurve(Curve):
    start: float
    end: float

    made_by = "cosine_schedule"
    shape = "cosine"

    def __call__(self, progress: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True, repr=False)
class PolynomialCurve(Curve):
    start: float
    end: float
    power: float

    made_by = "polynomial_schedule"
    shape = "polynomial"

    def __call__(self, progress: float) -> float:
        return self.end + (self.start - self.end) * (1 - progress) ** self.power


@dataclass(frozen=True, repr=False)
class StepCurve(Curve):
    rates: tuple[float, ...]
    boundaries: tuple[float, ...]

    made_by = "step_schedule"
    shape = "in steps"

    def __call__(self, progress: float) -> float:
        return self.rates[sum(boundary <= progress for boundary in self.boundaries)]


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
