from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DataCollatorWithPadding

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorForSpanCorruption,
    DataCollatorWithTokenDropout,
    constant_schedule,
    cosine_rate,
    cosine_schedule,
    cyclic_schedule,
    linear_schedule,
    phase_schedule,
    polynomial_schedule,
    step_schedule,
    truncated_normal_rate,
    uniform_rate,
    with_warmup,
)
from hf_dynmask.rates import schedules
from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.rates.schedules import check_not_a_factory, rate_at

SCHEDULES = {
    "constant": constant_schedule(0.2),
    "linear": linear_schedule(0.3, 0.15),
    "cosine": cosine_schedule(0.3, 0.15),
    "polynomial": polynomial_schedule(0.3, 0.15, power=3),
    "step": step_schedule([0.30, 0.15, 0.05], [0.4, 0.8]),
    "warmed": with_warmup(linear_schedule(0.3, 0.15), 0.1),
    "phases": phase_schedule([(0.30, 2), (linear_schedule(0.3, 0.1), 3), (0.05, 1)]),
    "cycles": cyclic_schedule(cosine_schedule(0.15, 0.30), 2.5),
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_schedules_pickle_and_stay_in_range(schedule) -> None:
    unpickled = pickle.loads(pickle.dumps(schedule))
    for i in range(101):
        assert unpickled(i / 100) == schedule(i / 100)
        assert 0 <= schedule(i / 100) <= 0.3


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_equals_its_pickle_and_what_its_printed_form_makes(schedule) -> None:
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert eval(repr(schedule), vars(schedules)) == schedule


def test_schedules_are_equal_only_if_they_are_the_same_function() -> None:
    assert len({*SCHEDULES.values(), *map(copy.deepcopy, SCHEDULES.values())}) == len(SCHEDULES)
    assert linear_schedule(0.3, 0.15) == polynomial_schedule(0.3, 0.15, power=1) != linear_schedule(0.3, 0.1)
    assert step_schedule(np.array([0.3, 0.1]), np.array([0.5])) == step_schedule([0.3, 0.1], [0.5])


@pytest.mark.parametrize(
    ("schedule", "printed"),
    [
        (constant_schedule(0.2), "constant_schedule(rate=0.2)"),
        (linear_schedule(0.3, 0.15), "linear_schedule(start=0.3, end=0.15)"),
        (cosine_schedule(0.3, 0), "cosine_schedule(start=0.3, end=0.0)"),
        (polynomial_schedule(0.3, 0.15), "polynomial_schedule(start=0.3, end=0.15, power=2.0)"),
        (step_schedule([0.3, 0.1], [0.5]), "step_schedule(rates=(0.3, 0.1), boundaries=(0.5,))"),
        (
            phase_schedule([(0.3, 2), (linear_schedule(0.3, 0.1), 1)]),
            "phase_schedule(phases=((constant_schedule(rate=0.3), 2.0), (linear_schedule(start=0.3, end=0.1), 1.0)))",
        ),
        (cyclic_schedule(0.3, 2), "cyclic_schedule(schedule=constant_schedule(rate=0.3), cycles=2.0)"),
        (with_warmup(0.3, 0.1), "with_warmup(schedule=constant_schedule(rate=0.3), warmup=0.1, start=0.0)"),
    ],
)
def test_a_schedule_prints_as_the_call_that_makes_it(schedule, printed) -> None:
    assert repr(schedule) == printed


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_does_not_change(schedule) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(schedule, dataclasses.fields(schedule)[0].name, 0.5)


@pytest.mark.parametrize("make", [linear_schedule, cosine_schedule, polynomial_schedule])
@settings(derandomize=True, deadline=None)
@given(start=st.floats(0, 1), end=st.floats(0, 1))
def test_falling_and_rising_schedules_go_from_start_to_end_without_turning(make, start: float, end: float) -> None:
    values = [make(start, end)(i / 50) for i in range(51)]
    assert values[0] == pytest.approx(start)
    assert values[-1] == pytest.approx(end)
    assert values in (pytest.approx(sorted(values)), pytest.approx(sorted(values, reverse=True)))


def test_the_linear_mean_is_the_middle() -> None:
    rates = [rate_at(linear_schedule(0.30, 0.15), step, 10_000) for step in range(10_000)]
    assert sum(rates) / len(rates) == pytest.approx(0.225, abs=1e-5)


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan, "0.15", None, True])
def test_rates_out_of_range_are_named(rate) -> None:
    with pytest.raises(ValueError, match=r"`start` must be a number between 0 and 1, but got .*pass 0.15 for 15 %"):
        linear_schedule(rate, 0.1)


