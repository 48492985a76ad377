"""The epoch in which the masks of a training begin: after those of an earlier training of the same model."""

from __future__ import annotations

import json
import logging
import math
import warnings
import weakref
from pathlib import Path
from typing import Any

from transformers.trainer_callback import TrainerState

from hf_dynmask.collators.base import EpochAwareCollator
from hf_dynmask.masking.views import views_of

_LOGGER = logging.getLogger("hf_dynmask")
_ENTRY = "hf_dynmask"  # in `stateful_callbacks`; not the name of a class, which Trainer would make a callback of
_TRAINED: weakref.WeakKeyDictionary[Any, dict[int, int]] = weakref.WeakKeyDictionary()  # a model's patterns by seed


def resolve_first_epoch(first_epoch: int | None, state: TrainerState, model: Any, collator: EpochAwareCollator) -> int:
    """The epoch in which the masks begin, which later checkpoints of this training hold, with the number of its views.

    Args:
        first_epoch: the argument of [`MaskRateCallback`]; None to take it up from a checkpoint.
        state: of the `Trainer`, as training begins or resumes.
        model: the model that is trained.
        collator: of the training.

    Raises:
        ValueError: if the training resumes with another `first_epoch` than before.
    """
    states: Any = state.stateful_callbacks  # a dict by now
    views = views_of(collator).patterns_per_epoch
    if state.global_step:
        resolved = _resumed(first_epoch, states.get(_ENTRY, {}).get("first_epoch", 0))
    else:
        resolved = _continued(model, collator, views) if first_epoch is None else first_epoch
    if resolved or views > 1:
        states[_ENTRY] = {"args": {}, "attributes": {}, "first_epoch": resolved, "views": views}
    return resolved


def _resumed(first_epoch: int | None, saved: int) -> int:
    if first_epoch not in (None, saved):
        raise ValueError(
            f"`first_epoch` must be {saved} to resume from this checkpoint, whose training began there, but got "
            f"{first_epoch}. Leave it out, or pass {saved}."
        )
    return saved


def _continued(model: Any, collator: EpochAwareCollator, views: int) -> int:
    is_dynamic = collator.num_mask_patterns is None and collator._plan is not None
    continued = _epochs_before(model, views, warns=is_dynamic)
    if is_dynamic:
        seed = collator.seed or 0
        _warn_repeated_epochs(continued, _epochs_that_hold(_TRAINED.get(model, {}).get(seed, 0), views), seed)
    return continued


def _epochs_that_hold(patterns: int, views: int) -> int:
    """The number of epochs with as many patterns, or more."""
    return -(-patterns // views)


def remember_epochs(model: Any, collator: EpochAwareCollator, epochs: int) -> None:
    """Records that a model was trained with the masks of a collator until this epoch."""
    trained, seed = _TRAINED.setdefault(model, {}), collator.seed or 0
    trained[seed] = max(epochs * views_of(collator).patterns_per_epoch, trained.get(seed, 0))


def _epochs_before(model: Any, views: int, warns: bool) -> int:
    """The number of epochs that hold the patterns used until the checkpoint that a model was loaded from.

    These are the patterns of its epochs, begun or complete, one for each of its views. The number is 0 without a
    checkpoint. One of another architecture, such as the encoder that is fine-tuned, was trained for another task.
    """
    name = getattr(model, "name_or_path", None)
    architectures = getattr(getattr(model, "config", None), "architectures", None) or ()
    if not name or not Path(name).is_dir() or type(model).__name__ not in architectures:
        return 0
    path = Path(name) / "trainer_state.json"
    if not path.exists():
        if warns and (Path(name) / "training_args.bin").exists():  # which `Trainer.save_model` writes
            _warn_unknown_epochs(name)
        return 0
    state = json.loads(path.read_text(encoding="utf-8"))
    entry = (state.get("stateful_callbacks") or {}).get(_ENTRY, {})
    trained = entry.get("first_epoch", 0) + math.ceil(state.get("epoch") or 0)
    epochs = _epochs_that_hold(trained * entry.get("views", 1), views)
    if epochs:
        _LOGGER.info("Masks begin at epoch %d, after those of the training that saved %s.", epochs, name)
    return epochs


def _warn_unknown_epochs(name: str) -> None:
    warnings.warn(
        f"The model in {name!r} was saved by a `Trainer`, but there is no trainer_state.json, so the number of its "
        "epochs is unknown, and masks begin at epoch 0. If it was trained with the same data and seed, pass that "
        "number as `first_epoch` to `MaskRateCallback`, and 0 otherwise. `trainer.save_state()` saves that file.",
        UserWarning,
        stacklevel=2,
    )


def _warn_repeated_epochs(first_epoch: int, trained: int, seed: int) -> None:
    """Warns about a second training of a model with the masks of the first."""
    if first_epoch < trained:
        warnings.warn(
            f"This model was already trained in this process with seed {seed} and the masks before epoch {trained}, "
            f"and masks begin at epoch {first_epoch} again, so repeated examples get the same masks as before. Pass "
            f"`first_epoch={trained}` to `MaskRateCallback` for new masks.",
            UserWarning,
            stacklevel=2,
        )
