"""Checks at the start of training that packed sequences stay apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from hf_dynmask.batching.packing import Packing
from hf_dynmask.batching.packs import SEQ_LENGTHS
from hf_dynmask.loading.loaders import slices_batches
from hf_dynmask.modeling.packed_attention import packing_of


def check_packing(collator: Any, model: Any, loader: Any, trainer: Any | None) -> None:
    """Checks the model and the training loader, and the datasets if the `Trainer` is known.

    Raises:
        RuntimeError: if the sequences of a row would attend to each other, or the boundaries of packs or rows would be
            lost.
    """
    packing = getattr(collator, "packing", None)
    if packing is not None:
        _check_model(packing, model)
    check_whole_batches(collator, loader)
    if trainer is not None:
        _check_boundaries(trainer)
        if packing is not None:
            _check_metrics(trainer)


def _check_model(packing: Packing, model: Any) -> None:
    expected = packing_of(model)
    if packing != expected:
        found = "it was not called with this model" if expected is None else f"that of this model is {expected}"
        raise RuntimeError(
            f"`packing` must be the result of `packed_attention(model)` for the model that is trained, but is "
            f"{packing}, and {found}. Call it with that model, after its attention implementation is set, and make the "
            "collator with the result."
        )


def check_whole_batches(collator: Any, loader: Any) -> None:
    """Checks that columns with a value for each sequence reach the model, if sequences share rows.

    Raises:
        RuntimeError: if accelerate would cut these columns to the number of rows.
    """
    packing = getattr(collator, "_packing", None)
    if packing is None or not slices_batches(loader):
        return
    has_rates = collator.return_mask_rate and collator.return_mask_rate != "token"
    if has_rates or (packing.one_row and collator.return_flash_attn_kwargs):
        raise RuntimeError(
            "Batches must reach the model whole, but accelerate cuts each column of a stream to the number of rows, "
            "and with it the ends or rates of packed sequences. Pass "
            '`accelerator_config={"dispatch_batches": False}` to `TrainingArguments`.'
        )


def _check_boundaries(trainer: Any) -> None:
    if not trainer.args.remove_unused_columns:
        return
    for dataset in (trainer.train_dataset, *eval_datasets(trainer)):
        columns = _columns(dataset)
        if SEQ_LENGTHS in columns and "position_ids" not in columns:
            raise RuntimeError(
                f"`Trainer` must keep the boundaries of packed sequences, but removes `{SEQ_LENGTHS}`, which no model "
                "takes. Pass `remove_unused_columns=False` to `TrainingArguments`, or pack the dataset with "
                "`hf_dynmask.pack_dataset`, which adds `position_ids`."
            )


def _check_metrics(trainer: Any) -> None:
    if trainer.compute_metrics is None or trainer.eval_dataset is None:
        return
    for dataset in eval_datasets(trainer):
        if not {SEQ_LENGTHS, "position_ids"} & set(_columns(dataset)):
            raise RuntimeError(
                "`compute_metrics` must receive a row for each example, but `packing` puts several examples of "
                "`eval_dataset` in a row. Pack `eval_dataset` with `hf_dynmask.pack_dataset`, so that a row is an "
                "example, or evaluate without `compute_metrics`."
            )


def eval_datasets(trainer: Any) -> Collection[Any]:
    """The datasets that a `Trainer` evaluates on: several if `eval_dataset` is a mapping."""
    evaluated = trainer.eval_dataset
    return evaluated.values() if isinstance(evaluated, Mapping) else [evaluated]


def _columns(dataset: Any) -> Collection[str]:
    """The columns of a dataset; of one that does not name them, those of its first example; empty for a stream."""
    names = getattr(dataset, "column_names", None)
    if names is not None or not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__") or not len(dataset):
        return names or ()
    example = dataset[0]
    return tuple(example) if isinstance(example, Mapping) else ()
