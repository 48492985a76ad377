"""The data collator for span corruption, T5's objective: examples in, corrupted inputs and their targets out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hf_dynmask.batching.columns import check_names
from hf_dynmask.batching.eligibility import attended_tokens, check_columns, maskable_tokens
from hf_dynmask.batching.examples import ragged_batch
from hf_dynmask.batching.layout import check_layout, encoding, pad_token_id, padded
from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.collators.constructor import explain_arguments
from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch, RaggedTokens, only_attended
from hf_dynmask.masking.sentinels import corrupt, find_sentinels, span_targets
from hf_dynmask.masking.span_noise import NoisePlan, noise_tokens
from hf_dynmask.rates.schedules import FixedRate, Rate, checked_evaluation_rate

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase


@explain_arguments
@dataclass
class DataCollatorForSpanCorruption(EpochAwareCollator):
    """Corrupts spans of tokens for encoder-decoder models, afresh in every epoch: T5's objective.

    Raffel et al. 2020, "Exploring the limits of transfer learning with a unified text-to-text transformer". A span of
    noise becomes one sentinel token in the input; the target is the sentinels, each followed by what it stands for:

        the text:   Thank you for inviting me to your party last week.
        input_ids:  Thank you <extra_id_0> me to your party <extra_id_1> week.</s>
        labels:     <extra_id_0> for inviting <extra_id_1> last <extra_id_2></s>

    Which tokens are noise is a pure function of the seed, the example's token ids, the epoch and the noise density, as
    the masks of [`DataCollatorForDynamicMasking`] are, and like those it follows [`MaskRateCallback`] or [`set_epoch`].
    Unlike in T5's own code, where a text never begins with noise and always ends with it, every token is equally likely
    to be noise (see `hf_dynmask.masking.span_noise`). Noise at a lower density is not a subset of that at a higher.

    Args:
        tokenizer: a transformers tokenizer, fast or slow, with at least 3 sentinels, tokens named `<extra_id_0>`,
            `<extra_id_1>`, ..., whatever their ids. A text with more spans than there are sentinels, less two, has
            fewer and longer ones instead. Later changes count as in [`DataCollatorForDynamicMasking`].
        noise_density: the fraction of tokens that are noise, in [0, 1]; or a schedule: a function from training
            progress in [0, 1] to such a fraction; or a distribution that each sequence draws its own from. The count
            is rounded up or down at random, so that the mean is right; but at a density strictly between 0 and 1, two
            or more tokens always have one that is noise and one that is not.
        mean_noise_span_length: the mean number of tokens of a span, to within rounding to a whole number of spans.
        num_mask_patterns: how many ways an example is corrupted: None for a new one each epoch, 1 for one and the same,
            k for k that take turns.
        seed: any integer; None for the `Trainer`'s `args.seed` under [`MaskRateCallback`], and 0 otherwise. Neither
            draws from nor touches any global random state.
        pad_to_multiple_of: pad inputs and labels to a multiple of this length.
        return_tensors: `"pt"` or `"np"`.
        per_token_columns: the names of further columns with a value for each token, where the examples have them.

    Examples in are mappings (or bare sequences of ids) with, of any lengths, as lists, numpy arrays or torch tensors:

        - **input_ids**: integers; may come padded: the padding is dropped, and put in anew after corruption.
        - **attention_mask** (optional): 0 where padded. Without it, a pad token is padding.
        - **special_tokens_mask** (optional): 1 where never noise, besides special and unknown tokens and sentinels. A
          span of noise that goes on beyond such a token is two, with a sentinel each; where the sentinels do not
          suffice for that, as many spans as there are too many, drawn at random, are no noise after all.
        - **labels** (optional): -100 where never noise. One number for each example, its class, is not read.
        - further columns with a value for each token: dropped, as they make no sense after corruption. These are those
          that transformers' tokenizers make, such as `token_type_ids` and `bbox`, and `per_token_columns`.
        - any other column: stacked, and so of one shape for every example.

    Returns a `BatchEncoding` of what `model.forward` takes, which makes `decoder_input_ids` from the labels itself:

        - **input_ids**: int64 `[batch, length]`, padded with the pad token on the tokenizer's `padding_side`.
        - **attention_mask**: int64 `[batch, length]`, 1 for tokens, 0 for padding.
        - **labels**: int64 `[batch, target length]`, each sentinel and what it stands for, one more sentinel, and the
          tokenizer's end-of-sequence token if it has one; padded with -100 on the right.
        - the stacked columns of the examples.

    Raises:
        ValueError: for bad arguments, here; for bad examples, and a schedule that goes wrong, when called.

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
        """A collator like this one for evaluation: each example corrupted in one fixed way, at a fixed density.

        So evaluation losses can be compared along a run, between schedules and between runs of one seed.
        """
        density = checked_evaluation_rate(mlm_probability)
        return self._clone_with(noise_density=density, num_mask_patterns=1, is_evaluation=True)

    def _details(self) -> tuple[str, ...]:
        return (f"spans of {self.mean_noise_span_length:g} tokens in the mean become one sentinel each",)

    @cached_property
    def _sentinels(self) -> np.ndarray:
        _ = self._vocabulary  # read together: that one tells when the tokenizer has changed, and both are read anew
        return find_sentinels(self.tokenizer)

    def _make_plan(self) -> NoisePlan:
        check_layout(self.pad_to_multiple_of, self.return_tensors)
        check_names(self.per_token_columns)
        seed = 0 if self.seed is None else self.seed
        return NoisePlan(self.mean_noise_span_length, max_runs=len(self._sentinels) - 1, seed=seed)

    def _collate(
        self, examples: Sequence[Any], return_tensors: str | None, rate: FixedRate, pattern: int
    ) -> BatchEncoding:
        plan = self._plan  # first: it checks what was set since the last call
        batch = ragged_batch(examples, self.per_token_columns)
        check_columns(batch, self._vocabulary)
        batch = only_attended(batch, attended_tokens(batch, self._vocabulary))
        tokens = RaggedTokens(batch.per_token["input_ids"], batch.lengths)
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
