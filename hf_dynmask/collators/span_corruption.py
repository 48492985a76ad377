"""The data collator for span corruption, T5's objective: examples in, corrupted inputs and their targets out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_dynmask.batching.columns import check_names
from hf_dynmask.batching.eligibility import check_columns, maskable_tokens, padding_mask
from hf_dynmask.batching.examples import ragged_batch
from hf_dynmask.batching.layout import check_layout, encoding, pad_token_id, padded
from hf_dynmask.batching.packs import refuse_packs
from hf_dynmask.collators.argument_errors import explain_arguments
from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch, RaggedTokens
from hf_dynmask.masking.sentinels import corrupt, find_sentinels, span_targets
from hf_dynmask.masking.span_noise import NoisePlan, noise_tokens
from hf_dynmask.rates.schedules import FixedRate, Rate, checked_evaluation_rate

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase


@explain_arguments
@dataclass
class DataCollatorForSpanCorruption(EpochAwareCollator):
    """Corrupts spans of tokens for encoder-decoder models, the objective of T5, with new spans in each epoch.

    Raffel et al. 2020, "Exploring the limits of transfer learning with a unified text-to-text transformer". In the
    input, one sentinel token replaces each span of noise. The target contains each sentinel, followed by the tokens
    that it replaces:

        text:       Thank you for inviting me to your party last week.
        input_ids:  Thank you <extra_id_0> me to your party <extra_id_1> week.</s>
        labels:     <extra_id_0> for inviting <extra_id_1> last <extra_id_2></s>

    The noise is a pure function of the seed, the token ids of the example, the epoch and the noise density, like the
    masks of [`DataCollatorForDynamicMasking`]. It also follows [`MaskRateCallback`], [`start_epoch`] and [`set_epoch`].
    In the code of T5, a text never begins with noise and always ends with it. Here, every token is equally likely to be
    noise (see `hf_dynmask.masking.span_noise`). Noise at a lower density is not a subset of noise at a higher density.

    Args:
        tokenizer: a transformers tokenizer, fast or slow, with at least 3 sentinels: tokens named `<extra_id_0>`,
            `<extra_id_1>`, ..., with any ids. With n sentinels, a text that would have more than n - 2 spans
            gets fewer and longer ones. Changes of the tokenizer apply as in [`DataCollatorForDynamicMasking`].
        noise_density: the fraction of tokens that are noise, in [0, 1]; or a schedule, a function from training
            progress in [0, 1] to such a fraction; or a distribution from which each sequence draws its density. The
            count is rounded up or down at random so that the mean is exact. Exception: at a density strictly between 0
            and 1, a text of two or more tokens always has both noise and other tokens.
        mean_noise_span_length: the mean number of tokens in a span, up to rounding to a whole number of spans.
        num_mask_patterns: the number of corruptions of an example: None for a new one in each epoch, 1 for a single
            one, k for k in turn.
        seed: any integer; None for the `args.seed` of `Trainer` with [`MaskRateCallback`], and 0 otherwise. The
            collator neither reads nor changes a global random state if it has a seed or an epoch.
        pad_to_multiple_of: pad inputs and labels to a multiple of this length.
        return_tensors: `"pt"` or `"np"`.
        per_token_columns: the names of additional columns with one value per token.

    `features` is a list of examples, which are mappings or sequences of token ids; a mapping of columns, such as
    `dataset[:8]`; or a `pyarrow.Table`. Sequences may have any length. The columns are lists, numpy arrays or torch
    tensors:

        - **input_ids**: integers, possibly padded. The padding is dropped, and added again after corruption.
        - **attention_mask** (optional): 0 at padding. Without it, a pad token is padding if it has no other
          role.
        - **special_tokens_mask** (optional): 1 for tokens that are never noise, in addition to special tokens, unknown
          tokens and sentinels. Such a token splits a span of noise into two, with a sentinel each. If there are too few
          sentinels for that, the surplus spans, drawn at random, are not noise.
        - **labels** (optional): -100 for tokens that are never noise. One number per example, its class, is ignored.
        - additional columns with one value per token: dropped, as they have no meaning after corruption. These are the
          columns that transformers' tokenizers return, such as `token_type_ids` and `bbox`, and `per_token_columns`.
        - any other column: stacked, so it has the same shape in every example.

    Returns a `BatchEncoding` with the arguments of `model.forward`. The model derives `decoder_input_ids` from the
    labels:

        - **input_ids**: int64 `[batch, length]`, padded with the pad token on the `padding_side` of the tokenizer.
        - **attention_mask**: int64 `[batch, length]`, 1 for tokens, 0 at padding.
        - **labels**: int64 `[batch, target length]`, each sentinel and the tokens that it replaces, one more sentinel,
          and the end-of-sequence token of the tokenizer if it has one; padded with -100 on the right.
        - the stacked columns of the examples.

    Raises:
        TypeError: for a third positional argument, or an unknown one.
        ValueError: at construction, if an argument is invalid; in a call, if the examples are invalid or a schedule
            does not return a rate in [0, 1].

    Example:

        >>> collator = DataCollatorForSpanCorruption(t5_tokenizer, noise_density=0.3, seed=0)
        >>> collator.set_epoch(0)
        >>> batch = collator([t5_tokenizer("they were playing with toys while running through gardens")])
        >>> for ids in (batch["input_ids"][0], batch["labels"][0]):
        ...     print(" ".join(t5_tokenizer.convert_ids_to_tokens(ids.tolist())))
        [CLS] they were playing with <extra_id_0> through gardens [SEP]
        <extra_id_0> toys while running <extra_id_1>
    """

    rate_argument: ClassVar[str] = "noise_density"
    _read_off_tokenizer: ClassVar[tuple[str, ...]] = ("_vocabulary", "_sentinels")

    tokenizer: PreTrainedTokenizerBase
    noise_density: Rate = 0.15
    _: KW_ONLY
    mean_noise_span_length: float = 3.0
    num_mask_patterns: int | None = None
    seed: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    per_token_columns: Sequence[str] = ()

    def for_evaluation(self, mlm_probability: FixedRate = 0.15) -> DataCollatorForSpanCorruption:
        """A copy for evaluation: one fixed corruption of each example, at a fixed density.

        Evaluation losses can then be compared within a run, between schedules, and between runs with the same seed.

        Args:
            mlm_probability: the noise density, in [0, 1], or a distribution.

        Raises:
            ValueError: if `mlm_probability` is neither.
        """
        density = checked_evaluation_rate(mlm_probability)
        return self._clone_with(noise_density=density, num_mask_patterns=1, is_evaluation=True)

    def _details(self) -> tuple[str, ...]:
        return (f"spans of {self.mean_noise_span_length:g} tokens on average become one sentinel each",)

    @cached_property
    def _sentinels(self) -> np.ndarray:
        _ = self._vocabulary  # read at the same time: it detects changes to the tokenizer for both
        return find_sentinels(self.tokenizer)

    def _make_plan(self) -> NoisePlan:
        check_layout(self.pad_to_multiple_of, self.return_tensors)
        check_names(self.per_token_columns)
        seed = 0 if self.seed is None else self.seed
        return NoisePlan(self.mean_noise_span_length, max_runs=len(self._sentinels) - 1, seed=seed)

    def _collate(self, features: Any, return_tensors: str | None, rate: FixedRate, pattern: int) -> BatchEncoding:
        plan = self._plan  # first, as it checks new settings
        batch = ragged_batch(features, self.per_token_columns)
        check_columns(batch, self._vocabulary)
        batch = batch.with_padding(padding_mask(batch, self._vocabulary))
        if "position_ids" not in self.per_token_columns:
            refuse_packs(batch)
        batch = batch.without_padding()
        tokens = batch.tokens
        maskable = maskable_tokens(batch, self._vocabulary) & ~np.isin(tokens.input_ids, self._sentinels)
        noise = noise_tokens(tokens, maskable, rate, pattern, plan)
        inputs = corrupt(tokens, noise, self._sentinels)
        labels = span_targets(tokens, noise, self._sentinels, self.tokenizer.eos_token_id)
        return encoding(self._lay_out(inputs, labels, batch), return_tensors or self.return_tensors)

    def _lay_out(self, inputs: RaggedTokens, labels: RaggedTokens, batch: RaggedBatch) -> dict[str, np.ndarray]:
        inputs_batch = RaggedBatch(inputs.lengths, {"input_ids": inputs.input_ids}, batch.per_sequence)
        labels_batch = RaggedBatch(labels.lengths, {"labels": labels.input_ids}, {})
        pad = {"input_ids": pad_token_id(self._vocabulary, inputs.lengths, self.pad_to_multiple_of)}
        return {
            **padded(inputs_batch, pad, self.tokenizer.padding_side, self.pad_to_multiple_of),
            "labels": padded(labels_batch, {"labels": IGNORE_INDEX}, "right", self.pad_to_multiple_of)["labels"],
        }
