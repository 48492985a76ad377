"""Marks the batches of the loaders that a `Trainer` evaluates with as evaluation."""

from __future__ import annotations

import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from hf_dynmask.loading.loaders import find_collator, index_sampler, torch_loader
from hf_dynmask.loading.numbering import number_batches
from hf_dynmask.trainer.packing_checks import check_whole_batches

if TYPE_CHECKING:
    from transformers import Trainer

    from hf_dynmask.trainer.callback import MaskRateCallback


def patch_eval_dataloaders(trainer: Trainer, callback: MaskRateCallback) -> None:
    """Wraps the methods of the `Trainer` that return evaluation loaders, so that those follow `callback`.

    The loaders are changed and not the `Trainer`'s collator, because that one makes training batches as well. Of two
    callbacks, the one that was bound last decides. A callback that was removed from the `Trainer` has no effect.
    """
    for name in ("get_eval_dataloader", "get_test_dataloader"):
        own = vars(trainer).get(name)
        setattr(
            trainer, name, _PatchedMethod(name, own.own if isinstance(own, _PatchedMethod) else own, trainer, callback)
        )


class _PatchedMethod:
    """Replaces a method of the `Trainer` that returns loaders, or `own`, which replaced that method before.

    It refers to the `Trainer` weakly. Otherwise the two would form a cycle, and keep model and workers alive until the
    garbage collector runs.
    """

    def __init__(self, name: str, own: Any, trainer: Trainer, callback: MaskRateCallback) -> None:
        self.own = own
        self._name = name
        self._trainer = weakref.ref(trainer)
        self._callback = callback

    def __reduce__(self) -> tuple[Any, ...]:
        # a weak reference cannot be pickled
        return _PatchedMethod, (self._name, self.own, self._trainer(), self._callback)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The loader. One without a collator of this package, or with one made for evaluation, is left unchanged."""
        trainer = self._trainer()
        if trainer is None:
            raise ReferenceError(
                f"`{self._name}` must be called while its Trainer exists, but the Trainer was deleted. "
                "Keep it in a variable."
            )
        loader = (self.own or partial(getattr(type(trainer), self._name), trainer))(*args, **kwargs)
        collator = find_collator(getattr(loader, "collate_fn", None))
        check_whole_batches(collator, loader)
        if collator is not None and not collator.is_evaluation:
            serves = any(other is self._callback for other in trainer.callback_handler.callbacks)
            sampler, _ = number_batches(loader)
            sampler.plan = self._callback.evaluation_plan(trainer.args.seed) if serves else None
        return loader


def check_evaluation_loader(loader: Any) -> None:
    """Checks that an evaluation does not use the masks of training.

    Raises:
        RuntimeError: if the loader has a collator of this package, but its batches are not marked as evaluation.
    """
    with suppress(ValueError):  # raised for loaders that hold no `DataLoader`, and so none of our collators
        inner = torch_loader(loader)
        collator, plan = find_collator(inner.collate_fn), getattr(index_sampler(inner), "plan", None)
        if collator is not None and not collator.is_evaluation and not getattr(plan, "is_evaluation", False):
            raise RuntimeError(
                "`MaskRateCallback` must know its Trainer before an evaluation begins, but this evaluation has the "
                "masks of training. Call `callback.bind(trainer)` after `trainer.add_callback(callback)`. An "
                "evaluation loader that `get_eval_dataloader` does not make needs `collator.for_evaluation()` as its "
                "`collate_fn`."
            )
