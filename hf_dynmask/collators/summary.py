"""Describes the masking of a collator in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hf_dynmask.rates.curves import Curve
from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.rates.schedules import Rate, Schedule
from hf_dynmask.strategies import Strategy

if TYPE_CHECKING:
    from hf_dynmask.collators.base import EpochAwareCollator

_UNITS = {
    "token": "single tokens",
    "whole_word": "whole words",
    "span": "spans",
    "ngram": "n-grams",
    "position:prefix": "all units after a prefix",
    "position:suffix": "all units before a suffix",
    "position:block": "one block",
    "position:every_nth": "every n-th unit",
    "weighted": "units in proportion to their weights",
    "entity": "entities at their own probability",
    "adaptive": "units in proportion to the loss of the model",
}


def summarize(collator: EpochAwareCollator, details: tuple[str, ...]) -> str:
    """The sentence: how often masks change, how much is masked, `details`, the seed, and the source of the epoch."""
    seed = "seed of the Trainer, or 0" if collator.seed is None else f"seed {collator.seed}"
    parts = (format_rate(collator.rate), *details, seed, _epoch(collator))
    return f"{_patterns(collator.num_mask_patterns)}; {'; '.join(parts)}."


def format_rate(rate: Rate) -> str:
    """A rate in words, such as "30 % to 15 % of the tokens, linear"."""
    if isinstance(rate, RateDistribution):
        drawn_by = "sequence" if rate.block_size is None else f"block of {rate.block_size} tokens"
        return f"{_percent(rate.mean)} of the tokens on average, each {drawn_by} draws its rate"
    return _format_schedule(rate) if callable(rate) else f"{_percent(rate)} of the tokens"


def units(strategy: Strategy, exact_count: bool) -> str:
    """The units that are masked, in words."""
    return _UNITS.get(strategy.name, strategy.name) + (", an exact count" if exact_count else "")


def replacements(mask_replace_prob: float, random_replace_prob: float) -> str:
    """The outcomes for masked tokens, in words."""
    outcomes = {
        "become the mask token": mask_replace_prob,
        "become a random token": random_replace_prob,
        "stay unchanged": max(0.0, 1 - mask_replace_prob - random_replace_prob),
    }
    likely = [f"{_percent(share)} {outcome}" for outcome, share in outcomes.items() if share > 1e-9]
    return f"of the masked tokens, {', '.join(likely)}"


def _patterns(num_mask_patterns: int | None) -> str:
    if num_mask_patterns is None:
        return "Dynamic masking, new in every epoch"
    if num_mask_patterns == 1:
        return "Static masking, one mask per example"
    return f"Static masking, {num_mask_patterns} masks per example in turn"


def _format_schedule(schedule: Schedule) -> str:
    try:
        ends = f"{_percent(schedule(0.0))} to {_percent(schedule(1.0))} of the tokens"
    except Exception:  # of a custom schedule; training will raise it again
        ends = "a scheduled share of the tokens"
    if isinstance(schedule, Curve):
        return f"{ends}, {schedule.shape}"
    return f"{ends}, by {getattr(schedule, '__name__', type(schedule).__name__)}"


def _epoch(collator: EpochAwareCollator) -> str:
    if collator.epoch_source is not None:
        return f"the epoch is known from {collator.epoch_source}"
    if collator._clock.epoch_is_known:
        return "the epoch is known from set_epoch"
    if collator.num_mask_patterns == 1 and not callable(collator.rate):
        return "the epoch does not matter"
    return "epoch not set yet (use MaskRateCallback or start_epoch)"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
