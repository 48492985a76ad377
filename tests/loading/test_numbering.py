"""Whatever else touches a loader or a collator, a batch has the masks of its epoch and the rate of its step."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.corpora import Numbered, Stream, example
from support.extended import pairs
from support.witness import TellsTheTime, Witness, witnessed
from support.worker_starts import workers_started_by
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback

from hf_dynmask import DataCollatorForDynamicMasking, MaskRateCallback, linear_schedule
from hf_dynmask.loading.batch_position import take_position
from hf_dynmask.loading.loaders import collated_per_batch, find_collator, torch_loader

EXAMPLES, BATCH, STEPS = 16, 4, 8  # two epochs of four steps
SCHEDULE = linear_schedule(0.8, 0.1)
RATES = {step: {float(np.float32(SCHEDULE(step / STEPS)))} for step in range(STEPS)}
WORKERS = [(0, False), (2, False), (2, True)]


@pytest.fixture
def collator(wordpiece) -> DataCollatorForDynamicMasking:
    return DataCollatorForDynamicMasking(wordpiece, seed=7, return_mask_rate=True)


@pytest.fixture
def trained(collator, tmp_path):
    """A `Trainer` that has trained: of a class, with callbacks beside ours, with some workers."""

    def trained(
        of: type[Trainer] = Trainer, callbacks: tuple = (), workers=(0, False), using: Any = collator, **arguments: Any
    ) -> Trainer:
        trainer = made(of, callbacks, workers, using, **arguments)
        trainer.train()
        return trainer

    def made(of, callbacks, workers, using=collator, ours: tuple = (MaskRateCallback(SCHEDULE, 0.15),), **arguments):
        plain = witnessed(
            using,
            Numbered(EXAMPLES),
            tmp_path,
            [*ours, *callbacks],
            per_device_train_batch_size=BATCH,
            num_train_epochs=2,
            dataloader_num_workers=workers[0],
            dataloader_persistent_workers=workers[1],
            **arguments,
        )
        if of is Trainer:
            return plain
        witness = Witness()
        return of(
            model=witness,
            args=plain.args,
            train_dataset=plain.train_dataset,
            data_collator=using,
            callbacks=[*ours, *callbacks, TellsTheTime(witness)],
        )

    trained.made = made
    return trained


def _masks(trainer: Trainer) -> dict:
    return trainer.model.masks


def _distinct(masks: dict) -> bool:
    """Whether no example has one mask in two epochs."""
    by_example: dict[int, list] = {}
    for (first, _), mask in masks.items():
        by_example.setdefault(first, []).append(mask)
    return all(mask not in others[:i] for others in by_example.values() for i, mask in enumerate(others))


class KeepsItsLoader(Trainer):
    kept: Any = None

    def get_train_dataloader(self) -> DataLoader:
        self.kept = self.kept or super().get_train_dataloader()
        return self.kept


class LooksAtItsLoader(Trainer):
    """As `include_tokens_per_second` does: its workers begin before the training does."""

    def get_train_dataloader(self) -> DataLoader:
        loader = super().get_train_dataloader()
        assert sum(len(batch["input_ids"]) for batch in loader) == EXAMPLES
        return loader


class TestWorkersThatBeganBefore:
    @pytest.mark.parametrize("workers", WORKERS)
    def test_in_a_look_at_the_loader(self, trained, workers) -> None:
        expected = trained()
        trainer = trained(LooksAtItsLoader, workers=workers)
        assert trainer.model.rates == RATES
        assert _masks(trainer) == _masks(expected)

    @pytest.mark.filterwarnings("ignore:This model was already trained")
    @pytest.mark.parametrize("workers", WORKERS)
    def test_in_the_training_before(self, trained, workers) -> None:
        trainer = trained(KeepsItsLoader, workers=workers)
        first = _masks(trainer)
        trainer.model.forget()
        trainer.train()
        assert trainer.model.rates == RATES
        assert _masks(trainer) == first
        assert _distinct(first)


class Looks(TrainerCallback):
    """At a batch, in one of the ways there are, in one event."""

    def __init__(self, event: str, way: str) -> None:
        setattr(self, event, lambda args, state, control, train_dataloader, **kwargs: self._look(way, train_dataloader))

    def _look(self, way: str, loader: Any) -> None:
        if way == "iterator":
            batch = next(iter(loader))
        elif way == "whole pass":
            batch = list(torch_loader(loader))[-1]  # accelerate counts passes over its own, and shuffles by them
        else:
            batch = torch_loader(loader).collate_fn([example(3), example(4)])
        assert (batch["labels"] != -100).any()


LOOKS = [
    ("on_train_begin", "iterator"),
    ("on_epoch_begin", "iterator"),
    ("on_epoch_begin", "whole pass"),
    ("on_step_end", "call"),
    ("on_step_begin", "call"),
]


@pytest.mark.parametrize(("look", "workers"), pairs(LOOKS, WORKERS))
def test_a_look_at_a_batch_shifts_nothing(trained, look, workers) -> None:
    event, way = look
    trainer = trained(callbacks=(Looks(event, way),), workers=workers)
    assert trainer.model.rates == RATES
    assert _masks(trainer) == _masks(trained())


@pytest.mark.parametrize("event", ["on_train_begin", "on_epoch_begin"])
def test_neither_does_a_look_by_a_callback_before_ours(trained, event) -> None:
    ours = MaskRateCallback(SCHEDULE, 0.15)
    trainer = trained.made(Trainer, (ours,), (0, False), ours=(Looks(event, "iterator"),))
    trainer.train()
    assert trainer.model.rates == RATES


class Delegates:
    """A wrapper of a loader, as of one that prefetches or counts."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_loader"], name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        yield from self._loader


