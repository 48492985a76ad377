"""Checks and warnings about what would make the loss of masked diffusion no bound."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.collators.language_modeling import DataCollatorForDynamicMasking
from hf_dynmask.core.checks import as_numbers
from hf_dynmask.rates.distributions import RateDistribution
from hf_dynmask.strategies import Strategy, every_token
from hf_dynmask.trainer.callback import MaskRateCallback
from hf_dynmask.vocabulary.vocabulary import Vocabulary, read_vocabulary

_CLIPPED = 0.01  # how far the rates of an evaluation may be from those of U(0, 1), so that 1 / rate stays finite


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
    is_packed = collator.padding_free or collator.packing is not None
    returned = collator.return_mask_rate
    settings = {
        "mlm": (True, collator.mlm),
        "mntp": (False, collator.mntp),
        "strategy": ("token", "token" if plan is None or _masks_tokens(plan.strategy) else plan.strategy),
        "exact_count": (False, collator.exact_count),
        "min_masked": (0, collator.min_masked),
        "mask_replace_prob": (1.0, collator.mask_replace_prob),
        "random_replace_prob": (0.0, collator.random_replace_prob),
        "return_mask_rate": ("token", returned) if is_packed else (True, bool(returned)),
    }
    wrong = {name: pair for name, pair in settings.items() if pair[0] != pair[1]}
    if wrong:
        got = ", ".join(f"`{name}={value!r}`" for name, (_, value) in wrong.items())
        remedy = ", ".join(f"`{name}={value!r}`" for name, (value, _) in wrong.items())
        raise ValueError(
            "`data_collator` must mask each token on its own at the rate that the batch holds, as the bound of masked "
            f"diffusion requires, but got {got}. Pass {remedy} to it."
        )


def _masks_tokens(strategy: Strategy) -> bool:
    is_uniform = strategy.weights is strategy.probs is strategy.draws is None
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


def warn_uncounted_tokens(datasets: Iterable[Any], vocabulary: Vocabulary, keeps_columns: bool) -> None:
    """Warns about datasets with columns that exempt tokens from masking, which a batch does not show.

    Args:
        datasets: the datasets. Of one that is indexed, the first row is read.
        vocabulary: of the tokenizer.
        keeps_columns: whether the collator receives columns that the model does not take.
    """
    for dataset in datasets:
        row = _first_row(dataset)
        if "labels" in row or "labels" in (getattr(dataset, "column_names", None) or ()):
            _warn_uncounted_column("labels", "the label -100")
            return
        if keeps_columns and _exempts_ordinary_tokens(row, vocabulary):
            _warn_uncounted_column("special_tokens_mask", "the value 1 there")
            return


def _first_row(dataset: Any) -> Mapping[str, Any]:
    """Empty if there is none, or it is unknown."""
    try:
        row = dataset[0]
    except Exception:  # a stream, or a dataset that is empty or fails, which raises in training
        return {}
    return row if isinstance(row, Mapping) else {}


def _exempts_ordinary_tokens(row: Mapping[str, Any], vocabulary: Vocabulary) -> bool:
    """Whether `special_tokens_mask` marks tokens that could be masked. The collator checks both columns."""
    ids, mask = (as_numbers(row.get(name)) for name in ("input_ids", "special_tokens_mask"))
    if ids is None or mask is None or ids.shape != mask.shape:
        return False
    return bool((vocabulary.maskable.take(ids.astype(np.int64), mode="clip") & (mask != 0)).any())


def warn_about_training_rate(collator: Any, callbacks: Iterable[Any]) -> None:
    """Warns about training at a rate that is no distribution: that of the callback, or else of the collator."""
    for name, rate, argument in _rates(collator, callbacks, "schedule"):
        _warn_about_rate(name, rate, "the loss", argument)


def warn_about_evaluation_rate(collator: Any, callbacks: Iterable[Any]) -> None:
    """Warns about evaluation at a rate other than U(0, 1): that of the callback, or of the collator without it."""
    for name, rate, argument in _rates(collator, callbacks, "eval_mlm_probability"):
        _warn_about_rate(name, rate, "`eval_loss`", argument)
        _warn_about_bound(name, rate, argument)


def _rates(collator: Any, callbacks: Iterable[Any], argument: str) -> Iterator[tuple[str, Any, str]]:
    """The name, the value and the argument of each rate: those that callbacks set, or else that of the collator."""
    rates = [getattr(callback, argument) for callback in callbacks if isinstance(callback, MaskRateCallback)]
    rates = [rate for rate in rates if rate is not None]
    yield from ((f"`{argument}` of `MaskRateCallback`", rate, f"{argument}=") for rate in rates)
    if not rates and isinstance(collator, EpochAwareCollator):
        yield f"`{collator.rate_argument}`", collator.rate, ""


def _warn_about_rate(name: str, rate: Any, loss: str, argument: str) -> None:
    if not isinstance(rate, RateDistribution):
        _warn(
            f"{name} should be a distribution of rates, but is {rate!r}, so {loss} is not a bound. Pass "
            f"`{argument}uniform_rate(1e-3, 1.0)`."
        )


def _warn_about_bound(name: str, rate: Any, argument: str) -> None:
    if isinstance(rate, RateDistribution) and rate.distance_to_uniform > _CLIPPED:
        _warn(
            f"{name} should be U(0, 1), or nearly so, but is {rate!r}, so `eval_loss` is not a bound. Pass "
            f"`{argument}uniform_rate(1e-3, 1.0)`."
        )


def _warn_uncounted_column(column: str, value: str) -> None:
    _warn(
        f"The dataset has the column `{column}`. Tokens with {value} are never masked, but `MaskedDiffusionTrainer` "
        "counts them, so its loss in nats per token is too low. Override `count_tokens`, or drop the column, as "
        f'`dataset.remove_columns("{column}")` does.'
    )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=4)  # of the caller of the public function
