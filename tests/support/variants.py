"""Every strategy, with arguments that show what it can do, for a vocabulary of some size."""

from __future__ import annotations

import numpy as np
import torch

from hf_dynmask import strategies
from hf_dynmask.strategies import Strategy
from hf_dynmask.strategies.token_losses import TokenLosses

TAG_NAMES = ["O", "B-A", "I-A", "O"]

WHOLE_WORDS = [
    "whole_word",
    "span",
    "span, Poisson",
    "ngram",
    "suffix",
    "weighted words",
    "weighted, function",
    "entity",
    "entity mentions",
]
INDEPENDENT_UNITS = ["token", "whole_word", "span", "span of tokens", "span, Poisson", "ngram"]
POSITIONS = ["prefix", "suffix", "block", "every_nth"]
WEIGHTED = ["weighted", "weighted words", "weighted, function", "adaptive"]
KEEPS_THE_RATE = [*INDEPENDENT_UNITS, *POSITIONS, *WEIGHTED]
# A mask at a lower rate is a subset of one at a higher: not where the rate moves the places, nor where units have odds
# of two kinds and counts decide between them.
NESTED = [name for name in KEEPS_THE_RATE if name != "every_nth"]
VARIANTS = [*KEEPS_THE_RATE, "entity", "entity mentions"]


def tags(input_ids: np.ndarray) -> np.ndarray:
    """A tag for each token that follows from its id: 0 and 3 are no entity, 1 begins one, 2 goes on with one."""
    return input_ids % 4


def weights(size: int) -> np.ndarray:
    """Many small ones and few large. Worked out by hand: golden masks must not change with numpy's generators."""
    share = (np.arange(size) * 61 % 101 + 1) / 101
    return share * share * share


def variant(name: str, size: int) -> Strategy:
    return {
        "token": strategies.token,
        "whole_word": strategies.whole_word,
        "span": strategies.span,
        "span of tokens": lambda: strategies.span(strategies.fixed_lengths(3), unit="token"),
        "span, Poisson": lambda: strategies.span(strategies.poisson_lengths(3)),
        "ngram": strategies.ngram,
        "prefix": lambda: strategies.position("prefix"),
        "suffix": lambda: strategies.position("suffix", unit="whole_word"),
        "block": lambda: strategies.position("block"),
        "every_nth": lambda: strategies.position("every_nth"),
        "weighted": lambda: strategies.weighted(weights(size)),
        "weighted words": lambda: strategies.weighted(weights(size), unit="whole_word"),
        "weighted, function": lambda: strategies.weighted(shorter_words, unit="whole_word"),
        "adaptive": lambda: strategies.adaptive(losses(size)),
        "entity": lambda: strategies.entity(0.5, "tags", outside=(0, 3)),
        "entity mentions": lambda: strategies.entity(0.5, "tags", TAG_NAMES),
    }[name]()


def shorter_words(tokens, units) -> np.ndarray:
    return 1.0 / units.size


def losses(size: int) -> TokenLosses:
    """The losses of a model that predicts ids the worse the higher they are."""
    losses = TokenLosses(smoothing=1.0)
    losses._token_weights(size)
    losses.start_epoch(0)
    ids = torch.linspace(0, size - 1, min(size, 100)).long()
    losses._record(ids, 5 * (ids + 1) / size)
    losses.start_epoch(1)
    return losses
