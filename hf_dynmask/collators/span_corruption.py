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
from hf_dynmask.collators.token_counts import count_noise
from hf_dynmask.core.ragged import IGNORE_INDEX, RaggedBatch, RaggedTokens
from hf_dynmask.loading.batch_counts import RECORDER
from hf_dynmask.masking.denoisers import Denoiser, DensityQuantile, checked_denoisers
from hf_dynmask.masking.mode_tokens import find_mode_tokens, with_mode_tokens
from hf_dynmask.masking.sentinels import corrupt, find_sentinels, span_targets
from hf_dynmask.masking.span_noise import NoisePlan, check_one_density, drawn_denoisers, noise_tokens
from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.rates.schedules import FixedRate, Rate, checked_evaluation_rate

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase

_DENSITY = 0.15
_SPAN_LENGTH = 3.0


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
        denoisers: the mixture of denoisers of UL2 (Tay et al. 2022): a sequence of [`Denoiser`], such as
            [`ul2_denoisers`], of which each sequence draws one for each corruption. Each has its own density and mean
            span length, also in evaluation, so `noise_density` and `mean_noise_span_length` must be left out, and no
            schedule applies. Mode tokens must be tokens of the tokenizer. They are never noise, and are put before all
            other tokens of the input, also before a BOS or CLS token, so that an input is one token longer.
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

        - **input_ids**: int64 `[batch, length]`, after the mode token if the denoiser has one, padded with the pad
          token on the `padding_side` of the tokenizer.
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

        With the mixture of UL2, for a tokenizer without mode tokens:

        >>> from hf_dynmask.masking.denoisers import ul2_denoisers
        >>> collator = DataCollatorForSpanCorruption(t5_tokenizer, denoisers=ul2_denoisers(mode_tokens=None), seed=0)
        >>> batch = collator([t5_tokenizer("they were playing with toys while running through gardens")], epoch=4)
        >>> print(" ".join(t5_tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist())))
        [CLS] <extra_id_0> were playing with <extra_id_1> while <extra_id_2> [SEP]
    """

    rate_argument: ClassVar[str] = "noise_density"
    _made_from_settings: ClassVar[tuple[str, ...]] = (*EpochAwareCollator._made_from_settings, "_mode_tokens")
    _read_off_tokenizer: ClassVar[tuple[str, ...]] = ("_vocabulary", "_sentinels")

    tokenizer: PreTrainedTokenizerBase
    noise_density: Rate = _DENSITY
    _: KW_ONLY
    mean_noise_span_length: float = _SPAN_LENGTH
    denoisers: Sequence[Denoiser] | None = None
    num_mask_patterns: int | None = None
    seed: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    per_token_columns: Sequence[str] = ()

    def for_evaluation(self, mlm_probability: FixedRate = 0.15) -> DataCollatorForSpanCorruption:
        """A copy for evaluation: one fixed corruption of each example, at a fixed density.

        Evaluation losses can then be compared within a run, between schedules, and between runs with the same seed.

        Args:
            mlm_probability: the noise density, in [0, 1], or a distribution. Leave it out with `denoisers`, which keep
                their densities.

        Raises:
            ValueError: if `mlm_probability` is neither, or is given with `denoisers`.
        """
        density = checked_evaluation_rate(mlm_probability)
        if self.denoisers is not None:
            self._check_density(density, "mlm_probability")
            return self._clone_with(num_mask_patterns=1, is_evaluation=True)
        return self._clone_with(noise_density=density, num_mask_patterns=1, is_evaluation=True)

    def for_training(self, rate: Rate | None, seed: int) -> DataCollatorForSpanCorruption:
        """A copy with its own clock, at `rate` unless it is None. `seed` applies if this collator has none.

        Raises:
            ValueError: if there is a `rate`, but denoisers have densities of their own.
        """
        if self.denoisers is not None and rate is not None:
            raise ValueError(
                "`schedule` of `MaskRateCallback` must be None if the collator has `denoisers`, which have densities "
                f"of their own, but got {rate!r}. Pass `MaskRateCallback()`."
            )
        return super().for_training(rate, seed)

    @property
    def rate(self) -> Rate:
        """The noise density; with denoisers, a distribution with the densities of all sequences."""
        if self.denoisers is None:
            return self.noise_density
        return RateDistribution(DensityQuantile(checked_denoisers(self.denoisers)))

    def _check_rate(self) -> None:
        if self.denoisers is None:
            super()._check_rate()
            check_one_density(self.noise_density)
            return
        self._check_density(self.noise_density, "noise_density")
        if self.mean_noise_span_length != _SPAN_LENGTH:
            raise ValueError(
                "`mean_noise_span_length` must be left out with `denoisers`, each of which has its own, but got "
                f"{self.mean_noise_span_length!r}. Pass it to `Denoiser`."
            )

    def _check_density(self, density: Any, argument: str) -> None:
        """Refuses a density that the denoisers would ignore. The default stands for none."""
        if isinstance(density, bool) or density != _DENSITY:
            raise ValueError(
                f"`{argument}` must be left out with `denoisers`, each of which has its own `noise_density`, but got "
                f"{density!r}. Pass it to `Denoiser`."
            )

    def _details(self) -> tuple[str, ...]:
        if self.denoisers is not None:
            return (f"each sequence draws one of {len(self.denoisers)} denoisers, and spans become one sentinel each",)
        return (f"spans of {self.mean_noise_span_length:g} tokens on average become one sentinel each",)

    @cached_property
    def _sentinels(self) -> np.ndarray:
        _ = self._vocabulary  # read at the same time: it detects changes to the tokenizer for both
        return find_sentinels(self.tokenizer)

    @cached_property
    def _mode_tokens(self) -> np.ndarray:
        """int64 `[denoisers]`: the id of the mode token of each denoiser, -1 for none."""
        return find_mode_tokens(self.denoisers or (), self.tokenizer, self._sentinels)

    @property
    def _own_ids(self) -> np.ndarray:
        """int64: the ids that this collator puts into inputs, which are never noise."""
        return np.concatenate([self._sentinels, self._mode_tokens])

    def _make_plan(self) -> NoisePlan:
        check_layout(self.pad_to_multiple_of, self.return_tensors)
        check_names(self.per_token_columns)
        seed = 0 if self.seed is None else self.seed
        denoisers = () if self.denoisers is None else checked_denoisers(self.denoisers)
        _ = self._mode_tokens  # found now, so that construction raises all errors
        return NoisePlan(self.mean_noise_span_length, len(self._sentinels) - 1, seed, denoisers)

    def _collate(self, features: Any, return_tensors: str | None, rate: FixedRate, pattern: int) -> BatchEncoding:
        plan = self._plan  # first, as it checks new settings
        if plan.denoisers and rate != self.rate:
            self._check_density(rate, "eval_mlm_probability")  # of the callback
        batch = ragged_batch(features, self.per_token_columns)
        check_columns(batch, self._vocabulary)
        batch = batch.with_padding(padding_mask(batch, self._vocabulary))
        refuse_packs(batch, self.per_token_columns)
        batch = batch.without_padding()
        tokens = batch.tokens
        maskable = maskable_tokens(batch, self._vocabulary) & ~np.isin(tokens.input_ids, self._own_ids)
        noise = noise_tokens(tokens, maskable, rate, pattern, plan)
        inputs = corrupt(tokens, noise, self._sentinels)
        if plan.denoisers:
            inputs = with_mode_tokens(inputs, self._mode_tokens[drawn_denoisers(tokens, pattern, plan)])
        labels = span_targets(tokens, noise, self._sentinels, self.tokenizer.eos_token_id)
        columns = self._lay_out(inputs, labels, batch)
        if RECORDER.counts is not None:  # only if the logs need them
            RECORDER.counts.append(count_noise(columns, inputs, noise, maskable))
        return encoding(columns, return_tensors or self.return_tensors)

    def _lay_out(self, inputs: RaggedTokens, labels: RaggedTokens, batch: RaggedBatch) -> dict[str, np.ndarray]:
        inputs_batch = RaggedBatch(inputs.lengths, {"input_ids": inputs.input_ids}, batch.per_sequence)
        labels_batch = RaggedBatch(labels.lengths, {"labels": labels.input_ids}, {})
        pad = {"input_ids": pad_token_id(self._vocabulary, inputs.lengths, self.pad_to_multiple_of)}
        return {
            **padded(inputs_batch, pad, self.tokenizer.padding_side, self.pad_to_multiple_of),
            "labels": padded(labels_batch, {"labels": IGNORE_INDEX}, "right", self.pad_to_multiple_of)["labels"],
        }
