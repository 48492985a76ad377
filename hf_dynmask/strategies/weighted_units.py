"""Strategies that mask units with probabilities in proportion to weights."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

from hf_dynmask.strategies.registry import Unit, unit_strategy
from hf_dynmask.strategies.strategy import Strategy
from hf_dynmask.strategies.weights import checked_weights, mean_token_weights

if TYPE_CHECKING:
    from hf_dynmask.strategies.token_losses import TokenLosses


def weighted(weights: Any, unit: Unit = "token") -> Strategy:
    """Masks each unit with probability `min(1, c * weight)`, where `c` keeps the expected fraction at the rate.

    Args:
        weights: the weight of each id of the vocabulary, `[vocab_size]`, such as [`rarity_weights`], where the weight
            of a unit is the mean over its tokens; or a function `weights(tokens, units) -> float [units]` of
            [`MaskingTokens`] and [`Units`]. Weights are not negative. Units of weight 0 are masked after all others.
        unit: see [`span`].

    Raises:
        ValueError: if a weight is negative or not finite, or `unit` also sets probabilities. A collator raises it if
            there are fewer weights than ids.

    >>> from hf_dynmask.strategies import rarity_weights
    >>> weighted(rarity_weights([100, 4, 0]), unit="whole_word")
    <Strategy weighted>
    """
    unit_weights = weights if callable(weights) else partial(mean_token_weights, weights=checked_weights(weights))
    return dataclasses.replace(unit_strategy(unit), name="weighted", weights=unit_weights)


def adaptive(losses: TokenLosses | None = None, unit: Unit = "token") -> Strategy:
    """Masks units with probabilities in proportion to the model's loss on their tokens (see [`TokenLosses`]).

    Pass `compute_loss_func=collator.losses.compute_loss` and `callbacks=[MaskRateCallback()]` to `Trainer`. Each epoch
    uses the losses of the epochs before it, so units of the first epoch have equal weights. Checkpoints save and resume
    the losses.

    Args:
        losses: the losses to follow; by default, a new `TokenLosses()`.
        unit: see [`span`].

    Raises:
        ValueError: if `losses` is not a [`TokenLosses`], or `unit` also sets probabilities.

    >>> from hf_dynmask.strategies import TokenLosses
    >>> adaptive(TokenLosses(decay=0.9), unit="whole_word")
    <Strategy adaptive>
    """
    from hf_dynmask.strategies.token_losses import TokenLosses  # not at import, as it imports torch

    losses = TokenLosses() if losses is None else losses
    if not isinstance(losses, TokenLosses):
        raise ValueError(f"`losses` must be a `TokenLosses(...)`, but got {losses!r}. Pass None for a new one.")
    return dataclasses.replace(unit_strategy(unit), name="adaptive", weights=losses.weights, losses=losses)
