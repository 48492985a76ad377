"""The data collator: examples in, masked batch out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from hf_dynmask.arguments import checked_choice, checked_integer, checked_rate
from hf_dynmask.clock import Clock, Moment
from hf_dynmask.maskable import attended_tokens, check_columns, labelled_tokens, maskable_tokens
from hf_dynmask.masking import MaskingPlan, causal, mask_tokens
from hf_dynmask.ragged import IGNORE_INDEX, RaggedBatch, of_attended, padded, ragged_batch, tokens_of, with_masks
from hf_dynmask.rates import Rate, rate_at
from hf_dynmask.strategies import Strategy, strategy_of
from hf_dynmask.vocabulary import Vocabulary, vocabulary_of

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase

_FILLS = {"labels": IGNORE_INDEX, "special_tokens_mask": 1}
_NOT_FOR_THE_MODEL = ("special_tokens_mask", "offset_mapping")


@dataclass
class DataCollatorForDynamicMasking:
    """Pads examples and masks their tokens for masked language modeling (MLM), afresh in every epoch.

    Takes the place of transformers' `DataCollatorForLanguageModeling`. A mask is a pure function of the seed, the
    example's token ids, the epoch, the mask rate and the strategy, so that it does not depend on workers, ranks, batch
    size or on whether training was resumed. The epoch comes from [`MaskRateCallback`] or from [`set_epoch`]; where it
    is not known, every batch takes a fresh number from torch's global generator instead: dynamic as well, but not
    reproducible across workers and ranks.

    Args:
        tokenizer: a transformers tokenizer with a mask token.
        mlm_probability: the fraction of tokens to mask, in [0, 1], or a schedule: a function from training progress in
            [0, 1] to such a fraction.
        strategy: which tokens are masked together: `"token"`, `"whole_word"`, or a function (see
            `hf_dynmask.strategies`).
        mask_replace_prob: the share of masked tokens that become the mask token.
        random_replace_prob: the share that become a random token, never a special one; the rest keep their id.
        num_mask_patterns: how many masks an example has: None for a new one each epoch (dynamic masking), 1 for one and
            the same (static), k for k that take turns (BERT's duplicated data).
        exact_count: mask exactly `mlm_probability` times the maskable tokens of a sequence (rounded up or down at
            random, so that the mean is right; to whole units), instead of each by its own chance.
        min_masked: at least so many labels in every sequence that has as many maskable tokens, so that no loss is NaN.
        seed: any integer; None for the `Trainer`'s `args.seed` under [`MaskRateCallback`], and 0 otherwise. Neither
            draws from nor touches any global random state.
        pad_to_multiple_of: pad to a multiple of this length.
        return_tensors: `"pt"` or `"np"`.
        mlm: False for causal language modeling: nothing is masked, the labels are the ids.
        whole_word_mask: True is `strategy="whole_word"`.

    Examples in are mappings (or bare sequences of ids) with, of any lengths, as lists, numpy arrays or torch tensors:

        - **input_ids**: integers; may come padded.
        - **attention_mask** (optional): 0 where padded. Without it, a pad token is padding.
        - **special_tokens_mask** (optional): 1 where never to mask, besides the tokenizer's special tokens.
        - **labels** (optional): -100 where never to mask.
        - any further column: padded with 0 (`token_type_ids` with the tokenizer's own value) if it has a value for each
          token, stacked otherwise.

    Returns a `BatchEncoding` of what `model.forward` takes:

        - **input_ids**: int64 `[batch, length]`, masked, padded with the pad token on the tokenizer's `padding_side`.
        - **attention_mask**: int64 `[batch, length]`, 1 for tokens, 0 for padding.
        - **labels**: int64 `[batch, length]`, the original ids of the masked tokens, -100 elsewhere.
        - further columns of the examples.

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
    strategy: str | Strategy = "token"
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    num_mask_patterns: int | None = None
    exact_count: bool = False
    min_masked: int = 1
    seed: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    mlm: bool = field(default=True, kw_only=True)
    whole_word_mask: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        self._clock = Clock()
        self._evaluation: DataCollatorForDynamicMasking | None = None
        _ = self._plan  # made, and so checked, here and not at the first batch

    def __call__(self, examples: Sequence[Any], return_tensors: str | None = None) -> BatchEncoding:
        if self._evaluation is not None:
            return self._evaluation(examples, return_tensors)
        plan, moment = self._plan, self._clock.tick()
        batch = ragged_batch(examples)
        check_columns(batch, self._vocabulary)
        attended = attended_tokens(batch, self._vocabulary)
        tokens = tokens_of(batch, attended)
        if plan is None:
            inputs, labels = causal(tokens, of_attended(labelled_tokens(batch), attended))
        else:
            maskable = of_attended(maskable_tokens(batch, self._vocabulary), attended)
            inputs, labels = mask_tokens(tokens, maskable, self._rate(moment), self._pattern(moment), plan)
        return self._layout(with_masks(batch, attended, inputs, labels), return_tensors or self.return_tensors)

    def set_epoch(
        self,
        epoch: int,
        first_step: int = 0,
        total_steps: int | None = None,
        gradient_accumulation_steps: int = 1,
    ) -> None:
        """Announces an epoch to this collator and to the workers of a `DataLoader` that has it.

        Call it in the main process before the loader is iterated. [`MaskRateCallback`] does so for `Trainer`.

        Args:
            epoch: from 0.
            first_step: the optimizer steps done before the first batch to come.
            total_steps: the optimizer steps of the whole training; needed if `mlm_probability` is a schedule.
            gradient_accumulation_steps: batches that one optimizer step takes.

        Raises:
            ValueError: if an argument is out of its range, or `total_steps` is missing under a schedule.
        """
        if total_steps is None and callable(self.mlm_probability):
            raise ValueError(
                "`total_steps` must be given when `mlm_probability` is a schedule, but got None. "
                "Pass the number of optimizer steps of the whole training."
            )
        self._clock.start_epoch(
            checked_integer(epoch, "epoch", 0, "Count epochs from 0."),
            checked_integer(first_step, "first_step", 0, "Pass the optimizer steps done before this epoch."),
            checked_integer(gradient_accumulation_steps, "gradient_accumulation_steps", 1, "Pass 1 for none."),
            None if total_steps is None else checked_integer(total_steps, "total_steps", 1, "Pass all the steps."),
        )

    def for_evaluation(self, mlm_probability: float = 0.15) -> DataCollatorForDynamicMasking:
        """A collator like this one for evaluation: one fixed mask for each example, at a fixed rate.

        So evaluation losses can be compared along a run, between schedules and between runs of one seed.
        """
        rate = checked_rate(mlm_probability, "mlm_probability")
        return dataclasses.replace(self, mlm_probability=rate, num_mask_patterns=1)

    def evaluate_with(self, collator: DataCollatorForDynamicMasking) -> None:
        """Has `collator` serve all further calls of this object, where one object is called for both purposes."""
        self._evaluation = collator

    def __setattr__(self, name: str, value: Any) -> None:
        """What is set later counts from the next batch on: the plan is made, and checked, anew."""
        super().__setattr__(name, value)
        self.__dict__.pop("_plan", None)
        if name == "tokenizer":
            self.__dict__.pop("_vocabulary", None)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return vocabulary_of(self.tokenizer)

    @cached_property
    def _plan(self) -> MaskingPlan | None:
        """All that does not change between batches; None if nothing is masked."""
        if not callable(self.mlm_probability):
            checked_rate(self.mlm_probability, "mlm_probability")
        if self.num_mask_patterns is not None:
            checked_integer(self.num_mask_patterns, "num_mask_patterns", 1, "Pass None for a new mask every epoch.")
        if self.pad_to_multiple_of is not None:
            checked_integer(self.pad_to_multiple_of, "pad_to_multiple_of", 1, "Pass None for no rounding.")
        checked_choice(self.return_tensors, "return_tensors", ("pt", "np"))
        if not self.mlm:
            return None
        return MaskingPlan(
            vocabulary=self._vocabulary,
            strategy=strategy_of(self.strategy, self.whole_word_mask),
            mask_replace_prob=self.mask_replace_prob,
            random_replace_prob=self.random_replace_prob,
            exact_count=self.exact_count,
            min_masked=self.min_masked,
            seed=0 if self.seed is None else self.seed,
        )

    def _rate(self, moment: Moment | None) -> float:
        if not callable(self.mlm_probability):
            return float(self.mlm_probability)
        if moment is None or moment.total_steps is None:
            raise ValueError(
                "`mlm_probability` is a schedule, and the optimizer step must be known to follow it, but nobody told. "
                "Pass `callbacks=[MaskRateCallback()]` to `Trainer`, or call `set_epoch` with `total_steps`."
            )
        return rate_at(self.mlm_probability, moment.step, moment.total_steps)

    def _pattern(self, moment: Moment | None) -> int:
        if self.num_mask_patterns == 1:
            return 0
        epoch = moment.epoch if moment is not None else int(torch.randint(2**62, ()))
        return epoch if self.num_mask_patterns is None else epoch % self.num_mask_patterns

    def _layout(self, batch: RaggedBatch, return_tensors: str) -> BatchEncoding:
        from transformers import BatchEncoding  # not at import: it would more than double what that costs

        checked_choice(return_tensors, "return_tensors", ("pt", "np"))
        fills = {"input_ids": self._pad_token_id(batch), "token_type_ids": self._vocabulary.pad_token_type_id, **_FILLS}
        columns = padded(batch, fills, self.tokenizer.padding_side, self.pad_to_multiple_of)
        for name in _NOT_FOR_THE_MODEL:
            columns.pop(name, None)
        if return_tensors == "np":
            return BatchEncoding(columns)
        return BatchEncoding({name: torch.from_numpy(values) for name, values in columns.items()})

    def _pad_token_id(self, batch: RaggedBatch) -> int:
        if self._vocabulary.pad_token_id is not None:
            return self._vocabulary.pad_token_id
        if self.pad_to_multiple_of is None and (batch.lengths == batch.lengths[0]).all():
            return 0  # nothing will be padded
        raise ValueError(
            f"`tokenizer` must have a pad token to make one batch of sequences of different lengths, but "
            f"{type(self.tokenizer).__name__} has none. Set `tokenizer.pad_token`."
        )