class WrapsItsLoader(Trainer):
    def get_train_dataloader(self) -> Any:
        return Delegates(super().get_train_dataloader())


class WrapsAPlainLoader(Trainer):
    def get_train_dataloader(self) -> Any:
        workers = {
            "num_workers": self.args.dataloader_num_workers,
            "persistent_workers": self.args.dataloader_persistent_workers,
        }
        loader = DataLoader(self.train_dataset, batch_size=BATCH, collate_fn=self.data_collator, **workers)
        return Delegates(Delegates(loader))


class CallsAnotherAttribute:
    """A wrapper of a collator that holds it twice."""

    def __init__(self, collator: Any) -> None:
        self.data_collator, self._inner = collator, collator

    def __call__(self, features: Any) -> Any:
        return self._inner(features)


class TrainsAndEvaluatesByOneLoader(KeepsItsLoader):
    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        return self.get_train_dataloader()


class TestWrappers:
    @pytest.mark.parametrize("workers", WORKERS)
    @pytest.mark.parametrize("of", [WrapsItsLoader, WrapsAPlainLoader])
    def test_of_a_loader(self, trained, of, workers) -> None:
        assert trained(of, workers=workers).model.rates == RATES

    @pytest.mark.parametrize("workers", WORKERS)
    def test_of_a_collator(self, trained, collator, workers) -> None:
        trainer = trained(using=CallsAnotherAttribute(collator), workers=workers)
        assert trainer.model.rates == RATES
        assert _masks(trainer) == _masks(trained())

    @pytest.mark.parametrize("workers", WORKERS)
    def test_a_function_around_a_collator(self, trained, collator, workers) -> None:
        with workers_started_by("fork"):  # a lambda cannot be pickled
            assert trained(using=lambda features: collator(features), workers=workers).model.rates == RATES

    @pytest.mark.parametrize("workers", [(0, False), (2, False)])
    def test_one_loader_for_training_and_evaluation(self, trained, workers) -> None:
        trainer = trained.made(TrainsAndEvaluatesByOneLoader, (EvaluatesAfterEachEpoch(),), workers)
        trainer.train()
        assert trainer.model.rates == RATES
        assert _masks(trainer) == _masks(trained())


class EvaluatesAfterEachEpoch(TrainerCallback):
    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_evaluate = True


class Batches:
    collate_fn = None

    def __iter__(self) -> Iterator[Any]:
        return iter([])


def test_what_is_no_loader_is_refused_in_words(trained) -> None:
    class Own(Trainer):
        def get_train_dataloader(self) -> Any:
            return Batches()

    with pytest.raises(ValueError, match="must be a torch `DataLoader`, or hold exactly one, but got a Batches"):
        trained.made(Own, (), (0, False), max_steps=3).train()


