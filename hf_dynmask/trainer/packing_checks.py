"""Checks at the start of training that packed sequences stay apart."""

from __future__ import annotations

from typing import Any

from hf_dynmask.batching.packs import SEQ_LENGTHS
from hf_dynmask.modeling.packed_attention import keeps_sequences_apart


def check_packing(collator: Any, model: Any, trainer: Any | None) -> None:
    """Checks the model, and the columns of the dataset if the `Trainer` is known.

    Raises:
        RuntimeError: if the sequences of a row would attend to each other, or the boundaries of packs would be lost.
    """
    packing = getattr(collator, "packing", None)
    if packing is not None and not packing.one_row and not keeps_sequences_apart(model):
        raise RuntimeError(
            "The model must keep the sequences of a row apart, but `packing` was made with another model, so this one "
            "ignores `seq_idx`. Call `packed_attention(model)` with the model that `Trainer` trains."
        )
    if trainer is not None and trainer.args.remove_unused_columns:
        _check_boundaries(getattr(trainer.train_dataset, "column_names", None) or ())


def _check_boundaries(columns: Any) -> None:
    if SEQ_LENGTHS in columns and "position_ids" not in columns:
        raise RuntimeError(
            f"`Trainer` must keep the boundaries of packed sequences, but removes `{SEQ_LENGTHS}`, a column that no "
            "model takes. Pass `remove_unused_columns=False` to `TrainingArguments`, or pack the dataset with "
            "`hf_dynmask.pack_dataset`, which adds `position_ids`."
        )
