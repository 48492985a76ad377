"""The data collator: examples in, masked batch out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_dynmask.batching.columns import check_names
from hf_dynmask.batching.eligibility import (
    attended_tokens,
    check_columns,
    labelled_tokens,
    maskable_tokens,
    strategy_column,
    unlabelled_tokens,
)
from hf_dynmask.batching.examples import ragged_batch
from hf_dynmask.batching.layout import check_layout, encoding, flattened, pad_token_id, padded, padded_indices
from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.collators.constructor import explain_arguments
from hf_dynmask.core.checks import checked_flag, checked_integer
from hf_dynmask.core.ragged import (
    IGNORE_INDEX,
    RaggedBatch,
    of_attended,
    only_attended,
    starts_of,
    tokens_of,
    with_column,
    without,
)
from hf_dynmask.masking.mlm import Masked, MaskingPlan, apply_mask, causal_labels, mask_tokens
from hf_dynmask.rates.schedules import FixedRate, Rate, checked_evaluation_rate
from hf_dynmask.strategies import Strategy, whole_word

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase

_FILLS = {"labels": IGNORE_INDEX, "special_tokens_mask": 1}
_FLAGS = ("mlm", "whole_word_mask", "return_mask_rate", "padding_free", "return_seq_idx", "return_flash_attn_kwargs")
_NOT_FOR_THE_MODEL = ("special_tokens_mask", "offset_mapping")


@explain_arguments
@dataclass
class DataCollatorForDynamicMasking(EpochAwareCollator):
    """Pads examples and masks their tokens for masked language modeling (MLM), afresh in every epoch.

    Takes the place of transformers' `DataCollatorForLanguageModeling`. A mask is a pure function of the seed, the
    example's token ids, the epoch, the mask rate and the strategy, so that it does not depend on workers, ranks, batch
    size or on whether training was resumed. The epoch comes from [`MaskRateCallback`] or from [`set_epoch`]; where it
    is not known, every batch takes a fresh number from torch's global generator instead: dynamic as well, but not
    reproducible across workers and ranks.

    Args:
        tokenizer: a transformers tokenizer with a mask token. What changes in it later, tokens that are added or their
            roles, counts from the next batch on; in workers that are running already, which have a copy, once they
            begin anew. A token that is only marked as special, without a role, by `add_tokens(...,
            special_tokens=True)`, counts from the next epoch that is announced, or from `collator.tokenizer =
            tokenizer` on.
        mlm_probability: the fraction of tokens to mask, in [0, 1]; or a schedule: a function from training progress in
            [0, 1] to such a fraction; or a distribution that each sequence draws its own from, such as
            `uniform_rate()`.
        strategy: which tokens are masked together, and how likely: `"token"`, `"whole_word"`, `"span"`, `"ngram"`,
            `"position"`, `"entity"`, `"adaptive"`; one of these made with arguments, or `weighted`, such as
            `strategies.span(fixed_lengths(3))`; or a function of your own (see `hf_dynmask.strategies`).
        mask_replace_prob: the share of masked tokens that become the mask token.
        random_replace_prob: the share that become a random token, never a special one; the rest keep their id.
        num_mask_patterns: how many masks an example has: None for a new one each epoch (dynamic masking), 1 for one and
            the same (static), k for k that take turns (BERT's duplicated data).
        exact_count: mask exactly `mlm_probability` times the maskable tokens of a sequence (rounded up or down at
            random, so that the mean is right; to whole units), instead of each with its own probability. Under weights,
            the probability of a unit is then only roughly in proportion to its weight.
        min_masked: at least so many labels in every sequence that has as many maskable tokens, so that no loss is NaN.
        seed: any integer; None for the `Trainer`'s `args.seed` under [`MaskRateCallback`], and 0 otherwise. Neither
            draws from nor touches any global random state.
        pad_to_multiple_of: pad to a multiple of this length.
        return_tensors: `"pt"` or `"np"`.
        mlm: False for causal language modeling: nothing is masked, and the labels equal `input_ids`, with -100 at
            padding.
        whole_word_mask: True is `strategy="whole_word"`.
        return_mask_rate: the batch also holds `mask_rate`, the rate asked of each sequence, for weights of the loss.
            With weights of 1 / rate, pass `min_masked=0`: a token that is masked for sure would bias them.
        padding_free: lay the batch out as one row without padding, as `DataCollatorWithFlattening` does. The model's
            attention must keep the sequences apart, as FlashAttention does with transformers 5; SDPA and eager
            attention of encoders see the row as one sequence.
        position_ids_start: without padding, the position of each sequence's first token: 0, and for RoBERTa and its
            kin `padding_idx + 1`, which is 2.
        return_seq_idx: without padding, the batch also holds `seq_idx`.
        return_flash_attn_kwargs: without padding, the batch also holds `cu_seq_lens_q`, `cu_seq_lens_k`,
            `max_length_q` and `max_length_k`, from which FlashAttention learns where sequences end: some models, such
            as ModernBERT, do not tell it by `position_ids`. False for models that take no such arguments.
        per_token_columns: the names of further columns with a value for each token, where the examples have them. What
            a column is depends on its name alone: one that is neither named here nor known is stacked.

    Examples in are mappings (or bare sequences of ids) with, of any lengths, as lists, numpy arrays or torch tensors:

        - **input_ids**: integers; may come padded.
        - **attention_mask** (optional): 0 where padded. Without it, a pad token is padding.
        - **special_tokens_mask** (optional): 1 where never to mask, besides the tokenizer's special tokens.
        - **labels** (optional): -100 where never to mask, except that a token labelled -100 goes with its word if the
          first token of the word has a label, as in data sets for named entity recognition: strategies that mask words
          whole then mask and predict all of its tokens. Under `strategy="entity"`, the tags. One number for each
          example, its class, is not read: the labels of masking take its place, as in the stock collator.
        - further columns with a value for each token, padded with 0 (`token_type_ids` with the tokenizer's own value):
          those that transformers' tokenizers make, such as `position_ids` and `bbox`; those that the strategy reads;
          and `per_token_columns`.
        - any other column: stacked, and so of one shape for every example.

    Returns a `BatchEncoding` of what `model.forward` takes:

        - **input_ids**: int64 `[batch, length]`, masked, padded with the pad token on the tokenizer's `padding_side`.
        - **attention_mask**: int64 `[batch, length]`, 1 for tokens, 0 for padding.
        - **labels**: int64 `[batch, length]`, the original ids of the masked tokens, -100 elsewhere.
        - **mask_rate** (on request): float32 `[batch]`.
        - further columns of the examples, but those that only the strategy reads.

        Without padding, **input_ids** and **labels** are int64 `[1, tokens]`, there is no `attention_mask`, but
        **position_ids**, int64 `[1, tokens]`; **cu_seq_lens_q** and **cu_seq_lens_k**, int32 `[batch + 1]`,
        **max_length_q** and **max_length_k**, ints; on request **seq_idx**, int32 `[1, tokens]`.

    Raises:
        ValueError: for bad arguments, here; for bad examples, and a schedule that goes wrong, when called.

    Example:

        >>> collator = DataCollatorForDynamicMasking(tokenizer, mlm_probability=0.3, seed=1)
        >>> collator.set_epoch(0)
        >>> batch = collator([tokenizer("the cat sat on a mat"), tokenizer("the dog")])
        >>> {name: tuple(values.shape) for name, values in batch.items()}
        {'input_ids': (2, 8), 'attention_mask': (2, 8), 'labels': (2, 8)}
    """

    tokenizer: PreTrainedTokenizerBase
    mlm_probability: Rate = 0.15
    _: KW_ONLY
    strategy: str | Strategy = "token"
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    num_mask_patterns: int | None = None
    exact_count: bool = False
    min_masked: int = 1
    seed: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    mlm: bool = True
    whole_word_mask: bool = False
    return_mask_rate: bool = False
    padding_free: bool = False
    position_ids_start: int = 0
    return_seq_idx: bool = False
    return_flash_attn_kwargs: bool = True
    per_token_columns: Sequence[str] = ()

    def for_evaluation(self, mlm_probability: FixedRate = 0.15) -> DataCollatorForDynamicMasking:
        """A collator like this one for evaluation: one fixed mask for each example, at a fixed rate.

        So evaluation losses can be compared along a run, between schedules and between runs of one seed. A strategy
        that follows the model's losses does not do so here: it weighs all units alike.
        """
        rate = checked_evaluation_rate(mlm_probability)
        strategy = self._strategy.for_evaluation()
        return self._clone_with(mlm_probability=rate, strategy=strategy, num_mask_patterns=1, is_evaluation=True)

    @property
    def is_audited(self) -> bool:  # type: ignore[override]
        """Whether it masks anything."""
        return self.mlm

    def __str__(self) -> str:
        return super().__str__() if self.mlm else "No masking: labels for causal language modeling."

    def _details(self) -> tuple[str, ...]:
        from hf_dynmask.collators.summary import replacements, units  # not at import: few ask

        layout = ("one row without padding",) if self.padding_free else ()
        outcome = replacements(self.mask_replace_prob, self.random_replace_prob)
        return units(self._plan.strategy, self.exact_count), outcome, *layout

    def _make_plan(self) -> MaskingPlan | None:
        """None if nothing is masked."""
        check_layout(self.pad_to_multiple_of, self.return_tensors)
        check_names(self.per_token_columns)
        checked_integer(self.position_ids_start, "position_ids_start", 0, "RoBERTa's is 2.", maximum=1 << 31)
        for name in _FLAGS:
            checked_flag(getattr(self, name), name)
        self._check_padding_free()
        strategy = _with_whole_words(self._strategy, self.whole_word_mask, self.mlm)
        if not self.mlm:
            return None
        return MaskingPlan(
            vocabulary=self._vocabulary,
            strategy=strategy,
            mask_replace_prob=self.mask_replace_prob,
            random_replace_prob=self.random_replace_prob,
            exact_count=self.exact_count,
            min_masked=self.min_masked,
            seed=0 if self.seed is None else self.seed,
        )

    def _check_rate(self) -> None:
        if self.mlm:
            super()._check_rate()

    def _check_padding_free(self) -> None:
        """Arguments of the one layout that the other would pass over."""
        if self.padding_free and self.pad_to_multiple_of is not None:
            raise ValueError(
                "`pad_to_multiple_of` must be None with `padding_free=True`, which pads nothing, but got "
                f"{self.pad_to_multiple_of}. Pass one of the two."
            )
        for name in ("return_seq_idx", "position_ids_start"):
            if getattr(self, name) and not self.padding_free:
                raise ValueError(
                    f"`{name}` must be left at its default without `padding_free=True`, as padded batches have no such "
                    f"column, but got {getattr(self, name)!r}. Pass `padding_free=True`, or leave it out."
                )

    def _collate(
        self, examples: Sequence[Any], return_tensors: str | None, rate: FixedRate, pattern: int
    ) -> BatchEncoding:
        plan = self._plan  # first: it checks what was set since the last call
        batch = ragged_batch(examples, (*self.per_token_columns, *self._strategy.columns))
        check_columns(batch, self._vocabulary)
        attended = attended_tokens(batch, self._vocabulary)
        if plan is None:
            rates: float | np.ndarray = 0.0
            columns = self._lay_out(self._with_causal_labels(batch, attended), attended)
        else:
            masked = self._masked(batch, attended, rate, pattern)
            rates = masked.rates
            columns = self._lay_out(without(batch, ("labels", *plan.strategy.columns)), attended)
            columns["labels"] = apply_mask(
                columns["input_ids"], self._indices(masked.indices, batch, attended), masked.ids
            )
        if self.return_mask_rate:
            columns["mask_rate"] = np.full(len(batch.lengths), rates, dtype=np.float32)
        return encoding(columns, return_tensors or self.return_tensors)

    def _masked(self, batch: RaggedBatch, attended: np.ndarray | None, rate: FixedRate, pattern: int) -> Masked:
        read = self._plan.strategy.columns
        maskable = of_attended(maskable_tokens(batch, self._vocabulary, read), attended)
        unlabelled = unlabelled_tokens(batch, self._vocabulary, read)
        if unlabelled is not None:
            unlabelled = of_attended(unlabelled, attended)
        columns = {name: of_attended(strategy_column(batch, name), attended) for name in read}
        return mask_tokens(tokens_of(batch, attended), maskable, rate, pattern, self._plan, columns, unlabelled)

    def _with_causal_labels(self, batch: RaggedBatch, attended: np.ndarray | None) -> RaggedBatch:
        labelled = labelled_tokens(batch) if attended is None else labelled_tokens(batch) & attended
        labels = causal_labels(batch.per_token["input_ids"], labelled, self._vocabulary.pad_token_id)
        return with_column(batch, "labels", labels)

    def _lay_out(self, batch: RaggedBatch, attended: np.ndarray | None) -> dict[str, Any]:
        batch = without(batch, ("attention_mask", *_NOT_FOR_THE_MODEL))
        if self.padding_free:
            batch = only_attended(batch, attended)
            if not self.mlm:
                batch.per_token["labels"][starts_of(batch)] = IGNORE_INDEX  # nothing before it to predict it from
            return flattened(batch, self.position_ids_start, self.return_seq_idx, self.return_flash_attn_kwargs)
        if attended is not None:
            batch = with_column(batch, "attention_mask", attended.astype(np.int64))
        pad = pad_token_id(self._vocabulary, batch.lengths, self.pad_to_multiple_of)
        fills = {"input_ids": pad, "token_type_ids": self._vocabulary.pad_token_type_id, **_FILLS}
        return padded(batch, fills, self.tokenizer.padding_side, self.pad_to_multiple_of)

    def _indices(self, indices: np.ndarray, batch: RaggedBatch, attended: np.ndarray | None) -> np.ndarray:
        """Where the attended tokens that are at `indices` are laid out."""
        if self.padding_free:
            return indices
        if attended is not None:
            indices = np.flatnonzero(attended)[indices]
        return padded_indices(indices, batch.lengths, self.tokenizer.padding_side, self.pad_to_multiple_of)


def _with_whole_words(strategy: Strategy, whole_word_mask: bool, mlm: bool) -> Strategy:
    """transformers' own argument for whole words is another way to ask for them."""
    if not whole_word_mask:
        return strategy
    if not mlm:
        raise ValueError("`whole_word_mask` must be False with `mlm=False`, but got True: nothing is masked then.")
    if strategy.name not in ("token", "whole_word"):
        raise ValueError(
            f'`whole_word_mask=True` is `strategy="whole_word"`, but got `strategy={strategy!r}` as well. Pass one.'
        )
    return whole_word()