class TestALoopOfOnesOwn:
    @pytest.mark.parametrize("workers", WORKERS)
    def test_looks_shift_nothing(self, wordpiece, workers) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, SCHEDULE, return_mask_rate=True, seed=1)
        loader = self._loader(collator, workers)
        for epoch in range(2):
            collator.start_epoch(loader, epoch, total_steps=STEPS)
            next(iter(loader))
            rates = [set(batch["mask_rate"].tolist()) for batch in loader]
            assert rates == [RATES[epoch * 4 + step] for step in range(4)]

    @pytest.mark.parametrize("workers", WORKERS)
    def test_one_call_is_for_one_pass(self, wordpiece, workers) -> None:
        """A pass whose epoch nobody tells has masks of its own, and no rate."""
        collator = DataCollatorForDynamicMasking(wordpiece, 0.3)
        loader = self._loader(collator, workers, batch_size=1)
        collator.start_epoch(loader, 0)
        first, second = ([batch["labels"].tolist() for batch in loader] for _ in range(2))
        assert first != second
        scheduled = DataCollatorForDynamicMasking(wordpiece, SCHEDULE)
        loader = self._loader(scheduled, workers, batch_size=1)
        scheduled.start_epoch(loader, 0, total_steps=STEPS)
        list(loader)
        with pytest.raises(ValueError, match="the current optimizer step is unknown"):
            list(loader)

    @pytest.mark.parametrize("batches", [2, 3])
    @pytest.mark.parametrize("workers", WORKERS)
    def test_a_resumed_pass_goes_on_with_its_numbers(self, wordpiece, workers, batches) -> None:
        from accelerate import Accelerator, skip_first_batches

        collator = DataCollatorForDynamicMasking(wordpiece, SCHEDULE, return_mask_rate=True)
        loader = Accelerator(cpu=True).prepare(self._loader(collator, workers))
        collator.start_epoch(loader, 1, total_steps=STEPS)
        rates = [set(batch["mask_rate"].tolist()) for batch in skip_first_batches(loader, batches)]
        assert rates == [RATES[4 + step] for step in range(batches, 4)]

    @pytest.mark.parametrize("batch_size", [BATCH, None])
    def test_a_sampler_of_batches_and_none_of_them(self, wordpiece, batch_size) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, SCHEDULE, return_mask_rate=True)
        data = Numbered(EXAMPLES) if batch_size else [[example(i) for i in range(n, n + 4)] for n in range(0, 16, 4)]
        loader = DataLoader(data, batch_size=batch_size, collate_fn=collator)
        collator.start_epoch(loader, 0, total_steps=STEPS)
        assert [set(batch["mask_rate"].tolist()) for batch in loader] == [RATES[step] for step in range(4)]

    @pytest.mark.parametrize("workers", [(0, False), (1, False)])
    def test_a_resumed_stream_whose_steps_are_unknown_is_an_error(self, wordpiece, workers) -> None:
        """accelerate gives it a sampler of its own."""
        from accelerate import Accelerator, skip_first_batches
        from accelerate.utils import DataLoaderConfiguration

        collator = DataCollatorForDynamicMasking(wordpiece, SCHEDULE)
        loader = DataLoader(Stream(EXAMPLES), batch_size=BATCH, collate_fn=collator, num_workers=workers[0])
        configuration = DataLoaderConfiguration(dispatch_batches=False)
        loader = Accelerator(cpu=True, dataloader_config=configuration).prepare(loader)
        collator.start_epoch(loader, 0, total_steps=STEPS)
        with pytest.raises(ValueError, match="the current optimizer step is unknown"):
            list(skip_first_batches(loader, 2))

    def test_the_loader_stays_what_it_is(self, collator) -> None:
        loader = self._loader(collator, (0, False))
        sampler = loader.batch_sampler
        collator.start_epoch(loader, 0)
        assert len(loader) == 4
        assert isinstance(loader.batch_sampler, type(sampler))
        assert loader.batch_sampler.batch_size == BATCH
        loader.batch_sampler.drop_last = True
        assert sampler.drop_last

    def test_another_collator_is_refused(self, collator) -> None:
        loader = self._loader(copy.copy(collator), (0, False))
        with pytest.raises(ValueError, match="`loader` must collate with this collator, but it has another collator"):
            collator.start_epoch(loader, 0)

    def test_a_stream_needs_its_first_step(self, wordpiece) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, SCHEDULE)
        loader = DataLoader(Stream(EXAMPLES), batch_size=BATCH, collate_fn=collator)
        with pytest.raises(ValueError, match="`first_step` is required after the first epoch"):
            collator.start_epoch(loader, 1, total_steps=STEPS)

    def _loader(self, collator: Any, workers: tuple[int, bool], batch_size: int = BATCH) -> DataLoader:
        return DataLoader(
            Numbered(EXAMPLES),
            batch_size=batch_size,
            collate_fn=collator,
            num_workers=workers[0],
            persistent_workers=workers[1],
        )


