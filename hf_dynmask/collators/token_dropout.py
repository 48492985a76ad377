"""Token dropout: masks or deletes tokens in the batch of another collator."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_dynmask.batching.columns import check_names
from hf_dynmask.batching.deletion import Repadding, delete_tokens
from hf_dynmask.batching.eligibility import check_columns, padding_mask
from hf_dynmask.batching.inner_batch import (
    attention_mask_like,
    check_dtype_holds,
    check_one_sequence_a_row,
    collate_inner,
    read_rows,
    with_values_at,
)
from hf_dynmask.collators.argument_errors import explain_arguments
from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.collators.inner_collator import check_inner_collator, labels_each_token, tokenizer_of
from hf_dynmask.collators.token_counts import count_dropout
from hf_dynmask.core.checks import checked_choice, checked_replacement_probs
from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.loading.batch_counts import RECORDER
from hf_dynmask.masking.kept_tokens import keep_one_attended, keep_one_ordinary
from hf_dynmask.masking.mlm import MaskingPlan, mask_batch
from hf_dynmask.rates.schedules import FixedRate, Rate
from hf_dynmask.strategies import Strategy
from hf_dynmask.vocabulary.vocabulary import check_mask_token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TARGETS = ("input_ids", "attention_mask", "delete")
_SUMMARIES = {
    "attention_mask": "masked tokens stay unchanged, and no token attends to them",
    "delete": "masked tokens are deleted",
}


@explain_arguments
@dataclass
class DataCollatorWithTokenDropout(EpochAwareCollator):
    """Masks tokens in the batch of another collator, with new masks in every epoch, to regularize fine-tuning.

    Each token `x` of a sequence becomes `x * m`, where `m` is 0 with the probability of the rate: word dropout (Iyyer
    et al. 2015), token cutoff (Shen et al. 2020). Masked tokens are not predicted: the labels are those of the other
    collator. As in [`DataCollatorForDynamicMasking`], masks are a pure function of the seed, the token ids of the
    sequence without padding, the epoch, the mask rate and the strategy.

    With [`MaskRateCallback`], evaluation has no masks. Otherwise, evaluate with the other collator, which
    [`for_evaluation`] returns.

    Args:
        collator: makes the batch: `DataCollatorForTokenClassification`, `DataCollatorWithPadding`,
            `DataCollatorForSeq2Seq`, `DataCollatorForMultipleChoice`, `default_data_collator` or a custom one.
        mlm_probability: the fraction of tokens to mask: see [`DataCollatorForDynamicMasking`].
        target: with `"input_ids"`, masked tokens become the mask token. With `"attention_mask"`, they keep their id,
            but no token attends to them, for models without a mask token, such as T5. At least one token still receives
            attention. (Models that derive positions from the attention mask, such as OPT, then number the other tokens
            without gaps.) With `"delete"`, they are removed from the input: the noise of TSDAE (Wang et al. 2021, with
            a rate of 0.6) and the token deletion of BART (Lewis et al. 2020). In each sequence, at least one token that
            is not special remains, drawn at random if all are masked.
        strategy: which tokens are masked together, and with what probability: see [`DataCollatorForDynamicMasking`].
            `"entity"` reads the `labels` of the batch. `"adaptive"` is not possible, as there is no loss to follow.
        seed: any integer; None for the `args.seed` of `Trainer` with [`MaskRateCallback`], and 0 otherwise.
        mask_replace_prob: the probability that a masked token becomes the mask token.
        random_replace_prob: the probability that a masked token becomes a random token, never a special one. The
            remaining masked tokens keep their id.
        num_mask_patterns: the number of masks of a sequence: None for a new mask in each epoch, 1 for a single mask.
        exact_count: mask exactly `mlm_probability` times the maskable tokens of a sequence.
        min_masked: the minimum number of masked tokens of a sequence.
        tokenizer: defines which ids are special; None for the `tokenizer` of `collator`, or of its `processor`. Changes
            to the tokenizer apply as in [`DataCollatorForDynamicMasking`].
        per_token_columns: with `target="delete"`, the names of columns from which the same tokens are deleted, in
            addition to those that are known to have a value for each token, such as `attention_mask`, `token_type_ids`
            and `special_tokens_mask`. Name `labels` for token classification. Otherwise, `labels` stay complete, as
            sequence-to-sequence models reconstruct the text.

    The batch of `collator` is a mapping of numpy arrays or torch tensors with:

        - **input_ids**: integers `[..., length]`, padded. Each row is a sequence; in multiple choice, each choice is.
        - **attention_mask** (optional): `[..., length]`, 0 at padding. Without it, a pad token is padding if it has no
          other role.
        - **special_tokens_mask** (optional): `[..., length]`, 1 for tokens that are never masked, in addition to
          special tokens.

    Returns that batch, of the same type, with a new **input_ids** or **attention_mask**, of the same dtype and on the
    same device. The other columns do not change. If the target is **attention_mask** and it is missing, it is added.

    With `target="delete"`, the rows are padded to the longest remaining one, or to `pad_to_multiple_of` of `collator`,
    on the same side and with the same values as before. **position_ids** are renumbered: the remaining tokens take the
    first positions of their sequence. **attention_mask** is added if it is missing and rows differ in length.

    Raises:
        TypeError: for a third positional argument, or an unknown one.
        ValueError: at construction, if an argument is invalid; in a call, if the batch cannot be masked.

    Example:

        >>> from transformers import DataCollatorForTokenClassification
        >>> inner = DataCollatorForTokenClassification(tokenizer)
        >>> collator = DataCollatorWithTokenDropout(inner, mlm_probability=0.3, seed=7)
        >>> collator.set_epoch(0)
        >>> batch = collator([{**tokenizer("the cat sat on a mat"), "labels": [-100, 0, 1, 0, 0, 0, 1, -100]}])
        >>> " ".join(tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist()))
        '[CLS] the cat sat [MASK] a [MASK] [SEP]'
        >>> batch["labels"].tolist()
        [[-100, 0, 1, 0, 0, 0, 1, -100]]

        With the text as labels, it trains a denoising autoencoder:

        >>> from transformers import DataCollatorForSeq2Seq
        >>> collator = DataCollatorWithTokenDropout(DataCollatorForSeq2Seq(tokenizer), 0.6, target="delete", seed=7)
        >>> text = tokenizer("the cat sat on a mat")["input_ids"]
        >>> batch = collator([{"input_ids": text, "labels": text}], epoch=0)
        >>> tokenizer.decode(batch["input_ids"][0]), tokenizer.decode(batch["labels"][0])
        ('[CLS] the cat sat a [SEP]', '[CLS] the cat sat on a mat [SEP]')
    """

    is_audited: ClassVar[bool] = False

    collator: Callable[..., Any]
    mlm_probability: Rate = 0.15
    _: KW_ONLY
    target: str = "input_ids"
    strategy: str | Strategy = "token"
    seed: int | None = None
    mask_replace_prob: float = 1.0
    random_replace_prob: float = 0.0
    num_mask_patterns: int | None = None
    exact_count: bool = False
    min_masked: int = 0
    tokenizer: PreTrainedTokenizerBase | None = None
    per_token_columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_inner_collator(self.collator)
        if self.tokenizer is None:
            self.tokenizer = tokenizer_of(self.collator)
        super().__post_init__()

    def for_evaluation(self, mlm_probability: FixedRate = 0.15) -> Any:
        """The inner collator, as evaluation has no masks. `mlm_probability` is ignored."""
        return self.collator

    def _details(self) -> tuple[str, ...]:
        from hf_dynmask.collators.summary import replacements, units  # not at import, as few need it

        outcome = _SUMMARIES.get(self.target) or replacements(self.mask_replace_prob, self.random_replace_prob)
        over = getattr(self.collator, "__name__", type(self.collator).__name__)
        return units(self._strategy, self.exact_count), outcome, f"over {over}"

    def _make_plan(self) -> MaskingPlan:
        if self.losses is not None:
            raise ValueError(
                "`strategy` must not follow the losses of masked language modeling, which fine-tuning does not have, "
                f'but got {self.strategy!r}. Pass another one, such as `"whole_word"`.'
            )
        mask_replace_prob = self._checked_mask_replace_prob()
        self._check_per_token_columns()
        return MaskingPlan(
            vocabulary=self._vocabulary,
            strategy=self._strategy,
            mask_replace_prob=mask_replace_prob,
            random_replace_prob=self.random_replace_prob,
            exact_count=self.exact_count,
            min_masked=self.min_masked,
            seed=0 if self.seed is None else self.seed,
            rate=self.rate,
        )

    def _checked_mask_replace_prob(self) -> float:
        """The probability of the mask token; 0 if no id is replaced, so that no mask token is needed."""
        if checked_choice(self.target, "target", _TARGETS) != "input_ids":
            if (self.mask_replace_prob, self.random_replace_prob) != (1.0, 0.0):
                raise ValueError(
                    "`mask_replace_prob` and `random_replace_prob` must be left at 1.0 and 0.0 with "
                    f'`target="{self.target}"`, which replaces no id, but got {self.mask_replace_prob!r} and '
                    f"{self.random_replace_prob!r}. Leave them out."
                )
            return 0.0
        probs = checked_replacement_probs(self.mask_replace_prob, self.random_replace_prob)
        if probs == (0.0, 0.0):
            raise ValueError(
                "`mask_replace_prob` + `random_replace_prob` must be above 0, but got 0: masked tokens would stay "
                "unchanged. Pass `mlm_probability=0.0` to mask nothing."
            )
        if self.mask_replace_prob:
            for_random_tokens = "`mask_replace_prob=0.0, random_replace_prob=1.0` for random tokens"
            check_mask_token(self._vocabulary, f'`target="attention_mask"` or `"delete"`, or {for_random_tokens}')
        return self.mask_replace_prob

    def _check_per_token_columns(self) -> None:
        check_names(self.per_token_columns)
        if self.target != "delete" and len(self.per_token_columns):
            raise ValueError(
                f'`per_token_columns` must be left out with `target="{self.target}"`, which keeps the length of each '
                f"column, but got {self.per_token_columns!r}. Leave it out."
            )
        if self.target == "delete" and labels_each_token(self.collator) and "labels" not in self._columns_of_tokens:
            raise ValueError(
                f"`per_token_columns` must name `labels` with a {type(self.collator).__name__}, whose labels have a "
                f'value for each token, but got {self.per_token_columns!r}. Pass `per_token_columns=["labels"]`.'
            )

    @property
    def _columns_of_tokens(self) -> tuple[str, ...]:
        return (*self.per_token_columns, *self._strategy.columns)

    def _collate(self, features: Any, return_tensors: str | None, rate: FixedRate, pattern: int) -> Any:
        batch = copy.copy(collate_inner(self.collator, features, return_tensors))
        rows = read_rows(batch, self._plan.strategy.columns)
        rows = rows.with_padding(padding_mask(rows, self._vocabulary))
        check_one_sequence_a_row(batch, rows)
        sequences = rows.without_padding()
        check_columns(sequences, self._vocabulary)
        masked = mask_batch(sequences, rate, pattern, self._plan)
        if self.target == "input_ids":
            indices, ids = rows.indices_with_padding(masked.indices), masked.ids
            check_dtype_holds(batch["input_ids"], ids)
            batch["input_ids"] = with_values_at(batch["input_ids"], indices, ids)
        elif self.target == "delete":
            indices = rows.indices_with_padding(keep_one_ordinary(masked, sequences))
            delete_tokens(batch, rows, indices, self._columns_of_tokens, self._repadding())
        else:
            indices = rows.indices_with_padding(keep_one_attended(masked.tokens, masked.indices))
            if "attention_mask" not in batch:
                batch["attention_mask"] = attention_mask_like(batch["input_ids"], rows.padding)
            zeros = np.zeros(len(indices), dtype=np.int64)
            batch["attention_mask"] = with_values_at(batch["attention_mask"], indices, zeros)
        if RECORDER.counts is not None:  # only if the logs need them
            RECORDER.counts.append(count_dropout(batch, masked, len(indices), is_deleted=self.target == "delete"))
        return batch

    def _repadding(self) -> Repadding:
        fills = {
            "input_ids": self._vocabulary.pad_token_id,
            "token_type_ids": self._vocabulary.pad_token_type_id,
            "special_tokens_mask": 1,
            "labels": getattr(self.collator, "label_pad_token_id", IGNORE_INDEX),
        }
        multiple = getattr(self.collator, "pad_to_multiple_of", None)
        return Repadding(fills, getattr(self.tokenizer, "padding_side", "right"), multiple)
