"""The loaders that a `Trainer` evaluates with: each collates with the twin of its collator that is for evaluation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from hf_dynmask.training_loader import collator_in, put_into, restart_workers

if TYPE_CHECKING:
    from transformers import Trainer

    from hf_dynmask.callback import MaskRateCallback


def serve(trainer: Trainer, callback: MaskRateCallback) -> None:
    """Has the loaders that the `Trainer` makes for evaluation, or has kept, serve it as `callback` says.

    The loaders, not the `Trainer`'s collator, because that makes training batches as well. Of two callbacks the one
    that came later counts, and one that was removed from the `Trainer` does not.
    """
    for name in ("get_eval_dataloader", "get_test_dataloader"):
        made = getattr(trainer, name)
        if isinstance(made, partial) and made.func is _served:
            made = made.args[0]
        setattr(trainer, name, partial(_served, made, trainer, callback))


def _served(make: Any, trainer: Trainer, callback: MaskRateCallback, *args: Any, **kwargs: Any) -> Any:
    """The loader that `make` returns; what collates with something else, or has such a twin already, is left alone."""
    loader = make(*args, **kwargs)
    collator = collator_in(getattr(loader, "collate_fn", None))
    serves = any(other is callback for other in trainer.callback_handler.callbacks)
    if serves and collator is not None and not collator.evaluates:
        put_into(loader, collator.for_evaluation(callback.eval_mlm_probability))
        restart_workers(loader)  # of a kept loader: they have the collator that it had when they began
    return loader
