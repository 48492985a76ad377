"""The ways of masking, each two short functions: which tokens are masked together, and how likely.

A strategy is named (`strategy="span"`), made with arguments (`strategy=strategies.span(fixed_lengths(3))`), or a
function of your own that tells where units begin:

    >>> def pairs(tokens):
    ...     return tokens.positions % 2 == 1  # behind [CLS], two tokens at a time
    >>> from hf_dynmask import DataCollatorForDynamicMasking
    >>> collator = DataCollatorForDynamicMasking(tokenizer, strategy=pairs, mlm_probability=0.5, num_mask_patterns=1)
    >>> masked = collator([tokenizer("the cat sat on a mat")])["labels"][0] != -100
    >>> bool((masked[1:7:2] == masked[2:8:2]).all())
    True

or a [`Strategy`] that also says how likely each unit is.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from hf_dynmask.core.checks import checked_choice, checked_integer, checked_length_probs, checked_rate
from hf_dynmask.strategies.entities import entity_probs, mention_starts
from hf_dynmask.strategies.frequencies import rarity_weights, token_counts
from hf_dynmask.strategies.lengths import fixed_lengths, geometric_lengths, poisson_lengths
from hf_dynmask.strategies.partitions import MaskingTokens, Partition, Units, every_token, runs, words
from hf_dynmask.strategies.positional import POSITIONS
from hf_dynmask.strategies.token_losses import TokenLosses
from hf_dynmask.strategies.weights import Weights, checked_weights, mean_token_weights
from hf_dynmask.vocabulary.words import Segmenter

__all__ = [
    "STRATEGIES",
    "Strategy",
    "TokenLosses",
    "adaptive",
    "entity",
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
]

OfUnits = Callable[[MaskingTokens, Units, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Strategy:
    """How to mask. Every function is given [`MaskingTokens`], and all but the first [`Units`] as well.

    Args:
        name: what it is called.
        partition: `partition(tokens) -> bool [tokens]`, True where a unit begins. Units are masked whole or not at all.
        weights: `weights(tokens, units) -> float64 [units]`, the relative probabilities of the units; the fraction of
            masked tokens is still the rate. None: equal for all.
        probs: `probs(tokens, units, rates) -> float64 [units]`, the probability that each unit is masked, from the rate
            of each sequence, float64 `[sequences]`. Use it instead of `weights` where the rate need not be kept.
        draws: `draws(tokens, units, rates) -> float64 [units]` in [0, 1): a unit is masked if its draw is below its
            probability. None: independent uniform draws.
        columns: the columns of the examples, with a value for each token, that it reads from `tokens.columns`.
        losses: the losses that the weights follow, if they do (see [`adaptive`]).
        words: as `partition`, True where a word begins; None for what the vocabulary says. It only matters where the
            examples' own labels have -100 within words: see `labels` of [`DataCollatorForDynamicMasking`].
        counts: whether `draws` mask an exact count by themselves, so that `exact_count` has nothing to add.

    Raises:
        ValueError: if there are both `weights` and `probs`; from the collator, if a function fails or gives something
            else than what it says here.

    Long words, whole, are preferred by:

    >>> from hf_dynmask.strategies.partitions import words
    >>> Strategy("long words", partition=words, weights=lambda tokens, units: units.size.astype(float))
    <Strategy long words>
    """

    name: str
    partition: Partition
    weights: Weights | None = None
    probs: OfUnits | None = None
    draws: OfUnits | None = None
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
        """The same, but that all units are alike where their weights follow the model's losses."""
        return self if self.losses is None else dataclasses.replace(self, weights=None, losses=None)

    def __repr__(self) -> str:
        return f"<Strategy {self.name}>"


Unit = str | Strategy | Partition


def token() -> Strategy:
    """Every token by itself (Devlin et al. 2019, BERT).

    >>> token()
    <Strategy token>
    """
    return Strategy("token", every_token)