@pytest.mark.parametrize("value", [math.nan, 1.5, -1, None])
def test_a_schedule_that_goes_wrong_is_named_with_its_step(value) -> None:
    def schedule(progress: float):
        return 0.15 if progress < 0.5 else value

    assert rate_at(schedule, 4, 10) == 0.15
    with pytest.raises(ValueError, match=r"schedule\(progress=0.5\) at step 5 of 10` must be a number between 0 and 1"):
        rate_at(schedule, 5, 10)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=5), st.sampled_from([1, 2, 7, 0.1, 0.7, 1e-3]))
def test_a_phase_begins_exactly_at_its_step(lengths: list[int], scale: float) -> None:
    rates = [number / 10 for number in range(len(lengths))]
    scaled = [float(Decimal(str(scale)) * length) for length in lengths]
    schedule = phase_schedule(list(zip(rates, scaled, strict=True)))
    step = 0
    for rate, length in zip(rates, lengths, strict=True):
        assert rate_at(schedule, step, sum(lengths)) == rate
        step += length
        assert rate_at(schedule, step - 1, sum(lengths)) == rate


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 400), st.integers(1, 300))
def test_a_cycle_begins_exactly_at_its_step(cycles: int, steps: int) -> None:
    schedule = cyclic_schedule(linear_schedule(0.0, 1.0), cycles)
    for cycle in {0, cycles // 3, cycles // 2, cycles - 1}:
        for step in {0, steps // 2, steps - 1}:
            rate = rate_at(schedule, cycle * steps + step, cycles * steps)
            assert rate == pytest.approx(step / steps, abs=1e-9)
    assert schedule(1.0) == 1.0


@pytest.mark.parametrize("cycles", [0.5, 1.25, 2.5])
def test_a_cycle_that_is_cut_off_ends_where_it_is(cycles) -> None:
    schedule = cyclic_schedule(linear_schedule(0.0, 1.0), cycles)
    assert schedule(1.0) == pytest.approx(cycles % 1) == pytest.approx(schedule(1 - 1e-9), abs=1e-6)


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 40), st.integers(1, 60), st.integers(1, 60), st.integers(1, 50))
def test_a_phase_after_a_warm_up_begins_exactly_at_its_step(warmup: int, first: int, second: int, scale: int) -> None:
    total = warmup + first + second
    schedule = phase_schedule([(0.3, first), (0.1, second)])
    schedule = with_warmup(schedule, warmup / total, start=0.3) if warmup else schedule
    begins = scale * (warmup + first)
    assert [rate_at(schedule, step, scale * total) for step in (begins - 1, begins)] == [0.3, 0.1]


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 30), st.integers(1, 20), st.integers(1, 20))
def test_a_step_within_a_cycle_is_exact(cycles: int, first: int, second: int) -> None:
    length = first + second
    for inner in (step_schedule([0.3, 0.1], [first / length]), phase_schedule([(0.3, first), (0.1, second)])):
        schedule = cyclic_schedule(inner, cycles)
        rates = [rate_at(schedule, step, cycles * length) for step in range(cycles * length)]
        assert rates == ([0.3] * first + [0.1] * second) * cycles


def test_a_schedule_in_a_phase_covers_its_range_within_the_phase() -> None:
    schedule = phase_schedule([(0.3, 1), (linear_schedule(0.3, 0.1), 3)])
    assert [schedule(progress) for progress in (0.1, 0.25, 0.625, 1.0)] == pytest.approx([0.3, 0.3, 0.2, 0.1])


