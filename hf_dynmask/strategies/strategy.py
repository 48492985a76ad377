"""A strategy: which tokens are masked together, and with what probability."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.units import Partition, Units
from hf_dynmask.strategies.weights import Weights

if TYPE_CHECKING:
    from hf_dynmask.strategies.token_losses import TokenLosses  # which imports torch

RatedUnitFunction = Callable[[MaskingTokens, Units, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Strategy:
    """Which tokens are masked together, and with what probability.

    Every function takes [`MaskingTokens`]; all except `partition` and `words` also take [`Units`].

    Args:
        name: the name that `print` shows.
        partition: `partition(tokens) -> bool [tokens]`, True where a unit begins. All tokens of a unit are masked, or
            none.
        weights: `weights(tokens, units) -> float64 [units]`, not negative. The probability that a unit is masked is in
            proportion to its weight, and the expected fraction of masked tokens stays the rate. None: equal weights.
        probs: `probs(tokens, units, rates) -> float64 [units]`, the probability that each unit is masked, given the
            rate of each sequence, float64 `[sequences]`. Pass it in place of `weights` if the expected fraction of
            masked tokens may differ from the rate.
        draws: `draws(tokens, units, rates) -> float64 [units]` in [0, 1). A unit is masked if its draw is below its
            probability. None: independent uniform draws.
        columns: the columns of the examples that the functions read from `tokens.columns`, one value per token.
        losses: the losses that determine the weights, or None (see [`adaptive`]).
        words: a partition whose units are words; None for the words of the vocabulary. It is used where the labels of
            the examples are -100 inside a word: see `labels` of [`DataCollatorForDynamicMasking`].
        counts: whether `draws` alone yield an exact count, so that `exact_count` changes nothing.
        uniform: `uniform(tokens) -> bool [sequences]`, the sequences whose units have equal weights and independent
            uniform draws although others have not, for `exact_count`; None if this holds for all or for none.

    Raises:
        ValueError: if both `weights` and `probs` are passed. A collator raises it if a function fails, or returns
            something else than described here.

    This strategy prefers long words:

    >>> from hf_dynmask.strategies import words
    >>> Strategy("long words", partition=words, weights=lambda tokens, units: units.size.astype(float))
    <Strategy long words>
    """

    name: str
    partition: Partition
    weights: Weights | None = None
    probs: RatedUnitFunction | None = None
    draws: RatedUnitFunction | None = None
    columns: tuple[str, ...] = ()
    losses: TokenLosses | None = None
    words: Partition | None = None
    counts: bool = False
    uniform: Callable[[MaskingTokens], np.ndarray] | None = None

    def __post_init__(self) -> None:
        if self.weights is not None and self.probs is not None:
            raise ValueError(
                f"`probs` must be None if `weights` is passed, but `Strategy({self.name!r}, ...)` got both. Pass "
                "`weights` alone to keep the rate, or `probs` alone to replace it."
            )

    def for_evaluation(self) -> Strategy:
        """This strategy, with equal weights in place of weights that follow the losses of the model."""
        return self if self.losses is None else dataclasses.replace(self, weights=None, losses=None)

    def __repr__(self) -> str:
        return f"<Strategy {self.name}>"
