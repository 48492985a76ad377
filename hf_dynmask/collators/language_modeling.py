"""The data collator: examples in, masked batch out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_dynmask.batching.causal_labels import causal_labels
from hf_dynmask.batching.columns import check_names
from hf_dynmask.batching.eligibility import check_columns, padding_mask
from hf_dynmask.batching.examples import ragged_batch
from hf_dynmask.batching.layout import (
    check_layout,
    encoding,
    filled_up,
    flattened,
    pad_token_id,
    padded,
    padded_indices,
)
from hf_dynmask.batching.packed_rows import PackedRows, pack_rows, packed
from hf_dynmask.batching.packing import Packing
from hf_dynmask.batching.packs import has_packs, refuse_packs, split_by_positions
from hf_dynmask.collators.argument_errors import explain_arguments
from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.collators.token_counts import count_tokens
from hf_dynmask.core.checks import checked_flag, checked_integer
from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch
from hf_dynmask.loading.batch_counts import RECORDER
from hf_dynmask.masking.mlm import MaskingPlan, apply_mask, mask_batch
from hf_dynmask.masking.views import Views, checked_views
from hf_dynmask.rates.distributions import TokenRates
from hf_dynmask.rates.schedules import FixedRate, Rate, checked_evaluation_rate
from hf_dynmask.strategies import Strategy, whole_word

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase

_MASK_RATE = "mask_rate"
_FILLS = {"labels": IGNORE_INDEX, "special_tokens_mask": 1, _MASK_RATE: 1}  # 1 / rate stays finite at padding
_FLAGS = ("mlm", "mntp", "whole_word_mask", "padding_free", "return_seq_idx", "return_flash_attn_kwargs")
_NOT_LAID_OUT = ("attention_mask", "special_tokens_mask", "offset_mapping")


@explain_arguments
@dataclass
class DataCollatorForDynamicMasking(EpochAwareCollator):
    """Pads examples and masks their tokens for masked language modeling (MLM), with new masks in each epoch.

    Replaces transformers' `DataCollatorForLanguageModeling`; the guide lists the differences. A mask is a pure function
    of the seed, the token ids of the example, the epoch, the mask rate and the strategy. It does not depend on workers,
    ranks, the batch size, or a resume. [`MaskRateCallback`], [`start_epoch`] or [`set_epoch`] sets the epoch. Without
    an epoch, masks are also dynamic, but depend on how batches are loaded.

    Args:
        tokenizer: a transformers tokenizer with a mask token. If you add tokens to it or change the role of a token,
            the next batch reflects the change. Workers have a copy of the tokenizer, so they reflect it after a
            restart. If you only mark an existing token as special with `add_tokens(..., special_tokens=True)`, the
            change applies from the next epoch that is set, or after `collator.tokenizer = tokenizer`.
        mlm_probability: the expected fraction of the maskable tokens to mask, in [0, 1]: special tokens and padding are
            not maskable. Or a schedule, a function from training progress in [0, 1] to such a fraction; or a
            distribution from which each sequence draws its rate, such as `uniform_rate()`.
        strategy: which tokens are masked together, and with what probability: `"token"`, `"whole_word"`, `"span"`,
            `"ngram"`, `"position"`, `"entity"` or `"adaptive"`; a strategy with arguments, such as
            `strategies.span(fixed_lengths(3))` or `strategies.weighted(weights)`; or a custom function (see
            `hf_dynmask.strategies`).
        mask_replace_prob: the probability that a masked token becomes the mask token.
        random_replace_prob: the probability that a masked token becomes a random token, never a special one. The
            remaining masked tokens keep their id.
        replacement_weights: the relative probability of each id to be drawn as a random token, `[vocab_size]`, such as
            powers of unigram counts (fairseq's `freq_weighted_replacement`), or 1 for a set of ids and 0 for others.
            None for equal probabilities. Special tokens are never drawn.
        unmaskable_ids: ids that are never masked, in addition to the special tokens, such as the ambiguous residues of
            a protein. A unit that contains one is not masked either.
        num_mask_patterns: the number of masks of an example: None for a new mask in each epoch (dynamic masking), 1 for
            a single mask (static), k for k masks in turn (the duplicated data of BERT).
        views: the number of masks of each example in a batch. The views of an example are consecutive rows, so a loss
            `[views * batch]` pairs as `loss.view(-1, views)`. View `v` of epoch `e` is the mask that epoch
            `views * e + v` has with one view. `"complementary"` for two views that mask each maskable token exactly
            once together (Bie et al. 2025, LLaDA 2.0): the second has the rate 1 - `mlm_probability`, and may have
            fewer labels than `min_masked`. `compute_metrics` of `Trainer` does not receive all rows of the last batch
            of an evaluation.
        exact_count: mask exactly `mlm_probability` times the maskable tokens of a sequence, to whole units and rounded
            up or down at random so that the mean is exact, instead of each unit with its own probability. With weights,
            the probability of a unit is then only roughly proportional to its weight.
        min_masked: the minimum number of labels in a sequence, or all of its maskable tokens if it has fewer. It avoids
            a loss of NaN.
        seed: any integer; None for the `args.seed` of `Trainer` with [`MaskRateCallback`], and 0 otherwise. The
            collator neither reads nor changes a global random state if it has a seed or an epoch.
        pad_to_multiple_of: pad to a multiple of this length. With `padding_free=True`, one more sequence of pad tokens,
            which are never masked and have no label, fills the row up to a multiple, such as the 16 of 8-bit floats.
        return_tensors: `"pt"` or `"np"`.
        mlm: False for causal language modeling: nothing is masked, and labels equal `input_ids`, with -100 at padding.
        mntp: True for masked next-token prediction (BehnamGhader et al. 2024, LLM2Vec), with `...ForCausalLM` models
            whose attention is bidirectional. They predict a token from the logits of the token before it, so the first
            token of a sequence, which has none, is never masked. The models shift the labels themselves. A tokenizer
            without a mask token needs one, such as `tokenizer.mask_token = "_"`, or `mask_replace_prob=0.0`.
        whole_word_mask: True is `strategy="whole_word"`.
        return_mask_rate: add `mask_rate`, the requested rate of each sequence, to the batch, for example to weight the
            loss; `"token"` for that of each token. With weights of 1 / rate, pass `min_masked=0`: a token that is
            always masked would bias them. See [`masked_diffusion_loss`].
        padding_free: return one row without padding, as `DataCollatorWithFlattening` does. The attention of the model
            must keep the sequences apart, as FlashAttention does with transformers 5. SDPA and eager attention of
            encoders treat the row as one sequence: pass `packing` instead.
        position_ids_start: with `padding_free=True`, the position of the first token of each sequence: 0, or
            `padding_idx + 1`, which is 2, for RoBERTa and similar models.
        return_seq_idx: with `padding_free=True`, add `seq_idx` to the batch.
        return_flash_attn_kwargs: with `padding_free=True`, add `cu_seq_lens_q`, `cu_seq_lens_k`, `max_length_q` and
            `max_length_k` to the batch. They give FlashAttention the ends of sequences, which some models, such as
            ModernBERT, do not derive from `position_ids`. False for models that do not take these arguments.
        packing: `packed_attention(model)`, to put several sequences in a row. Rows have the length of the longest
            sequence of the batch, and shorter sequences share them. Examples with `seq_lengths` or `position_ids`, such
            as those of [`pack_dataset`], stay rows. No token attends to another sequence, and masks, logits and losses
            are those of padded sequences. With FlashAttention, it is `padding_free=True`.
        per_token_columns: the names of additional columns with one value per token. The name of a column determines its
            layout: a column that is neither named here nor known is stacked. If it names `position_ids`, positions that
            start again within an example do not make it a pack.

    `features` is a list of examples, which are mappings or sequences of token ids; a mapping of columns, such as
    `dataset[:8]`; or a `pyarrow.Table`. Sequences may have any length. The columns are lists, numpy arrays or torch
    tensors:

        - **input_ids**: integers, possibly padded.
        - **attention_mask** (optional): 0 at padding. Without it, a pad token is padding if it has no other
          role.
        - **special_tokens_mask** (optional): 1 for tokens that are never masked, in addition to the special tokens of
          the tokenizer.
        - **labels** (optional): -100 for tokens that are never masked, with one exception. If the first token of a word
          has a label, as in data for named entity recognition, strategies that mask whole words mask and predict all of
          its tokens. With `strategy="entity"`, the labels are the tags. If they are one number per example, its class,
          they are ignored, as in the stock collator.
        - **seq_lengths** (optional): the lengths of the sequences of a pack, as [`pack_dataset`] and TRL return them.
          With `packing` or `padding_free`, each sequence is masked as an example. Without this column, which `Trainer`
          removes, a sequence begins where **position_ids** go back, unless `per_token_columns` names that column.
        - additional columns with one value per token, padded with 0 (`token_type_ids` with the value of the tokenizer):
          those that transformers' tokenizers return, such as `position_ids` and `bbox`, those that the strategy reads,
          and `per_token_columns`.
        - any other column: stacked, so it has the same shape in every example.

    Returns a `BatchEncoding` with the arguments of `model.forward`:

        - **input_ids**: int64 `[batch, length]`, masked, padded with the pad token on the `padding_side` of the
          tokenizer.
        - **attention_mask**: int64 `[batch, length]`, 1 for tokens, 0 at padding.
        - **labels**: int64 `[batch, length]`, the original ids of the masked tokens, -100 elsewhere.
        - **mask_rate** (with `return_mask_rate`): float32 `[batch]`; with `return_mask_rate="token"`, or a distribution
          with a `block_size`, float32 `[batch, length]`, 1 at padding.
        - additional columns of the examples, except for those that only the strategy reads.

        With several views, `batch` is the number of examples times that of views.

        In one row without padding, **input_ids** and **labels** are int64 `[1, tokens]`. Instead of `attention_mask`
        there are **position_ids**, int64 `[1, tokens]`; **cu_seq_lens_q** and **cu_seq_lens_k**, int32 `[batch + 1]`;
        **max_length_q** and **max_length_k**, ints; and with `return_seq_idx` **seq_idx**, int32 `[1, tokens]`.

        With `packing`, unless it is for FlashAttention, the shape is `[rows, length]`. Instead of `attention_mask`
        there are **position_ids**, int64, and **seq_idx**, int32: the number of the sequence in the batch, -1 at
        padding. **mask_rate** has one value per sequence.

    Raises:
        TypeError: for a third positional argument, or an unknown one.
        ValueError: at construction, if an argument is invalid; in a call, if the examples are invalid or a schedule
            does not return a rate in [0, 1].

    Example:

        >>> collator = DataCollatorForDynamicMasking(tokenizer, mlm_probability=0.3, seed=1)
        >>> batch = collator([tokenizer("the cat sat on a mat"), tokenizer("the dog")], epoch=0)
        >>> {name: tuple(values.shape) for name, values in batch.items()}
        {'input_ids': (2, 8), 'attention_mask': (2, 8), 'labels': (2, 8)}
    """

    _made_from_settings: ClassVar[tuple[str, ...]] = (*EpochAwareCollator._made_from_settings, "_packing")

    tokenizer: PreTrainedTokenizerBase
    mlm_probability: Rate = 0.15
    _: KW_ONLY
    strategy: str | Strategy = "token"
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    replacement_weights: Any = field(default=None, compare=False)  # arrays do not compare to a bool
    unmaskable_ids: Collection[int] = field(default=(), compare=False)
    num_mask_patterns: int | None = None
    views: int | str = 1
    exact_count: bool = False
    min_masked: int = 1
    seed: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    mlm: bool = True
    mntp: bool = False
    whole_word_mask: bool = False
    return_mask_rate: bool | str = False
    padding_free: bool = False
    position_ids_start: int = 0
    return_seq_idx: bool = False
    return_flash_attn_kwargs: bool = True
    packing: Packing | None = None
    per_token_columns: Sequence[str] = ()

    def for_evaluation(self, mlm_probability: FixedRate = 0.15) -> DataCollatorForDynamicMasking:
        """A copy for evaluation: one fixed mask for each example, at a fixed rate.

        Evaluation losses can then be compared within a run, between schedules, and between runs with the same seed. A
        strategy that follows the losses of the model weights all units equally here.

        Args:
            mlm_probability: the fraction of tokens to mask, in [0, 1], or a distribution.

        Raises:
            ValueError: if `mlm_probability` is neither.
        """
        rate = checked_evaluation_rate(mlm_probability)
        strategy = self._strategy.for_evaluation()
        return self._clone_with(mlm_probability=rate, strategy=strategy, num_mask_patterns=1, is_evaluation=True)

    @property
    def is_audited(self) -> bool:  # type: ignore[override]
        """Whether the batch has masks to audit."""
        return self.mlm

    def __str__(self) -> str:
        return super().__str__() if self.mlm else "No masking: labels for causal language modeling."

    def _details(self) -> tuple[str, ...]:
        from hf_dynmask.collators.summary import replacements, units  # not at import, as few need it

        layout = () if self._packing is None else (self._packing.description,)
        outcome = replacements(self.mask_replace_prob, self.random_replace_prob)
        return units(self._plan.strategy, self.exact_count), outcome, *layout

    def _make_plan(self) -> MaskingPlan | None:
        """None if nothing is masked."""
        check_layout(self.pad_to_multiple_of, self.return_tensors)
        check_names(self.per_token_columns)
        checked_integer(self.position_ids_start, "position_ids_start", 0, "Pass 2 for RoBERTa.", maximum=1 << 31)
        for name in _FLAGS:
            checked_flag(getattr(self, name), name)
        if self.return_mask_rate not in (False, True, "token"):
            raise ValueError(
                f'`return_mask_rate` must be True, False or "token", but got {self.return_mask_rate!r}. Pass True for '
                'the rate of each sequence, or "token" for that of each token.'
            )
        views = checked_views(self.views)
        if self.mntp and self.losses is not None:
            raise ValueError(
                "`mntp` must be False if the strategy follows losses, as `compute_loss` does not shift the labels, but "
                "got True. Pass another strategy."
            )
        self._check_packing()
        if not self.mlm:
            self._check_masks_nothing(views)
            return None
        return MaskingPlan(
            vocabulary=self._vocabulary.with_unmaskable(self.unmaskable_ids),
            strategy=_with_whole_words(self._strategy) if self.whole_word_mask else self._strategy,
            mask_replace_prob=self.mask_replace_prob,
            random_replace_prob=self.random_replace_prob,
            exact_count=self.exact_count,
            min_masked=self.min_masked,
            seed=0 if self.seed is None else self.seed,
            replacement_weights=self.replacement_weights,
            mntp=self.mntp,
            views=views,
            rate=self.rate,
        )

    def _check_rate(self) -> None:
        if self.mlm:
            super()._check_rate()

    def _check_masks_nothing(self, views: Views) -> None:
        """Refuses arguments that causal language modeling would ignore."""
        is_set = {
            "whole_word_mask": self.whole_word_mask,
            "mntp": self.mntp,
            "views": views.count > 1,
            "unmaskable_ids": self._vocabulary.with_unmaskable(self.unmaskable_ids) is not self._vocabulary,
            "replacement_weights": self.replacement_weights is not None,
        }
        for name, value in is_set.items():
            if value:
                raise ValueError(
                    f"`{name}` must be left at its default with `mlm=False`, which masks nothing, but got "
                    f"{getattr(self, name)!r}. Pass one of the two."
                )

    def _check_packing(self) -> None:
        """Refuses arguments of one layout that another would ignore."""
        if self.packing is not None and not isinstance(self.packing, Packing):
            raise ValueError(
                f"`packing` must be the result of `packed_attention(model)`, but got a `{type(self.packing).__name__}`."
                " Pass `packing=packed_attention(model)`, or None for padding."
            )
        if self.packing is not None and self.padding_free:
            raise ValueError(
                "`padding_free` must be left out with `packing`, which determines the layout, but got True. Pass one."
            )
        for name in ("return_seq_idx", "position_ids_start"):
            if getattr(self, name) and not self.padding_free:
                raise ValueError(
                    f"`{name}` must be left at its default without `padding_free=True`, as padded batches have no such "
                    f"column, but got {getattr(self, name)!r}. Pass `padding_free=True`, or leave it out."
                )

    def _collate(self, features: Any, return_tensors: str | None, rate: FixedRate, pattern: int) -> BatchEncoding:
        plan = self._plan  # first, as it checks new settings
        batch = ragged_batch(features, (*self.per_token_columns, *self._strategy.columns))
        check_columns(batch, self._vocabulary)
        batch = batch.with_padding(padding_mask(batch, self._vocabulary))
        if plan is not None and plan.views.count > 1:
            batch = self._repeated(batch, plan.views.count)
        rows = None
        if self._packing is not None or batch.row_sizes is not None or "position_ids" in batch.per_token:  # few have
            batch, rows = self._pack(batch)
        masked = None if plan is None else mask_batch(batch.without_padding(), rate, pattern, plan)
        rates = 0.0 if masked is None else masked.rates
        if self.return_mask_rate == "token" or (self.return_mask_rate and isinstance(rates, TokenRates)):
            batch = _with_token_rates(batch, rates)
        if plan is None or masked is None:
            columns = self._lay_out(batch.with_column("labels", self._causal_labels(batch)), rows, _NOT_LAID_OUT)
        else:
            columns = self._lay_out(batch, rows, (*_NOT_LAID_OUT, "labels", *plan.strategy.columns))
            indices = self._laid_out_indices(batch, rows, masked.indices)
            columns["labels"] = apply_mask(columns["input_ids"], indices, masked.ids)
        if self.return_mask_rate and _MASK_RATE not in batch.per_token:
            columns[_MASK_RATE] = np.full(len(batch.lengths), rates, dtype=np.float32)
        if RECORDER.counts is not None:  # only if the logs need them
            RECORDER.counts.append(count_tokens(columns, batch, masked))
        return encoding(columns, return_tensors or self.return_tensors)

    def _repeated(self, batch: RaggedBatch, views: int) -> RaggedBatch:
        """The batch with each sequence as many times as it has views."""
        if has_packs(batch, self.per_token_columns):
            raise ValueError(
                "`views` must be 1 for examples that are packs, whose sequences fill rows of a given length, but got "
                f"{self.views!r}. Pass each sequence as an example, with `packing=packed_attention(model)`."
            )
        return batch.repeated(views)

    def _causal_labels(self, batch: RaggedBatch) -> np.ndarray:
        labels = causal_labels(batch, self._vocabulary.pad_token_id)
        if self._packing is not None:
            labels[batch.tokens.row_starts] = IGNORE_INDEX  # the token before it is of another sequence
        return labels

    @cached_property
    def _packing(self) -> Packing | None:
        """How sequences share rows; None if each is padded."""
        return Packing(True, self.position_ids_start) if self.padding_free else self.packing

    def _pack(self, batch: RaggedBatch) -> tuple[RaggedBatch, PackedRows | None]:
        """With packing, the sequences of the batch without padding, and their rows unless all are one row.

        Without packing, the batch itself.

        Raises:
            ValueError: if the examples are packs, and there is no packing.
        """
        if self._packing is None:
            refuse_packs(batch, self.per_token_columns)
            return batch, None
        has_own_positions = "position_ids" in self.per_token_columns
        batch = batch.without_padding() if has_own_positions else split_by_positions(batch)
        return batch, None if self._packing.one_row else pack_rows(batch, self.pad_to_multiple_of)

    def _lay_out(self, batch: RaggedBatch, rows: PackedRows | None, left_out: Collection[str]) -> dict[str, Any]:
        batch = batch.without_columns(left_out)
        packing = self._packing
        if packing is None:
            return padded(batch, self._fills(batch.lengths), self.tokenizer.padding_side, self.pad_to_multiple_of)
        if rows is not None:
            return packed(batch, rows, self._fills(rows.lengths), packing.position_ids_start)
        if self.pad_to_multiple_of is not None:
            batch = filled_up(batch, self._fills(batch.lengths), self.pad_to_multiple_of)
        return flattened(batch, packing.position_ids_start, self.return_seq_idx, self.return_flash_attn_kwargs)

    def _fills(self, lengths: np.ndarray) -> dict[str, int]:
        pad = pad_token_id(self._vocabulary, lengths, self.pad_to_multiple_of)
        return {"input_ids": pad, "token_type_ids": self._vocabulary.pad_token_type_id, **_FILLS}

    def _laid_out_indices(self, batch: RaggedBatch, rows: PackedRows | None, indices: np.ndarray) -> np.ndarray:
        """Where the tokens at `indices` of the batch without padding are in the flat array of the laid-out batch."""
        if self._packing is not None:
            return indices if rows is None else rows.indices[indices]
        indices = batch.indices_with_padding(indices)
        return padded_indices(indices, batch.lengths, self.tokenizer.padding_side, self.pad_to_multiple_of)


def _with_token_rates(batch: RaggedBatch, rates: float | np.ndarray | TokenRates) -> RaggedBatch:
    """The batch with the column `mask_rate`, float32 `[tokens]`, 1 at padding."""
    bare = batch.without_padding()
    if isinstance(rates, TokenRates):
        per_token = rates.values
    else:
        per_token = np.full(len(bare.lengths), rates).repeat(bare.lengths)
    column = np.ones(len(batch.per_token["input_ids"]), dtype=np.float32)
    column[batch.indices_with_padding(np.arange(len(per_token)))] = per_token
    return batch.with_column(_MASK_RATE, column)


def _with_whole_words(strategy: Strategy) -> Strategy:
    """The strategy that `whole_word_mask=True` means."""
    if strategy.name not in ("token", "whole_word"):
        raise ValueError(
            f'`whole_word_mask=True` is `strategy="whole_word"`, but got `strategy={strategy!r}` as well. Pass one.'
        )
    return whole_word()