class TestDispatchedBatches:
    """accelerate's dispatcher, made by hand: several processes are tried in tests/distributed."""

    @pytest.mark.parametrize(
        ("split", "tensor_parallel", "expected"), [(False, False, 3), (True, False, 1), (False, True, 1)]
    )
    def test_how_many_are_collated_for_one(self, collator, split, tensor_parallel, expected) -> None:
        from accelerate import PartialState
        from accelerate.data_loader import DataLoaderDispatcher

        PartialState(cpu=True)
        loader = DataLoaderDispatcher(Numbered(EXAMPLES), split_batches=split, collate_fn=collator)
        loader.state = type("State", (), {"num_processes": 3, "process_index": 0})()
        loader.submesh_tp = object() if tensor_parallel else None
        assert collated_per_batch(loader) == expected
        assert collated_per_batch(Delegates(loader)) == expected


def test_a_collator_is_found_in_what_calls_it(collator) -> None:
    from functools import partial

    wrapped = CallsAnotherAttribute(collator)
    ways = [collator, wrapped, partial(wrapped), wrapped.__call__, lambda features: collator(features)]
    assert all(find_collator(way) is collator for way in ways)
    assert find_collator(len) is None
    assert find_collator(None) is None


def test_the_end_of_a_stream_leaves_no_position_behind(wordpiece) -> None:
    """There, indices are drawn whose batch is never collated."""
    collator = DataCollatorForDynamicMasking(wordpiece, SCHEDULE, return_mask_rate=True)
    loader = DataLoader(Stream(EXAMPLES), batch_size=BATCH, collate_fn=collator)
    collator.start_epoch(loader, 0, total_steps=STEPS)
    assert len(list(loader)) == 4
    assert take_position() is None


class TestWhatComesAfter:
    """A loader that was numbered once, without a plan or with another epoch told later."""

    @pytest.mark.filterwarnings("ignore:`set_epoch` sets the epoch of one pass")
    @pytest.mark.parametrize("workers", WORKERS)
    def test_a_training(self, trained, collator, workers) -> None:
        trainer = trained(KeepsItsLoader, workers=workers)
        seen = set()
        for epoch in (7, 8):
            collator.set_epoch(epoch)
            masks = [batch["labels"].tolist() for batch in torch_loader(trainer.kept)]
            assert str(masks) not in seen
            seen.add(str(masks))

    @pytest.mark.parametrize("workers", WORKERS)
    def test_a_pass_that_is_left_early(self, wordpiece, workers) -> None:
        collator = DataCollatorForDynamicMasking(wordpiece, seed=1)
        loader = DataLoader(
            Numbered(EXAMPLES), BATCH, collate_fn=collator, num_workers=workers[0], persistent_workers=workers[1]
        )
        collator.start_epoch(loader, 0)
        next(iter(loader))
        collator.set_epoch(6)
        expected = collator([example(i) for i in range(BATCH)], epoch=6)["labels"].tolist()
        assert next(iter(loader))["labels"].tolist() == expected

    def test_a_copy_of_the_loader(self, collator) -> None:
        import pickle

        loader = DataLoader(Numbered(EXAMPLES), batch_size=BATCH, collate_fn=collator)
        collator.start_epoch(loader, 3)
        for copied in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
            assert len(list(copied)) == 4
        assert loader.collate_fn.tokenizer is collator.tokenizer
