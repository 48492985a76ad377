"""What is in a `DataLoader`, however it is wrapped. Each private attribute of torch is used in one place."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

_DEPTH = 5  # of wrappers in wrappers
_COLLECTIONS = (dict, list, tuple)


def torch_loader(loader: Any) -> DataLoader[Any]:
    """The torch `DataLoader` that is iterated when `loader` is.

    Raises:
        ValueError: if `loader` is none, and does not hold exactly one.
    """
    return _layers(loader)[-1]


def _layers(loader: Any) -> list[Any]:
    """The loader, the one that it wraps, and so on to the torch `DataLoader`."""
    layers = [loader]
    while not issubclass(type(layers[-1]), DataLoader):  # accelerate's say that they are one, but hold one
        attributes = getattr(layers[-1], "__dict__", {}).values()
        held = {id(value): value for value in attributes if _is_loader(value)}
        if len(held) != 1 or len(layers) > _DEPTH:
            raise ValueError(
                f"the loader must be a torch `DataLoader`, or hold exactly one, but got a {type(loader).__name__}. "
                "Return a `DataLoader` from `get_train_dataloader` and `get_eval_dataloader`, so that the epoch and "
                "the optimizer step of each batch are known."
            )
        layers += held.values()
    return layers


def _is_loader(value: Any) -> bool:
    return isinstance(value, DataLoader) or (hasattr(value, "collate_fn") and hasattr(value, "dataset"))


def index_sampler(loader: DataLoader[Any]) -> Any:
    """What draws the indices of each batch."""
    return loader.sampler if loader.batch_sampler is None else loader.batch_sampler


def replace_index_sampler(loader: DataLoader[Any], sampler: Any) -> None:
    """Has iterations that begin from now on draw indices by `sampler`, which draws what the loader's own draws.

    torch refuses to set these attributes, because another order would not be that of the loader's arguments.
    """
    vars(loader)["sampler" if loader.batch_sampler is None else "batch_sampler"] = sampler


def restart_workers(loader: DataLoader[Any]) -> None:
    """Ends persistent workers; the next iteration starts new ones, which have the collator as it is then."""
    loader._iterator = None
    if hasattr(loader, "_initial_iter_for_state_dict"):  # torchdata's, which made one to ask for its state
        loader._initial_iter_for_state_dict = False


def find_collator(collate_fn: Any) -> Any | None:
    """The collator of this package in a collate function, or None.

    Of several, it is the first that is found.
    """
    return next(iter(find_collators(collate_fn)), None)


def find_collators(collate_fn: Any) -> list[Any]:
    """The collators of this package in a collate function.

    They are looked for in the attributes of wrappers, such as `RemoveColumnsCollator`, in lists and dictionaries, in
    partial functions and methods, and among what functions refer to.
    """
    return list({id(collator): collator for collator in _find_collators(collate_fn, _DEPTH)}.values())


def _find_collators(value: Any, depth: int) -> Iterator[Any]:
    if hasattr(type(value), "for_evaluation"):
        yield value
    elif depth:
        for held in _referents(value):
            yield from _find_collators(held, depth - 1)


def _referents(value: Any) -> Iterator[Any]:
    """What may call, or be, a collator in a callable or a collection of them."""
    if isinstance(value, dict):
        held = list(value.values())
    elif isinstance(value, list | tuple):
        held = list(value)
    elif isinstance(value, functools.partial):
        held = [value.func, *value.args, *value.keywords.values()]
    elif hasattr(value, "__self__"):
        held = [value.__self__]
    elif hasattr(value, "__code__"):
        names = value.__code__.co_names
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        held = cells + [value.__globals__[name] for name in names if name in value.__globals__]
    else:
        held = list(getattr(value, "__dict__", {}).values())
    return (each for each in held if isinstance(each, _COLLECTIONS) or (callable(each) and not isinstance(each, type)))


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def check_order(loader: Any) -> None:
    """Refuses a loader whose batches are used in another order than they are drawn in, so that steps are not known.

    Raises:
        ValueError: if it is such a loader.
    """
    if not getattr(torch_loader(loader), "in_order", True):
        raise ValueError(
            "`in_order` of the training DataLoader must be True under a mask rate schedule, but got False: a batch's "
            "optimizer step follows from its place in the order. Pass `dataloader_in_order=True`, or a constant rate."
        )


def collated_per_batch(loader: Any) -> int:
    """How many batches are collated for one that is used.

    accelerate's dispatcher has rank 0 collate a batch for each rank. If it is to split batches, that is one for all;
    under tensor parallelism, one that all ranks get.
    """
    dispatcher = _dispatcher_in(loader)
    if dispatcher is None or dispatcher.split_batches or getattr(dispatcher, "submesh_tp", None) is not None:
        return 1
    return int(dispatcher.state.num_processes)


def is_dispatched(loader: Any) -> bool:
    """Whether a batch that rank 0 has collated is split among several ranks."""
    dispatcher = _dispatcher_in(loader)
    return dispatcher is not None and dispatcher.state.num_processes > 1


def is_collated_here(loader: Any) -> bool:
    """Whether what this process uses is collated by its own loader, not by that of rank 0."""
    dispatcher = _dispatcher_in(loader)
    return dispatcher is None or dispatcher.state.process_index == 0


def _dispatcher_in(loader: Any) -> Any | None:
    from accelerate.data_loader import DataLoaderDispatcher  # not at import: it would double what that costs

    return next((layer for layer in _layers(loader) if isinstance(layer, DataLoaderDispatcher)), None)


def streams_unequally(loader: Any) -> bool:
    """Whether several workers read a stream, so that the share of one may end before those of the others."""
    inner = torch_loader(loader)
    return isinstance(inner.dataset, IterableDataset) and inner.num_workers > 1
