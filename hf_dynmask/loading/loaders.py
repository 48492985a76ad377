"""Looks into a `DataLoader`, however it is wrapped. Each private attribute of torch is used in one place here."""

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
        ValueError: if `loader` is not a `DataLoader` and does not hold exactly one.
    """
    return _layers(loader)[-1]


def _layers(loader: Any) -> list[Any]:
    """The loader, the one that it wraps, and so on down to the torch `DataLoader`."""
    layers = [loader]
    while not issubclass(type(layers[-1]), DataLoader):  # accelerate's loaders claim this class, but hold one
        attributes = getattr(layers[-1], "__dict__", {}).values()
        held = {id(value): value for value in attributes if _is_loader(value)}
        if len(held) != 1 or len(layers) > _DEPTH:
            raise ValueError(
                f"`loader` must be a torch `DataLoader`, or hold exactly one, but got a {type(loader).__name__}. "
                "The epoch and the optimizer step of a batch come from the loader: return a `DataLoader` from "
                "`get_train_dataloader` and `get_eval_dataloader`."
            )
        layers += held.values()
    return layers


def _is_loader(value: Any) -> bool:
    return isinstance(value, DataLoader) or (hasattr(value, "collate_fn") and hasattr(value, "dataset"))


def index_sampler(loader: DataLoader[Any]) -> Any:
    """The sampler that draws the indices of each batch."""
    return loader.sampler if loader.batch_sampler is None else loader.batch_sampler


def replace_index_sampler(loader: DataLoader[Any], sampler: Any) -> None:
    """Makes later iterations draw their indices from `sampler`, which must draw the same indices as the loader's own.

    torch refuses to set these attributes, to keep the order in line with the loader's arguments.
    """
    vars(loader)["sampler" if loader.batch_sampler is None else "batch_sampler"] = sampler


def restart_workers(loader: DataLoader[Any]) -> None:
    """Stops persistent workers. The next iteration starts new ones, with the collator of that time."""
    loader._iterator = None
    if hasattr(loader, "_initial_iter_for_state_dict"):  # torchdata makes an iterator to ask for its state
        loader._initial_iter_for_state_dict = False


def find_collator(collate_fn: Any) -> Any | None:
    """The first collator of this package in a collate function; None if there is none."""
    return next(iter(find_collators(collate_fn)), None)


def find_collators(collate_fn: Any) -> list[Any]:
    """The collators of this package in a collate function.

    The search covers the attributes of wrappers such as `RemoveColumnsCollator`, lists and dictionaries, partial
    functions, methods, and the closures and globals of functions.
    """
    return list({id(collator): collator for collator in _find_collators(collate_fn, _DEPTH)}.values())


def _find_collators(value: Any, depth: int) -> Iterator[Any]:
    if hasattr(type(value), "for_evaluation"):
        yield value
    elif depth:
        for held in _referents(value):
            yield from _find_collators(held, depth - 1)


def _referents(value: Any) -> Iterator[Any]:
    """The objects in a callable or a collection that may be, or call, a collator."""
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
    """Checks that batches are used in the order in which they are drawn; otherwise their steps are unknown.

    Raises:
        ValueError: if they are not.
    """
    if not is_in_order(loader):
        raise ValueError(
            "`in_order` of the training DataLoader must be True under a mask rate schedule, but got False. The order "
            "of batches tells the optimizer step of each. Pass `dataloader_in_order=True`, or use a constant rate."
        )


def is_in_order(loader: Any) -> bool:
    """Whether batches are used in the order in which they are drawn."""
    return bool(getattr(torch_loader(loader), "in_order", True))


def collated_per_batch(loader: Any) -> int:
    """How many batches are collated for one that a rank uses.

    With accelerate's dispatcher, rank 0 collates one batch for each rank. It collates a single batch for all ranks if
    it splits batches, and under tensor parallelism, where all ranks get the same batch.
    """
    dispatcher = _dispatcher_in(loader)
    if dispatcher is None or dispatcher.split_batches or getattr(dispatcher, "submesh_tp", None) is not None:
        return 1
    return int(dispatcher.state.num_processes)


def shard_of(loader: Any) -> tuple[int, int]:
    """Which share of the batches this process draws, from 0, and how many shares there are.

    The samplers and datasets of accelerate and torch that give each rank its share know it.
    """
    inner = torch_loader(loader)
    for holder in (index_sampler(inner), inner.sampler, inner.dataset):
        for rank, ranks in (("process_index", "num_processes"), ("rank", "num_replicas")):
            if isinstance(getattr(holder, rank, None), int) and isinstance(getattr(holder, ranks, None), int):
                return getattr(holder, rank), getattr(holder, ranks)
    return 0, 1


def is_dispatched(loader: Any) -> bool:
    """Whether a batch that rank 0 has collated is split among several ranks."""
    dispatcher = _dispatcher_in(loader)
    return dispatcher is not None and dispatcher.state.num_processes > 1


def slices_batches(loader: Any) -> bool:
    """Whether accelerate's dispatcher cuts each column of a batch to a number of rows, also for a single rank."""
    return _dispatcher_in(loader) is not None


def is_collated_here(loader: Any) -> bool:
    """Whether this process collates the batches that it uses; with a dispatcher, only rank 0 does."""
    dispatcher = _dispatcher_in(loader)
    return dispatcher is None or dispatcher.state.process_index == 0


def _dispatcher_in(loader: Any) -> Any | None:
    from accelerate.data_loader import DataLoaderDispatcher  # not at import, whose time it would double

    return next((layer for layer in _layers(loader) if isinstance(layer, DataLoaderDispatcher)), None)


def streams_unequally(loader: Any) -> bool:
    """Whether several workers read a stream, where the share of one worker may end before the others."""
    inner = torch_loader(loader)
    return isinstance(inner.dataset, IterableDataset) and inner.num_workers > 1
