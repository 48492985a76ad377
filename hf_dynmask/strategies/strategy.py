"""A strategy: which tokens are masked together, and with what probability."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hf_dynmask.strategies.partitions import MaskingTokens, Partition, Units
from hf_dynmask.strategies.token_losses import TokenLosses
from hf_dynmask.strategies.weights import Weights

UnitFunction = Callable[[MaskingTokens, Units, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Strategy:
    """How to mask: functions of [`MaskingTokens`], all but the first also of [`Units`].

    Args:
        name: the name, for summaries and errors.
        partition: `partition(tokens) -> bool [tokens]`, True where a unit begins. A unit is masked whole or not at all.
        weights: `weights(tokens, units) -> float64 [units]`, the relative probabilities of units. The expected fraction
            of masked tokens remains the rate. None: all units are equally likely.
        probs: `probs(tokens, units, rates) -> float64 [units]`, the probability that each unit is masked, from the rate
            of each sequence, float64 `[sequences]`. Use it instead of `weights` where the rate need not be kept.
        draws: `draws(tokens, units, rates) -> float64 [units]` in [0, 1): a unit is masked if its draw is below its
            probability. None: independent uniform draws.
        columns: the names of the examples' columns, with one value per token, that the functions read from
            `tokens.columns`.
        losses: the losses that the weights follow; None if they follow none (see [`adaptive`]).
        words: like `partition`, True where a word begins; None for the words of the vocabulary. It is used only for
            examples whose labels are -100 within words: see `labels` of [`DataCollatorForDynamicMasking`].
        counts: whether `draws` already select an exact count, so that `exact_count` changes nothing.

    Raises:
        ValueError: if both `weights` and `probs` are given; from the collator, if a function fails or returns anything
            else than documented here.

    A strategy that prefers long words:

    >>> from hf_dynmask.strategies import Strategy, words
    >>> Strategy("long words", partition=words, weights=lambda tokens, units: units.size.astype(float))
    <Strategy long words>
    """

    name: str
    partition: Partition
    weights: Weights | None = None
    probs: UnitFunction | None = None
    draws: UnitFunction | None = None
    columns: tuple[str, ...] = ()
    losses: TokenLosses | None = None
    words: Partition | None = None
    counts: bool = False

    def __post_init__(self) -> None:
        if self.weights is not None and self.probs is not None:
            raise ValueError(
                f"`probs` must be None where there are `weights`, but `Strategy({self.name!r}, ...)` got both. Pass "
                "`weights` to keep the rate, or `probs`, which do not."
            )

    def for_evaluation(self) -> Strategy:
        """The same strategy, except that units are equally likely if their weights follow the losses of a model."""
        return self if self.losses is None else dataclasses.replace(self, weights=None, losses=None)

    def __repr__(self) -> str:
        return f"<Strategy {self.name}>"
