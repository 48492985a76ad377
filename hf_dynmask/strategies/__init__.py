"""Strategies: which tokens are masked together, and with what probability.

A strategy is passed by name (`strategy="span"`), made with arguments (`strategy=strategies.span(fixed_lengths(3))`), or
defined by a function that marks where units begin:

    >>> def pairs(tokens):
    ...     return tokens.positions % 2 == 1  # two tokens at a time after [CLS]
    >>> from hf_dynmask import DataCollatorForDynamicMasking
    >>> collator = DataCollatorForDynamicMasking(tokenizer, strategy=pairs, mlm_probability=0.5, num_mask_patterns=1)
    >>> masked = collator([tokenizer("the cat sat on a mat")])["labels"][0] != -100
    >>> bool((masked[1:7:2] == masked[2:8:2]).all())
    True

A [`Strategy`] also sets the probability of each unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_dynmask.strategies.entities import entity
from hf_dynmask.strategies.frequencies import rarity_weights, token_counts
from hf_dynmask.strategies.lengths import fixed_lengths, geometric_lengths, poisson_lengths
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.mixtures import mixture
from hf_dynmask.strategies.partitions import token, whole_word, words
from hf_dynmask.strategies.positional import position
from hf_dynmask.strategies.registry import FACTORIES, STRATEGIES, resolve_strategy
from hf_dynmask.strategies.spans import ngram, span
from hf_dynmask.strategies.strategy import Strategy
from hf_dynmask.strategies.units import Units, every_token
from hf_dynmask.strategies.weighted_units import adaptive, weighted

if TYPE_CHECKING:
    from hf_dynmask.strategies.token_losses import TokenLosses

__all__ = [
    "STRATEGIES",
    "MaskingTokens",
    "Strategy",
    "TokenLosses",
    "Units",
    "adaptive",
    "entity",
    "every_token",
    "fixed_lengths",
    "geometric_lengths",
    "mixture",
    "ngram",
    "poisson_lengths",
    "position",
    "rarity_weights",
    "resolve_strategy",
    "span",
    "token",
    "token_counts",
    "weighted",
    "whole_word",
    "words",
]

STRATEGIES.update(
    token=token, whole_word=whole_word, span=span, ngram=ngram, position=position, entity=entity, adaptive=adaptive
)
FACTORIES.update(STRATEGIES, mixture=mixture, weighted=weighted)


def __getattr__(name: str) -> Any:
    """Imports `TokenLosses` when it is first used, because it imports torch."""
    if name != "TokenLosses":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hf_dynmask.strategies.token_losses import TokenLosses

    return TokenLosses
