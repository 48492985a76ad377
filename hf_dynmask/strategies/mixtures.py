"""Mixtures: a strategy that is drawn anew for each mask of each example."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any

from hf_dynmask.strategies.mixing import (
    Components,
    mixed_draws,
    mixed_probs,
    mixed_starts,
    mixed_weights,
    mixed_word_starts,
    normalized,
    uniform_sequences,
)
from hf_dynmask.strategies.registry import Unit, resolve_strategy
from hf_dynmask.strategies.strategy import Strategy
from hf_dynmask.strategies.units import Partition

_EXAMPLES = '`{"span": 0.5, "token": 0.5}` or `[(strategies.span(fixed_lengths(3)), 0.5), ("token", 0.5)]`'


def mixture(components: Mapping[Unit, float] | Sequence[tuple[Unit, float]]) -> Strategy:
    """Masks each sequence by one of several strategies, drawn with `P(component i) = weight[i] / sum(weight)`.

    The draw follows from the seed, the example and the epoch, as the mask does. A sequence has exactly the mask that
    its component gives it alone, at the same rate. Tay et al. 2022 (UL2) mix denoising tasks in the same way; for
    theirs, see `denoisers` of [`DataCollatorForSpanCorruption`].

    All components share the settings of the collator, with these effects:

    - If one component has probabilities of its own, as [`entity`] has, `exact_count` gives all sequences exact counts
      of units, as [`entity`] describes, so their masks are not those of the component alone. Nor are, with
      `exact_count`, those of `position("every_nth")`.
    - `min_masked` may fill up a sequence with other units than its component alone would choose, if one component has
      weights and another has probabilities of its own.
    - If one component reads the column `labels`, labels of -100 exclude no token from any component.

    Args:
        components: the weight of each strategy: a mapping, or a sequence of pairs. A strategy is a name, a strategy
            made with arguments, or a partition function. Weights are relative, so that `{"span": 3, "token": 1}` masks
            spans in 75 % of the sequences. A component may itself be a mixture.

    Raises:
        ValueError: if there is no component, a strategy is unknown or follows losses as [`adaptive`] does, its units
            are those of a mixture, or a weight is not a finite number above 0.

    >>> mixture({"span": 3, "token": 1})
    <Strategy mixture(span 75 %, token 25 %)>
    >>> from hf_dynmask import DataCollatorForDynamicMasking
    >>> collator = DataCollatorForDynamicMasking(tokenizer, strategy=mixture({"whole_word": 0.5, "token": 0.5}), seed=0)
    >>> tuple(collator([tokenizer("the cat sat on a mat")], epoch=0)["labels"].shape)
    (1, 8)
    """
    strategies, weights = zip(*_flattened(components), strict=True)
    mixed = Components(strategies, normalized(weights))
    has = {
        name: any(getattr(strategy, name) is not None for strategy in mixed.strategies)
        for name in ("weights", "probs", "draws", "words")
    }
    shown = ", ".join(f"{strategy.name} {100 * share:.3g} %" for strategy, share in zip(*mixed, strict=True))
    return Strategy(
        name=f"mixture({shown})",
        partition=partial(mixed_starts, mixed=mixed),
        weights=partial(mixed_weights, mixed=mixed) if has["weights"] and not has["probs"] else None,
        probs=partial(mixed_probs, mixed=mixed) if has["probs"] else None,
        draws=partial(mixed_draws, mixed=mixed) if has["draws"] else None,
        columns=tuple(dict.fromkeys(column for strategy in mixed.strategies for column in strategy.columns)),
        words=partial(mixed_word_starts, mixed=mixed) if has["words"] else None,
        counts=all(strategy.counts for strategy in mixed.strategies),
        uniform=partial(uniform_sequences, mixed=mixed) if has["weights"] or has["draws"] else None,
    )


def _flattened(components: Any) -> Iterator[tuple[Strategy, float]]:
    """The components and their weights. A mixture among them gives way to its own components.

    All mixtures share one draw of a sequence, so one within another would not be independent of it.
    """
    for given, weight in _pairs(components):
        strategy = resolve_strategy(given, "components")
        if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 < float(weight) < math.inf:
            raise ValueError(
                f"`components` must have weights that are finite numbers above 0, but got {weight!r} for {given!r}. "
                "Weights are relative: pass 1.0 for each to draw all equally often, and leave out what is not to occur."
            )
        _check_component(strategy)
        inner = _mixed_in(strategy.partition)
        if inner is None:
            yield strategy, float(weight)
        else:
            yield from ((each, float(weight) * share) for each, share in zip(*inner, strict=True))


def _pairs(components: Any) -> list[tuple[Any, Any]]:
    if isinstance(components, Mapping):
        components = list(components.items())
    is_list = isinstance(components, Sequence) and not isinstance(components, str)
    if not is_list or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in components):
        raise ValueError(
            "`components` must be a mapping from strategies to weights, or a sequence of pairs of a strategy and its "
            f"weight, but got {components!r}. Pass {_EXAMPLES}."
        )
    if not components:
        raise ValueError(f"`components` must have at least one strategy, but got none. Pass {_EXAMPLES}.")
    return list(components)


def _check_component(strategy: Strategy) -> None:
    if strategy.losses is not None:
        raise ValueError(
            f"`components` must not follow the losses of the model, but got {strategy!r}, whose losses are those of "
            "tokens that it masks itself. Pass it as `strategy` alone, or mix others."
        )
    unit = getattr(strategy.partition, "keywords", {}).get("partition")
    while unit is not None:
        if _mixed_in(unit) is not None:
            raise ValueError(
                f"`components` must not have the units of a mixture, but {strategy!r} has. Mix strategies with "
                'different units instead, such as `[(strategies.span(unit="token"), 0.5), ("span", 0.5)]`.'
            )
        unit = getattr(unit, "keywords", {}).get("partition")


def _mixed_in(partition: Partition) -> Components | None:
    """The components of the mixture that has this partition; None if it is of no mixture."""
    return partition.keywords["mixed"] if getattr(partition, "func", None) is mixed_starts else None  # type: ignore[attr-defined]
