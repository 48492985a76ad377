"""A `Trainer` of masked diffusion models, whose losses are bounds in nats per token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import Trainer

from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.core.ragged import IGNORE_INDEX
from hf_dynmask.modeling.diffusion_loss import masked_diffusion_loss
from hf_dynmask.trainer.callback import MaskRateCallback
from hf_dynmask.trainer.diffusion_checks import (
    check_arguments,
    check_batch,
    check_collator,
    read_tokenizer,
    warn_about_evaluation_rate,
    warn_about_training_rate,
    warn_uncounted_tokens,
)
from hf_dynmask.trainer.packing_checks import eval_datasets
from hf_dynmask.vocabulary.vocabulary import Vocabulary


class MaskedDiffusionTrainer(Trainer):
    """Trains a masked language model on the bound of masked diffusion, with the rates in the batch.

    The loss is that of [`masked_diffusion_loss`] in nats per token: the losses over their rates, summed over all
    batches of an optimizer step and all ranks, divided by the number of tokens that may be masked. So it is the same
    for any number of accumulated batches. The evaluation loss is the sum over all of `eval_dataset` divided by its
    tokens, whatever the batch size, and `exp(eval_loss)` is an upper bound on the perplexity in expectation.

    Special tokens, such as `[CLS]`, `[SEP]`, `[UNK]` and padding, are never masked. The bound does not contain them, so
    [`count_tokens`] does not count them. With them, the loss of short texts would seem lower than it is.

    The model receives neither `labels` nor `mask_rate`, so it computes no loss of its own, and its outputs need logits
    only. [`MaskRateCallback`] still audits the masks.

    Args:
        args: the arguments of `Trainer`, by position. `data_collator` is a [`DataCollatorForDynamicMasking`] as below,
            or one whose batches have `mask_rate`, together with `processing_class`, the tokenizer. Only rates from
            U(0, 1), or nearly so, give a bound; for others in evaluation, and for a fixed rate or a schedule in
            training, there is a warning. With [`MaskRateCallback`], pass `eval_mlm_probability` as well, or evaluation
            has a fixed rate. A distribution with a `block_size` gives a bound if the model sees the tokens of earlier
            blocks unmasked (Arriola et al. 2025, BD3LM). With complementary views, pass `uniform_rate(1e-3, 1 - 1e-3)`,
            as the second view has the rate 1 - `mask_rate`.
        kwargs: the arguments of `Trainer`, by name.

    Raises:
        ValueError: if the collator has settings that make the bound wrong, if neither it nor `processing_class` has
            the tokenizer, or if `compute_loss_func` or `label_smoothing_factor` asks for another loss; in training and
            evaluation, for a batch without `mask_rate`, or with a rate for each sequence in packed rows.

    Example:

        >>> from tempfile import mkdtemp
        >>> from transformers import BertConfig, BertForMaskedLM, TrainingArguments
        >>> from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, uniform_rate
        >>> sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        >>> collator = DataCollatorForDynamicMasking(
        ...     tokenizer,
        ...     mlm_probability=uniform_rate(1e-3, 1.0, low_discrepancy=True),
        ...     min_masked=0,
        ...     mask_replace_prob=1.0,
        ...     random_replace_prob=0.0,
        ...     return_mask_rate=True,
        ... )
        >>> trainer = MaskedDiffusionTrainer(
        ...     BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **sizes)),
        ...     TrainingArguments(mkdtemp(), use_cpu=True, report_to="none"),
        ...     data_collator=collator,
        ...     callbacks=[MaskRateCallback(eval_mlm_probability=uniform_rate(1e-3, 1.0))],
        ... )
        >>> trainer.count_tokens(collator([tokenizer("the cat sat")], epoch=0))  # without [CLS] and [SEP]
        tensor(3)
    """

    loss_is_scaled_for_ga = True  # for transformers 5: the loss is divided by the tokens of all accumulated batches

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._evaluated: list[torch.Tensor] | None = None  # during evaluation, [nats, tokens] of each batch
        super().__init__(*args, **kwargs)
        check_arguments(self)
        check_collator(self.data_collator)
        has_vocabulary = isinstance(self.data_collator, DataCollatorForDynamicMasking)
        self._vocabulary = None if has_vocabulary else read_tokenizer(self.processing_class)
        warn_about_training_rate(self.data_collator, self.callback_handler.callbacks)
        if type(self).count_tokens is MaskedDiffusionTrainer.count_tokens:
            datasets = (self.train_dataset, *eval_datasets(self))
            warn_uncounted_tokens(datasets, self._counted_vocabulary, not self.args.remove_unused_columns)
        self.model_accepts_loss_kwargs = True  # the same for transformers 4, which otherwise averages over batches
        if self.args.label_names is None:
            self.label_names = ["labels"]  # also for a model that takes none

    def count_tokens(self, inputs: Mapping[str, Any]) -> torch.Tensor:
        """The number of tokens of a batch that may be masked, int64, a scalar.

        These are the tokens that are attended to, except for special tokens and `unmaskable_ids`. A batch does not show
        which tokens the columns `labels` and `special_tokens_mask` of its examples exempt. With such columns, override
        this method. The trainer warns at construction, but it looks only at the names of the columns, for `labels`, and
        at the first row of each dataset that is indexed. It does not see other rows, streams without `column_names`, or
        datasets that are passed to `evaluate` or `predict`.

        Args:
            inputs: the batch, with `input_ids` and `labels`.
        """
        input_ids, labels = inputs["input_ids"], inputs["labels"]
        maskable = torch.from_numpy(self._counted_vocabulary.maskable).to(input_ids.device)
        is_counted = maskable[torch.where(labels == IGNORE_INDEX, input_ids, labels)]
        if inputs.get("attention_mask") is not None:
            is_counted = is_counted & (inputs["attention_mask"] != 0)
        return is_counted.sum()

    @property
    def _counted_vocabulary(self) -> Vocabulary:
        collator: Any = self.data_collator
        return collator._plan.vocabulary if self._vocabulary is None else self._vocabulary

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[Any], Any]:
        """The batches of an optimizer step, and the number of their tokens, which `Trainer` passes to the loss."""
        batches, num_labels = super().get_batch_samples(*args, **kwargs)
        if not batches:
            return batches, num_labels
        for batch in batches:
            check_batch(batch)
        num_tokens = torch.stack([self.count_tokens(batch) for batch in batches]).sum()
        if self.args.average_tokens_across_devices:
            num_tokens = self.accelerator.gather(num_tokens.to(self.args.device)).sum()
        return batches, num_tokens

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The loss of a batch: see [`masked_diffusion_loss`].

        Args:
            model: the model, possibly wrapped.
            inputs: the batch of the collator.
            return_outputs: also return the outputs of the model.
            num_items_in_batch: in training, the tokens of the optimizer step; None for those of this batch. Evaluation
                ignores it, as some versions of `Trainer` pass a number of labels.

        Raises:
            ValueError: for a batch without `mask_rate`, or with a rate for each sequence in packed rows.
        """
        check_batch(inputs)
        outputs = model(**{name: value for name, value in inputs.items() if name not in ("labels", "mask_rate")})
        logits = outputs["logits"] if isinstance(outputs, Mapping) else outputs[0]
        labels, mask_rate = inputs["labels"], inputs["mask_rate"]
        if model.training:
            self._complete_audit(labels, mask_rate)
        if model.training and num_items_in_batch is not None:
            loss = masked_diffusion_loss(logits, labels, mask_rate, num_items_in_batch) * self._loss_scale
        else:
            num_tokens = self.count_tokens(inputs).to(logits.device)
            loss = masked_diffusion_loss(logits, labels, mask_rate, num_tokens)
            if self._evaluated is not None:
                self._evaluated.append(torch.stack([loss.detach() * num_tokens, num_tokens]))
        if not return_outputs:
            return loss
        return loss, outputs if isinstance(outputs, Mapping) else (loss, *outputs)  # `Trainer` skips the first

    def evaluation_loop(
        self,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> Any:
        """The loop of `Trainer`, with a loss in nats per token over all batches instead of the mean over batches.

        With several ranks, the examples that fill up the last batch count twice.
        """
        warn_about_evaluation_rate(self.data_collator, self.callback_handler.callbacks)
        self._evaluated = []
        try:
            output = super().evaluation_loop(
                dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
            )
            name = f"{metric_key_prefix}_loss"
            if output.metrics is not None and name in output.metrics:
                output.metrics[name] = self._nats_per_token(self._evaluated)
        finally:
            self._evaluated = None
        return output

    def _nats_per_token(self, evaluated: list[torch.Tensor]) -> float:
        total = torch.stack(evaluated).cpu().double().sum(0).float().to(self.args.device)
        nats, num_tokens = self.accelerator.reduce(total).tolist()
        return nats / max(num_tokens, 1)

    @property
    def _loss_scale(self) -> int:
        """The ranks that a loss is averaged over although their tokens are already added up."""
        return self.accelerator.num_processes if self.args.average_tokens_across_devices else 1

    def _complete_audit(self, labels: torch.Tensor, mask_rate: torch.Tensor) -> None:
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, MaskRateCallback):
                callback.record_labels(labels, mask_rate)
