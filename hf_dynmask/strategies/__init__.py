"""Masking strategies: which tokens are masked together, and with what probability.

Pass a strategy by name (`strategy="span"`), with arguments (`strategy=strategies.span(fixed_lengths(3))`), or as a
function that marks where units begin:

    >>> def pairs(tokens):
    ...     return tokens.positions % 2 == 1  # after [CLS], two tokens at a time
    >>> from hf_dynmask import DataCollatorForDynamicMasking
    >>> collator = DataCollatorForDynamicMasking(tokenizer, strategy=pairs, mlm_probability=0.5, num_mask_patterns=1)
    >>> masked = collator([tokenizer("the cat sat on a mat")])["labels"][0] != -100
    >>> bool((masked[1:7:2] == masked[2:8:2]).all())
    True

A [`Strategy`] also gives the probability of each unit.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from hf_dynmask.core.checks import checked_choice, checked_integer, checked_length_probs, checked_rate
from hf_dynmask.strategies.entities import entity_probs, mention_starts
from hf_dynmask.strategies.frequencies import rarity_weights, token_counts
from hf_dynmask.strategies.lengths import fixed_lengths, geometric_lengths, poisson_lengths
from hf_dynmask.strategies.partitions import MaskingTokens, Partition, Units, every_token, runs, words
from hf_dynmask.strategies.positional import POSITIONS
from hf_dynmask.strategies.strategy import Strategy
from hf_dynmask.strategies.token_losses import TokenLosses
from hf_dynmask.strategies.weights import checked_weights, mean_token_weights
from hf_dynmask.vocabulary.words import Segmenter

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

Unit = str | Strategy | Partition


def token() -> Strategy:
    """Masks each token independently (Devlin et al. 2019, BERT).

    >>> token()
    <Strategy token>
    """
    return Strategy("token", every_token)


def whole_word(max_word_length: int | None = 16, segmenter: Segmenter | None = None) -> Strategy:
    """Masks all tokens of a word together (whole word masking of BERT, 2019; Cui et al. 2021 for Chinese).

    A table over the vocabulary tells where words begin: see `hf_dynmask.vocabulary.words`. Special tokens are not part
    of words.

    Args:
        max_word_length: split words of more characters or pieces than this, so that no text is masked all or nothing;
            None to split no word.
        segmenter: a function from a text to its words, such as `jieba.lcut`, for scripts without spaces; None: each
            token of these scripts is a word.

    Raises:
        ValueError: if `max_word_length` is below 1.

    >>> from hf_dynmask import DataCollatorForDynamicMasking
    >>> collator = DataCollatorForDynamicMasking(tokenizer, 0.4, strategy=whole_word(), num_mask_patterns=1, seed=5)
    >>> labels = collator([tokenizer("the dog ran, unbelieving")])["labels"][0]
    >>> tokenizer.convert_ids_to_tokens(labels[labels != -100].tolist())
    ['un', '##believ', '##ing']
    """
    if max_word_length is not None:
        checked_integer(max_word_length, "max_word_length", 1, "Pass None to split no word.")
    uncut = None if segmenter is None else partial(words, max_word_length=None, segmenter=segmenter)
    return Strategy("whole_word", partial(words, max_word_length=max_word_length, segmenter=segmenter), words=uncut)


def span(lengths: Sequence[float] | None = None, unit: Unit = "whole_word") -> Strategy:
    """Masks spans of words of random length (Joshi et al. 2020, SpanBERT).

    Each sequence is cut into spans whose lengths are independent draws, and each span is masked with the probability of
    the rate. So a masked span begins at each word with the probability `rate / mean length`, the expected fraction of
    masked tokens is exactly the rate, and two masked spans may touch, as in SpanBERT.

    Args:
        lengths: the probabilities of spans of 1, 2, 3, ... units: [`geometric_lengths`] by default, as in SpanBERT,
            [`poisson_lengths`] (BART), [`fixed_lengths`], or a list.
        unit: the units of spans: `"whole_word"`, `"token"`, a strategy with arguments, or a function. It must only mark
            where units begin.

    Raises:
        ValueError: if `lengths` are not probabilities, or `unit` does more than mark where units begin.

    >>> span(fixed_lengths(3), unit="token")
    <Strategy span>
    """
    probs = geometric_lengths() if lengths is None else checked_length_probs(lengths)
    units = _unit_strategy(unit)
    return dataclasses.replace(units, name="span", partition=partial(runs, partition=units.partition, lengths=probs))


def ngram(weights: Sequence[float] = (1, 1 / 2, 1 / 3), unit: Unit = "whole_word") -> Strategy:
    """Masks n-grams of words: with `weights`, `P(n) = weights[n - 1] / sum(weights)`.

    Lan et al. 2020 (ALBERT) and Megatron use `1 / n` up to 3; ERNIE (Sun et al. 2019) masks phrases. See [`span`] for
    `unit` and the rest.

    >>> ngram([1, 1])
    <Strategy ngram>
    """
    return dataclasses.replace(span(weights, unit), name="ngram")


def position(kind: str = "block", unit: Unit = "token") -> Strategy:
    """Masks units by their position in the sequence; the rate gives the number of masked tokens.

    Args:
        kind: `"prefix"` masks all units after the first k, `k = (1 - rate) * length` (prefix language modeling, Dong et
            al. 2019, UniLM); `"suffix"` masks all units before the last k; `"block"` masks one block at a random
            position; `"every_nth"` masks every n-th unit, `n = 1 / rate`, starting at a random one, which is an exact
            count with or without `exact_count`.
        unit: see [`span`].

    Raises:
        ValueError: if `kind` is unknown, or `unit` does more than mark where units begin.

    >>> from hf_dynmask import DataCollatorForDynamicMasking
    >>> collator = DataCollatorForDynamicMasking(tokenizer, 0.5, strategy=position("prefix"), num_mask_patterns=1)
    >>> (collator([tokenizer("the cat sat on a mat")])["labels"][0] != -100).int().tolist()
    [0, 0, 0, 0, 1, 1, 1, 0]
    """
    draws = POSITIONS[checked_choice(kind, "kind", POSITIONS)]
    return dataclasses.replace(_unit_strategy(unit), name=f"position:{kind}", draws=draws, counts=kind == "every_nth")


def weighted(weights: Any, unit: Unit = "token") -> Strategy:
    """Masks units in proportion to their weights: `prob = min(1, c * weight)`, with the `c` that keeps the rate.

    Args:
        weights: one number per id of the vocabulary, such as [`rarity_weights`]; a unit has the mean weight of its
            tokens. Or a function `weights(tokens, units) -> float [units]` of [`MaskingTokens`] and [`Units`]. Weights
            are not negative; units of weight 0 are masked last.
        unit: see [`span`].

    Raises:
        ValueError: if a weight is negative or not finite; when the collator is called, if there are fewer weights than
            ids.

    >>> weighted(rarity_weights([100, 4, 0]), unit="whole_word")
    <Strategy weighted>
    """
    of_units = weights if callable(weights) else partial(mean_token_weights, weights=checked_weights(weights))
    return dataclasses.replace(_unit_strategy(unit), name="weighted", weights=of_units)


def entity(
    entity_probability: float = 0.5,
    column: str = "labels",
    tag_names: Sequence[str] | None = None,
    outside: Collection[int] = (0,),
    unit: Unit = "whole_word",
) -> Strategy:
    """Masks entity words at their own rate, and all other words at `mlm_probability` (Sun et al. 2019, ERNIE).

    The tags are those of a dataset for named entity recognition, one per token, in the usual alignment: a token tagged
    -100 belongs to the word or mention before it. Under `Trainer`, the column `labels` survives
    `remove_unused_columns`; the labels of masking replace it in the batch.

    With `exact_count`, each word keeps its own probability, and the number of masked tokens follows from both rates.

    Args:
        entity_probability: the probability that an entity word, or a mention, is masked, in [0, 1].
        column: the column of the examples that holds the tags.
        tag_names: the name of each tag (IOB2), such as `dataset.features["ner_tags"].feature.names`. With names, all
            words of a mention are masked together, and tags named "O" are outside entities.
        outside: the tags outside entities, if there are no names.
        unit: see [`span`].

    Raises:
        ValueError: if the probability is not in [0, 1], or `tag_names` are not in IOB2.

    >>> from hf_dynmask import DataCollatorForDynamicMasking
    >>> collator = DataCollatorForDynamicMasking(tokenizer, 0.0, strategy=entity(1.0), num_mask_patterns=1)
    >>> batch = collator([{**tokenizer("the cat sat on a mat"), "labels": [-100, 0, 1, 0, 0, 0, 1, -100]}])
    >>> (batch["labels"][0] != -100).int().tolist()
    [0, 0, 1, 0, 0, 0, 1, 0]
    """
    probability = checked_rate(entity_probability, "entity_probability")
    units = _unit_strategy(unit)
    partition = units.partition
    if tag_names is not None:
        if "O" not in tag_names or any(name != "O" and name[:2] not in ("B-", "I-") for name in tag_names):
            raise ValueError(
                '`tag_names` must be "O" and names that begin with "B-" or "I-" (IOB2), but got '
                f'{list(tag_names)}. Rename others, such as BIOES\'s "S-" to "B-" and "E-" to "I-".'
            )
        outside = tuple(tag for tag, name in enumerate(tag_names) if name == "O")
        inside = tuple(tag for tag, name in enumerate(tag_names) if name.startswith("I-"))
        partition = partial(mention_starts, partition=partition, column=column, inside=inside, outside=outside)
    probs = partial(entity_probs, probability=probability, column=column, outside=tuple(outside))
    columns = (*units.columns, column)
    return dataclasses.replace(units, name="entity", partition=partition, probs=probs, columns=columns)


def adaptive(losses: TokenLosses | None = None, unit: Unit = "token") -> Strategy:
    """Masks units in proportion to the loss that the model has on their tokens (see [`TokenLosses`]).

    Pass `collator.losses.compute_loss` to `Trainer` as `compute_loss_func`, and pass [`MaskRateCallback`]. The weights
    change from epoch to epoch, and are saved with checkpoints and resumed. In the first epoch, all units are equally
    likely.

    Args:
        losses: the losses to follow; None for new ones.
        unit: see [`span`].

    Raises:
        ValueError: if `losses` is not a [`TokenLosses`], or `unit` does more than mark where units begin.

    >>> adaptive(TokenLosses(decay=0.9), unit="whole_word")
    <Strategy adaptive>
    """
    losses = TokenLosses() if losses is None else losses
    if not isinstance(losses, TokenLosses):
        raise ValueError(f"`losses` must be `TokenLosses(...)`, but got {losses!r}. Pass None for new ones.")
    return dataclasses.replace(_unit_strategy(unit), name="adaptive", weights=losses.weights, losses=losses)


STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "token": token,
    "whole_word": whole_word,
    "span": span,
    "ngram": ngram,
    "position": position,
    "entity": entity,
    "adaptive": adaptive,
}


def _unit_strategy(unit: Unit) -> Strategy:
    """The strategy that marks where units begin.

    Raises:
        ValueError: if it also gives probabilities, which the strategy made of these units decides.
    """
    strategy = resolve_strategy(unit, "unit")
    for name in ("weights", "probs", "draws"):
        if getattr(strategy, name) is not None:
            raise ValueError(
                f"`unit` must only mark where units begin, but got {strategy!r}, whose `{name}` would be ignored. "
                'Pass it as `strategy` by itself, or another unit such as `"whole_word"`.'
            )
    return strategy


def resolve_strategy(strategy: Any, argument: str = "strategy") -> Strategy:
    """The `strategy` of this name, the one that was passed, or the one whose units a function tells.

    Raises:
        ValueError: if there is none of this name, and the message, which names `argument`, offers the nearest.

    >>> resolve_strategy("whole_word")
    <Strategy whole_word>
    """
    if isinstance(strategy, Strategy):
        return strategy
    if any(strategy is make for make in (*STRATEGIES.values(), weighted)):
        raise ValueError(
            f"`{argument}` must be a strategy, but got the function `strategies.{strategy.__name__}` that makes one. "
            f"Call it: `strategies.{strategy.__name__}(...)`."
        )
    if isinstance(strategy, type):
        raise ValueError(
            f"`{argument}` must be a strategy or a function, but got the class `{strategy.__name__}`. Pass an instance."
        )
    if callable(strategy):
        return Strategy(getattr(strategy, "__name__", type(strategy).__name__), strategy)
    if not isinstance(strategy, str) or strategy not in STRATEGIES:
        made = str(strategy).split("(")[0]
        near = difflib.get_close_matches(made, STRATEGIES, n=1, cutoff=0.0)[0]
        meant = f"`strategies.{made}(...)`" if made in (*STRATEGIES, "weighted") else repr(near)
        raise ValueError(
            f"`{argument}` must be one of {', '.join(map(repr, STRATEGIES))}, one made with arguments such as "
            f"`strategies.span(...)`, or a function, but got {strategy!r}. Did you mean {meant}?"
        )
    return STRATEGIES[strategy]()
