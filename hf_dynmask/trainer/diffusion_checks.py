"""Checks and warnings about what would make the loss of masked diffusion no bound."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.strategies.units import every_token
from hf_dynmask.trainer.callback import MaskRateCallback
from hf_dynmask.vocabulary.vocabulary import Vocabulary, read_vocabulary


def check_arguments(trainer: Any) -> None:
    """Checks that no argument of `Trainer` asks for another loss.

    Raises:
        ValueError: if one does.
    """
    for name, value in (
        ("compute_loss_func", trainer.compute_loss_func),
        ("label_smoothing_factor", trainer.args.label_smoothing_factor or None),
    ):
        if value is not None:
            raise ValueError(
                f"`{name}` must be left out with `MaskedDiffusionTrainer`, whose loss is `masked_diffusion_loss`, but "
                f"got {value!r}. Leave it out, or pass it to `Trainer`."
            )


def check_collator(collator: Any) -> None:
    """Checks a `DataCollatorForDynamicMasking`; other collators are not checked.

    Raises:
        ValueError: if its settings make the bound wrong.
    """
    if not isinstance(collator, DataCollatorForDynamicMasking):
        return
    plan: Any = collator._plan  # None without masking
    settings = {
        "mlm": (True, collator.mlm),
        "mntp": (False, collator.mntp),
        "strategy": ("token", "token" if plan is None or _masks_each_token_alike(plan.strategy) else plan.strategy),
        "exact_count": (False, collator.exact_count),
        "min_masked": (0, collator.min_masked),
        "mask_replace_prob": (1.0, collator.mask_replace_prob),
        "random_replace_prob": (0.0, collator.random_replace_prob),
        "return_mask_rate": (True, bool(collator.return_mask_rate)),
    }
    wrong = {name: pair for name, pair in settings.items() if pair[0] != pair[1]}
    if wrong:
        got = ", ".join(f"`{name}={value!r}`" for name, (_, value) in wrong.items())
        remedy = ", ".join(f"`{name}={value!r}`" for name, (value, _) in wrong.items())
        raise ValueError(
            "`data_collator` must mask each token on its own at the rate that the batch holds, as the bound of masked "
            f"diffusion requires, but got {got}. Pass {remedy} to it."
        )


def _masks_each_token_alike(strategy: Any) -> bool:
    is_uniform = strategy.weights is None and strategy.probs is None and strategy.draws is None
    return is_uniform and strategy.partition is every_token


def check_batch(batch: Mapping[str, Any]) -> None:
    """Checks that a batch has a rate for each of its sequences.

    Raises:
        ValueError: if it has none, or has rates of sequences whose rows are unknown.
    """
    missing = [name for name in ("input_ids", "labels", "mask_rate") if batch.get(name) is None]
    if missing:
        raise ValueError(
            f"`inputs` must have `input_ids`, `labels` and `mask_rate`, but have {sorted(batch)}. Pass "
            "`return_mask_rate=True` to `DataCollatorForDynamicMasking`."
        )
    if batch.get("seq_idx") is not None and batch["mask_rate"].ndim == 1:
        raise ValueError(
            "`mask_rate` must have one value for each token if rows hold several sequences, but got one for each "
            'sequence. Pass `return_mask_rate="token"` to `DataCollatorForDynamicMasking`.'
        )


def read_tokenizer(tokenizer: Any) -> Vocabulary:
    """The vocabulary of the `processing_class` of a `Trainer`.

    Raises:
        ValueError: if it is not a tokenizer.
    """
    if not hasattr(tokenizer, "get_vocab"):
        raise ValueError(
            "`processing_class` must be the tokenizer if `data_collator` is not a `DataCollatorForDynamicMasking`, as "
            f"special tokens are not counted, but got {tokenizer!r}. Pass `processing_class=tokenizer`."
        )
    return read_vocabulary(tokenizer)


def warn_uncounted_labels(datasets: Iterable[Any]) -> None:
    """Warns about datasets whose labels may exempt tokens from masking, which a batch does not show."""
    for dataset in datasets:
        if "labels" in (getattr(dataset, "column_names", None) or ()):
            _warn(
                "The dataset has the column `labels`. Tokens with the label -100 are never masked, but "
                "`MaskedDiffusionTrainer` counts them, so its loss in nats per token is too low. Override "
                '`count_tokens`, or drop the column with `dataset.remove_columns("labels")`.'
            )
            return


def warn_about_evaluation_rate(callbacks: Iterable[Any]) -> None:
    """Warns about evaluation at a fixed rate."""
    for callback in callbacks:
        if isinstance(callback, MaskRateCallback) and not isinstance(callback.eval_mlm_probability, RateDistribution):
            _warn(
                "`eval_mlm_probability` of `MaskRateCallback` should be a distribution of rates, but is "
                f"{callback.eval_mlm_probability!r}, so `eval_loss` is not a bound. Pass "
                "`eval_mlm_probability=uniform_rate(1e-3, 1.0)`."
            )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)
