"""The data collator: examples in, masked batch out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hf_dynmask.arguments import checked_choice, checked_integer, checked_odds, checked_rate
from hf_dynmask.clock import Clock, Moment
from hf_dynmask.masking import MaskingPlan, mask_tokens
from hf_dynmask.ragged import IGNORE_INDEX, RaggedBatch, RaggedTokens, padded, ragged_batch, tokens_of, with_masks
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

        >>> collator = DataCollatorForDynamicMasking(tokenizer, mlm_probability=0.3, seed=0)  # doctest: +SKIP
        >>> collator.set_epoch(0)  # doctest: +SKIP
        >>> collator([tokenizer("the cat sat on the mat"), tokenizer("hello")])  # doctest: +SKIP
        {'input_ids': tensor([[ 101, 1996,  103, 2938, 2006, 1996, 13523,  102],
                              [ 101,  103,  102,    0,    0,    0,     0,    0]]),
         'attention_mask': tensor([[1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0, 0]]),
         'labels': tensor([[-100, -100, 4937, -100, -100, -100, -100, -100],
                           [-100, 7592, -100, -100, -100, -100, -100, -100]])}
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
        self._check_arguments()
        self._vocabulary = vocabulary_of(self.tokenizer)
        self._plan = self._make_plan(self._vocabulary) if self.mlm else None
        self._clock = Clock()
        self._evaluation: DataCollatorForDynamicMasking | None = None

    def __call__(self, examples: Sequence[Any], return_tensors: str | None = None) -> BatchEncoding:
        if self._evaluation is not None:
            return self._evaluation(examples, return_tensors)
        moment = self._clock.tick()
        batch = ragged_batch(examples)
        attended = self._attended(batch)
        tokens = tokens_of(batch, attended)
        maskable = self._maskable(batch) if attended is None else self._maskable(batch)[attended]
        if self._plan is None:
            inputs, labels = tokens.input_ids, np.where(maskable, tokens.input_ids, IGNORE_INDEX)
        else:
            inputs, labels = mask_tokens(tokens, maskable, self._rate(moment), self._pattern(moment), self._plan)
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

    def _check_arguments(self) -> None:
        if not callable(self.mlm_probability):
            self.mlm_probability = checked_rate(self.mlm_probability, "mlm_probability")
        self.mask_replace_prob, self.random_replace_prob = checked_odds(
            self.mask_replace_prob, self.random_replace_prob
        )
        if self.num_mask_patterns is not None:
            checked_integer(self.num_mask_patterns, "num_mask_patterns", 1, "Pass None for a new mask every epoch.")
        checked_integer(self.min_masked, "min_masked", 0, "Pass 0 to allow sequences without a label.")
        if self.seed is not None:
            checked_integer(self.seed, "seed", None, "Pass None for the Trainer's seed.")
        if self.pad_to_multiple_of is not None:
            checked_integer(self.pad_to_multiple_of, "pad_to_multiple_of", 1, "Pass None for no rounding.")
        checked_choice(self.return_tensors, "return_tensors", ("pt", "np"))

    def _make_plan(self, vocabulary: Vocabulary) -> MaskingPlan:
        if vocabulary.mask_token_id is None:
            raise ValueError(
                f"`tokenizer` must have a mask token, but {type(self.tokenizer).__name__} has none. Add one with "
                '`tokenizer.add_special_tokens({"mask_token": "[MASK]"})`, or pass `mlm=False`.'
            )
        strategy = strategy_of("whole_word" if self.whole_word_mask else self.strategy)
        strategy(RaggedTokens(np.array([vocabulary.mask_token_id]), np.array([1])), vocabulary)  # can it serve?
        return MaskingPlan(
            vocabulary=vocabulary,
            strategy=strategy,
            mask_replace_prob=self.mask_replace_prob,
            random_replace_prob=self.random_replace_prob,
            exact_count=self.exact_count,
            min_masked=self.min_masked,
            seed=0 if self.seed is None else self.seed,
        )

    def _attended(self, batch: RaggedBatch) -> np.ndarray | None:
        """Which tokens are not padding that the examples came with, bool `[tokens]`; None: all."""
        input_ids = self._checked_ids(batch.per_token["input_ids"])
        if "attention_mask" in batch.per_token:
            attended = batch.per_token["attention_mask"] != 0
        elif self._vocabulary.pads_unmistakably:
            attended = input_ids != self._vocabulary.pad_token_id
        else:
            return None
        return None if attended.all() else attended

    def _checked_ids(self, input_ids: np.ndarray) -> np.ndarray:
        if input_ids.dtype.kind != "i" or input_ids.ndim != 1:
            raise ValueError(
                f"`input_ids` must be integers, one for each token, but got {input_ids.dtype} of {input_ids.ndim} "
                "dimensions. Pass the ids that the tokenizer returns."
            )
        outside = (input_ids < 0) | (input_ids >= self._vocabulary.size)
        if outside.any():
            raise ValueError(
                f"`input_ids` must be within the tokenizer's vocabulary, 0 to {self._vocabulary.size - 1}, but got "
                f"{int(input_ids[outside][0])}. Pass the tokenizer that the examples were made with."
            )
        return input_ids

    def _maskable(self, batch: RaggedBatch) -> np.ndarray:
        """Which tokens may get a label: bool `[tokens]`."""
        maskable = np.ones(len(batch.per_token["input_ids"]), dtype=bool)
        if "labels" in batch.per_token:
            maskable &= batch.per_token["labels"] != IGNORE_INDEX
        if self.mlm and "special_tokens_mask" in batch.per_token:
            maskable &= batch.per_token["special_tokens_mask"] == 0
        if self.mlm:
            maskable &= ~self._vocabulary.special[batch.per_token["input_ids"]]
        return maskable

    def _rate(self, moment: Moment | None) -> float:
        if not callable(self.mlm_probability):
            return self.mlm_probability
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