def whole_word(max_word_length: int | None = 16, segmenter: Segmenter | None = None) -> Strategy:
    """All tokens of a word together (Devlin's whole word masking of 2019; Cui et al. 2021 for Chinese).

    Where words begin is looked up in a table over the vocabulary: see `hf_dynmask.vocabulary.words`. A special token is
    no part of a word.

    Args:
        max_word_length: words of more characters or pieces than this are split, so that no text is masked all or
            nothing; None to split none.
        segmenter: a function from a text to its words, such as `jieba.lcut`, for scripts that are written without
            spaces; without one, each of their tokens is a word.

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
    """Spans of words of random length (Joshi et al. 2020, SpanBERT).

    Each sequence is cut into spans whose lengths are independent draws, and each span is masked with the probability of
    the rate. So a masked span begins at each word with the probability `rate / mean length`, the expected fraction of
    masked tokens is exactly the rate, and two masked spans may touch, as in SpanBERT.

    Args:
        lengths: the probabilities of spans of 1, 2, 3, ... units: [`geometric_lengths`] by default, as in SpanBERT,
            [`poisson_lengths`] (BART), [`fixed_lengths`], or your own.
        unit: what spans are made of: `"whole_word"`, `"token"`, a strategy made with arguments, or a function of your
            own; one that only says where units begin.

    Raises:
        ValueError: if `lengths` are not probabilities, or `unit` says more than where units begin.

    >>> span(fixed_lengths(3), unit="token")
    <Strategy span>
    """
    probs = geometric_lengths() if lengths is None else checked_length_probs(lengths)
    units = _unit_strategy(unit)
    return dataclasses.replace(units, name="span", partition=partial(runs, partition=units.partition, lengths=probs))


def ngram(weights: Sequence[float] = (1, 1 / 2, 1 / 3), unit: Unit = "whole_word") -> Strategy:
    """N-grams of words: with `weights`, `P(n) = weights[n - 1] / sum(weights)`.

    `1 / n` up to 3 is the choice of Lan et al. 2020 (ALBERT) and Megatron; ERNIE (Sun et al. 2019) masks phrases.
    Otherwise, and `unit`, as [`span`].

    >>> ngram([1, 1])
    <Strategy ngram>
    """
    return dataclasses.replace(span(weights, unit), name="ngram")


def position(kind: str = "block", unit: Unit = "token") -> Strategy:
    """What is masked depends on where it stands; the rate says how much.

    Args:
        kind: `"prefix"`: all after the first k units, `k = (1 - rate) * length` (prefix language modeling, Dong et al.
            2019, UniLM); `"suffix"`: all before the last k; `"block"`: one block at a random place; `"every_nth"`:
            every n-th unit, `n = 1 / rate`, from a random one on, which is an exact count with or without
            `exact_count`.
        unit: as for [`span`].

    Raises:
        ValueError: if there is no such `kind`, or `unit` says more than where units begin.

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
        weights: a number for each id of the vocabulary, of which a unit has the mean of its tokens, such as
            [`rarity_weights`]; or a function `weights(tokens, units) -> float [units]`, given [`MaskingTokens`] and
            [`Units`]. Not negative; 0 is masked last.
        unit: as for [`span`].

    Raises:
        ValueError: if a weight is negative or not finite, here; if there are not as many as ids, when called.

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
    """Entity words have a rate of their own, and all others `mlm_probability` (Sun et al. 2019, ERNIE; SpanBERT).

    The tags are those of a data set for named entity recognition, one for each token, as the usual alignment of tags
    and tokens gives them: a token that is tagged -100 is part of what it follows. Under `Trainer`, `labels` survives
    `remove_unused_columns`; the batch's own labels take its place.

    With `exact_count`, each word keeps its own probability, and the number of masked tokens is what the two give.

    Args:
        entity_probability: the probability that an entity word, or a mention, is masked, in [0, 1].
        column: the examples' column of tags.
        tag_names: the name of each tag (IOB2), such as `dataset.features["ner_tags"].feature.names`. With them, all
            words of one mention are masked together, and tags named "O" are outside.
        outside: the tags that are no entity, where there are no names.
        unit: as for [`span`].

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

    Hand `collator.losses.compute_loss` to `Trainer` as `compute_loss_func`, and pass [`MaskRateCallback`]. The weights
    follow from epoch to epoch, and are saved and resumed with checkpoints; in the first epoch, and so in a training of
    one, all units are alike.

    Args:
        losses: what the model's losses are; new ones by default.
        unit: as for [`span`].

    Raises:
        ValueError: if `losses` are no [`TokenLosses`], or `unit` says more than where units begin.

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
    """The strategy that says where units begin.

    Raises:
        ValueError: if it also says how likely each is, which the strategy that it is a unit of decides.
    """
    strategy = resolve_strategy(unit, "unit")
    for name in ("weights", "probs", "draws"):
        if getattr(strategy, name) is not None:
            raise ValueError(
                f"`unit` must say no more than where units begin, but got {strategy!r}, whose `{name}` would be lost. "
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
