"""The loaders that a `Trainer` evaluates with: their batches are known to be for evaluation."""

from __future__ import annotations

import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from hf_dynmask.loading.loaders import find_collator, index_sampler, torch_loader
from hf_dynmask.loading.numbering import number_batches

if TYPE_CHECKING:
    from transformers import Trainer

    from hf_dynmask.trainer.callback import MaskRateCallback


def patch_eval_dataloaders(trainer: Trainer, callback: MaskRateCallback) -> None:
    """Has the loaders that the `Trainer` makes for evaluation, or has kept, serve it as `callback` says.

    The loaders, not the `Trainer`'s collator, because that makes training batches as well. Of two callbacks the one
    that came later counts, and one that was removed from the `Trainer` does not.
    """
    for name in ("get_eval_dataloader", "get_test_dataloader"):
        own = vars(trainer).get(name)
        setattr(
            trainer, name, _PatchedMethod(name, own.own if isinstance(own, _PatchedMethod) else own, trainer, callback)
        )


class _PatchedMethod:
    """Stands in for a method of the `Trainer` that makes loaders, or for `own`, which the instance had in its place.

    It does not hold the `Trainer`, which holds it: both would stay after their last use, with model and workers, until
    the garbage collector comes by.
    """

    def __init__(self, name: str, own: Any, trainer: Trainer, callback: MaskRateCallback) -> None:
        self.own = own
        self._name = name
        self._trainer = weakref.ref(trainer)
        self._callback = callback

    def __reduce__(self) -> tuple[Any, ...]:
        return _PatchedMethod, (
            self._name,
            self.own,
            self._trainer(),
            self._callback,
        )  # a weak reference cannot be pickled

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The loader; what collates with something else, or has its twin for evaluation, is left alone."""
        trainer = self._trainer()
        if trainer is None:
            raise ReferenceError(
                f"`{self._name}` must be called while its Trainer exists, but nothing holds the Trainer any more. Keep "
                "it in a variable."
            )
        loader = (self.own or partial(getattr(type(trainer), self._name), trainer))(*args, **kwargs)
        collator = find_collator(getattr(loader, "collate_fn", None))
        if collator is not None and not collator.is_evaluation:
            serves = any(other is self._callback for other in trainer.callback_handler.callbacks)
            sampler, _ = number_batches(loader)
            sampler.plan = self._callback.evaluation_plan(trainer.args.seed) if serves else None
        return loader


def check_evaluation_loader(loader: Any) -> None:
    """Refuses an evaluation that masks as training does.

    Raises:
        RuntimeError: if the loader's collator is one of this package and does not know that its batches are for
            evaluation.
    """
    with suppress(ValueError):  # what is no loader of torch collates by other means
        inner = torch_loader(loader)
        collator, plan = find_collator(inner.collate_fn), getattr(index_sampler(inner), "plan", None)
        if collator is not None and not collator.is_evaluation and not getattr(plan, "is_evaluation", False):
            raise RuntimeError(
                "`MaskRateCallback` must know its Trainer before an evaluation begins, but this evaluation has the "
                "masks of training. Call `callback.bind(trainer)` after `trainer.add_callback(callback)`. An "
                "evaluation loader that `get_eval_dataloader` does not make needs `collator.for_evaluation()` as its "
                "`collate_fn`."
            )