def test_phases_equal_steps_and_the_published_curriculum_of_chinese_modernbert() -> None:
    phases = phase_schedule([(0.3, 4), (0.15, 4), (0.05, 2)])
    steps = step_schedule([0.30, 0.15, 0.05], [0.4, 0.8])
    assert [phases(i / 100) for i in range(101)] == [steps(i / 100) for i in range(101)]
    up, down = linear_schedule(0.15, 0.30), linear_schedule(0.30, 0.15)
    warmed, joined = with_warmup(down, 0.1, start=0.15), phase_schedule([(up, 1), (down, 9)])
    assert [warmed(i / 100) for i in range(101)] == pytest.approx([joined(i / 100) for i in range(101)])


def test_steps_beyond_the_end_count_as_the_end() -> None:
    assert rate_at(linear_schedule(0.3, 0.1), 25, 20) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: polynomial_schedule(0.3, 0.1, power=0), "`power` must be a finite number above 0"),
        (lambda: polynomial_schedule(0.3, 0.1, power=True), "`power` must be a finite number above 0, but got True"),
        (lambda: step_schedule([0.3, 0.1], []), "`rates` must have one element more than `boundaries`"),
        (lambda: step_schedule([0.3, 0.1], [100]), "`boundaries` must rise strictly within"),
        (lambda: step_schedule([0.3, 0.2, 0.1], [0.5, 0.5]), "`boundaries` must rise strictly within"),
        (lambda: phase_schedule([]), "`phases` must be a list of pairs"),
        (lambda: phase_schedule([0.3, 0.1]), "`phases` must be a list of pairs"),
        (lambda: phase_schedule("ab"), "`phases` must be a list of pairs"),
        (lambda: phase_schedule([(0.3, 0)]), "`length` in `phases` must be a finite number above 0"),
        (lambda: phase_schedule([(30, 1)]), "`rate` in `phases` must be a number between 0 and 1"),
        (lambda: phase_schedule([(linear_schedule, 1)]), "`rate` in `phases` must be a rate.* Call it"),
        (lambda: cyclic_schedule(0.3, 0), "`cycles` must be a finite number above 0"),
        (lambda: cyclic_schedule(cosine_rate(), 2), "`schedule` must be a number between 0 and 1"),
        (lambda: with_warmup(0.3, warmup=1), "`warmup` must be a fraction of training"),
        (lambda: with_warmup(2, warmup=0.1), "`schedule` must be a number between 0 and 1"),
    ],
)
def test_bad_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


FACTORIES = [
    constant_schedule,
    linear_schedule,
    cosine_schedule,
    polynomial_schedule,
    step_schedule,
    phase_schedule,
    cyclic_schedule,
    with_warmup,
    uniform_rate,
    truncated_normal_rate,
    cosine_rate,
    RateDistribution,
]


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize(
    ("use", "argument"),
    [
        (lambda make, _: check_not_a_factory(make, "schedule"), "schedule"),
        (lambda make, _: with_warmup(make, 0.1), "schedule"),
        (lambda make, tokenizer: DataCollatorForDynamicMasking(tokenizer, make), "mlm_probability"),
        (
            lambda make, tokenizer: DataCollatorWithTokenDropout(
                DataCollatorWithPadding(tokenizer), mlm_probability=make
            ),
            "mlm_probability",
        ),
        (lambda make, tokenizer: DataCollatorForSpanCorruption(_with_sentinels(tokenizer), make), "noise_density"),
    ],
    ids=["check", "with_warmup", "dynamic masking", "fine-tuning", "span corruption"],
)
def test_a_function_that_makes_rates_is_no_rate(wordpiece, factory, use, argument) -> None:
    name = factory.__name__
    with pytest.raises(ValueError, match=rf"`{argument}` must be .* but got `{name}` itself.* Call it: `{name}\(.*\)`"):
        use(factory, wordpiece)


def _with_sentinels(tokenizer):
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<extra_id_{number}>" for number in range(3)]})
    return tokenizer


@pytest.mark.parametrize("rate", [0.15, uniform_rate(), linear_schedule(0.3, 0.1), lambda progress: 0.1])
def test_what_they_make_is_a_rate(rate) -> None:
    check_not_a_factory(rate, "schedule")
