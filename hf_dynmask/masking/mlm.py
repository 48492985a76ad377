"""The pure function: mask = f(seed, example, pattern, rate, strategy).

It has no state, and does not depend on the order of batches, workers, ranks or time. The same sequence with the same
plan, pattern and rate gets the same mask, in any batch.

A change of the masks is a breaking change. It needs a new major version and a line in CHANGELOG.md; `tests/golden`
detects it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from hf_dynmask.batching.eligibility import maskable_tokens, strategy_column, unlabeled_tokens
from hf_dynmask.core.checks import checked_flag, checked_integer, checked_replacement_probs
from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch, RaggedTokens
from hf_dynmask.core.rows import count_per_row
from hf_dynmask.masking.keys import draw_keys_and_rates, draw_rates_in_pairs
from hf_dynmask.masking.replacement import RandomIds, random_ids, replace
from hf_dynmask.masking.unit_selection import select_units
from hf_dynmask.masking.views import SINGLE_VIEW, Views, complement
from hf_dynmask.rates.distributions import RateDistribution, TokenRates
from hf_dynmask.rates.schedules import FixedRate, Rate
from hf_dynmask.strategies import Strategy
from hf_dynmask.strategies.aligned_labels import word_continuations
from hf_dynmask.strategies.masking_tokens import MaskingTokens
from hf_dynmask.strategies.units import Units, every_token, partition_units
from hf_dynmask.vocabulary.vocabulary import Vocabulary, check_mask_token


@dataclass(frozen=True, eq=False)
class MaskingPlan:
    """The settings of masks that do not change between batches.

    For the arguments, see [`DataCollatorForDynamicMasking`].

    Raises:
        ValueError: if an argument is out of its range, or the strategy does not work with this vocabulary.
    """

    vocabulary: Vocabulary
    strategy: Strategy
    mask_replace_prob: float
    random_replace_prob: float
    exact_count: bool
    min_masked: int
    seed: int
    replacement_weights: Any = None
    mntp: bool = False
    views: Views = SINGLE_VIEW
    rate: InitVar[Rate] = 0.5  # tried on a token, so that construction raises what a distribution or the strategy would

    def __post_init__(self, rate: Rate) -> None:
        checked_flag(self.exact_count, "exact_count")
        checked_replacement_probs(self.mask_replace_prob, self.random_replace_prob)
        if self.replacement_weights is not None and self.random_replace_prob == 0:
            raise ValueError(
                "`replacement_weights` must be left out with `random_replace_prob=0.0`, as no token then becomes a "
                "random one. Pass `random_replace_prob=0.1`, or leave one of them out."
            )
        if self.mask_replace_prob > 0:
            check_mask_token(self.vocabulary, "`mask_replace_prob=0.0` to do without, or `mlm=False` to mask nothing")
        checked_integer(self.min_masked, "min_masked", 0, "Pass 0 to allow sequences without a label.")
        checked_integer(self.seed, "seed", None, "Pass None for the Trainer's seed.")
        _ = self.random_ids
        self._try_rate(rate if isinstance(rate, RateDistribution) else 0.5)

    @cached_property
    def random_ids(self) -> RandomIds:
        """The ids that random replacements are drawn from."""
        return random_ids(self.vocabulary, self.replacement_weights)

    def maskable_by_ids(self, tokens: RaggedTokens) -> np.ndarray:
        """Which tokens are maskable as far as the ids and their positions tell: bool `[tokens]`."""
        maskable = self.vocabulary.maskable.take(tokens.input_ids)
        if self.mntp:
            keep_first_tokens(maskable, tokens)
        return maskable

    def _try_rate(self, rate: FixedRate) -> None:
        """Masks a sequence of one token at this rate.

        Raises:
            ValueError: if the strategy fails, or does not work with the rate.
        """
        token = RaggedTokens(np.zeros(1, np.int64), np.ones(1, np.int64))
        columns = {name: np.zeros(1, np.int64) for name in self.strategy.columns}
        try:
            mask_tokens(token, np.ones(1, dtype=bool), rate, 0, self, columns)
        except Exception as error:
            if isinstance(error, ValueError) and str(error).startswith("`"):  # already names the argument
                raise
            raise ValueError(
                f"`strategy` must be made of functions that accept any sequences, but {self.strategy!r} fails for a "
                f"sequence of one token: {type(error).__name__}: {error}. A custom function takes `MaskingTokens` and "
                "returns a bool for each token."
            ) from error


def keep_first_tokens(maskable: np.ndarray, tokens: RaggedTokens) -> None:
    """Makes `maskable`, bool `[tokens]`, False at the first token of each sequence, which no token predicts."""
    maskable[tokens.row_starts] = False


class Masked(NamedTuple):
    """The masks of sequences.

    Attributes:
        indices: int64 `[masked]`, the indices of masked tokens, in rising order.
        rates: the mask rate of each sequence; one number, float64 `[sequences]`, or the rates of tokens.
        tokens: the sequences, with the keys of their draws.
        plan: the plan of the masks.
    """

    indices: np.ndarray
    rates: float | np.ndarray | TokenRates
    tokens: MaskingTokens
    plan: MaskingPlan

    @property
    def units(self) -> Units:
        """The units of the sequences. Made at each access: kept, their arrays would slow down every batch."""
        return partition_units(self.tokens, self.plan.strategy.partition)

    @property
    def ids(self) -> np.ndarray:
        """int64 `[masked]`: the ids that replace the masked tokens in the input. Drawn at each access."""
        return replacement_ids(self.tokens, self.indices, self.plan)


def mask_batch(batch: RaggedBatch, rate: FixedRate | np.ndarray, pattern: int, plan: MaskingPlan) -> Masked:
    """Masks the sequences of a batch without padding, by its columns. For the arguments, see [`mask_tokens`].

    If the plan has several views, the batch contains each sequence as many times, in place.
    """
    read, tokens, rows = plan.strategy.columns, batch.tokens, len(batch.lengths)
    maskable = maskable_tokens(batch, plan.vocabulary, read)
    if plan.mntp:
        keep_first_tokens(maskable, tokens)
    unlabeled = unlabeled_tokens(batch, plan.vocabulary, read)
    columns = {name: strategy_column(batch, name) for name in read}
    if plan.views.count == 1:
        return mask_tokens(tokens, maskable, rate, pattern, plan, columns, unlabeled)
    patterns, complemented = plan.views.patterns(pattern, rows), plan.views.complemented(rows)
    rates = rate if complemented is None else draw_rates_in_pairs(tokens, rate, pattern, plan.seed)
    return mask_tokens(tokens, maskable, rates, patterns, plan, columns, unlabeled, complemented)


def mask_tokens(
    tokens: RaggedTokens,
    maskable: np.ndarray,
    rate: FixedRate | np.ndarray | TokenRates,
    pattern: int | np.ndarray,
    plan: MaskingPlan,
    columns: Mapping[str, np.ndarray] | None = None,
    unlabeled: np.ndarray | None = None,
    complemented: np.ndarray | None = None,
) -> Masked:
    """Masks sequences.

    Args:
        tokens: the sequences, without padding.
        maskable: bool `[tokens]`, False for tokens that are never masked.
        rate: the expected fraction of masked tokens; one number in [0, 1], a distribution from which each sequence
            draws its rate, float64 `[sequences]`, or the rates of tokens.
        pattern: which of the masks of each example; one integer, or uint64 `[sequences]`.
        plan: the other settings.
        columns: the additional columns that the strategy reads, `[tokens]` each.
        unlabeled: bool `[tokens]`, True for tokens that are not maskable only because their label is -100; None if
            there are none.
        complemented: bool `[sequences]`, True for sequences whose mask is the complement of this mask; None if there
            are none.
    """
    keys, rates = draw_keys_and_rates(tokens, rate, pattern, plan.seed)
    masking_tokens = MaskingTokens(tokens.input_ids, tokens.lengths, plan.vocabulary, maskable, keys, columns or {})
    masking_tokens.__dict__.update(tokens.__dict__)  # keeps the positions, which the keys needed
    if unlabeled is not None and plan.strategy.partition is not every_token:  # which masks each token by itself
        masking_tokens.pieces = word_continuations(masking_tokens, unlabeled, plan.strategy.words)
    units = partition_units(masking_tokens, plan.strategy.partition)
    indices = select_units(units, rates, plan.strategy, plan.exact_count, plan.min_masked)
    if complemented is not None:
        indices, rates = complement(units, indices, rates, complemented)
    return Masked(indices, rates, masking_tokens, plan)


def replacement_ids(tokens: MaskingTokens, masked: np.ndarray, plan: MaskingPlan) -> np.ndarray:
    """The ids that replace the masked tokens (int64 `[masked]`, their indices) in the input: int64 `[masked]`."""
    return replace(
        tokens.input_ids[masked],
        tokens.keys,
        count_per_row(masked, tokens.ends),
        tokens.positions[masked],
        plan.vocabulary.mask_token_id,
        plan.random_ids,
        plan.mask_replace_prob,
        plan.random_replace_prob,
    )


def apply_mask(input_ids: np.ndarray, indices: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Writes `ids` to the flat `indices` of `input_ids`, int64, in place.

    Returns:
        The labels, int64 of the same shape: the original ids at these indices, -100 elsewhere.
    """
    flat_ids, labels = input_ids.reshape(-1), np.empty(input_ids.size, dtype=np.int64)
    labels.fill(IGNORE_INDEX)
    labels[indices] = flat_ids[indices]
    flat_ids[indices] = ids
    return labels.reshape(input_ids.shape)
