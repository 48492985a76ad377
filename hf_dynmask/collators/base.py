"""The base of all collators: determines the epoch, the rate and the seed of a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hf_dynmask.batching.features import column_names
from hf_dynmask.collators.clock import Clock
from hf_dynmask.collators.epoch_warnings import warn_seed_without_epoch, warn_unstable_evaluation
from hf_dynmask.core.checks import checked_epoch, checked_fraction, checked_integer, checked_tokenizer
from hf_dynmask.core.draws import stream_keys
from hf_dynmask.loading.batch_position import BatchPosition, current_position, record_columns
from hf_dynmask.rates.distributions import RateDistribution, StepPart
from hf_dynmask.rates.schedules import FixedRate, Rate, check_not_a_factory, check_schedule, checked_fixed_rate, rate_at
from hf_dynmask.strategies import Strategy, resolve_strategy
from hf_dynmask.strategies.token_losses import TokenLosses
from hf_dynmask.vocabulary.vocabulary import Vocabulary, read_vocabulary


class EpochAwareCollator:
    """A collator whose masks follow the epoch, and whose rate may follow the optimizer step.

    A subclass is a dataclass. It has the fields `tokenizer`, `num_mask_patterns`, `seed`, the field of its rate, and
    `strategy` if it offers a choice. It implements [`_make_plan`], [`for_evaluation`], [`_collate`] and [`_details`].
    """

    rate_argument: ClassVar[str] = "mlm_probability"
    _made_from_settings: ClassVar[tuple[str, ...]] = ("_plan", "_clones")
    _read_off_tokenizer: ClassVar[tuple[str, ...]] = ("_vocabulary",)
    _strategy: Strategy
    is_evaluation = False  # whether it was made by `for_evaluation`
    is_audited: ClassVar[bool] = True  # whether the masks can be restored from a batch
    epoch_source: str | None = None  # the source of the epoch, for the summary of a copy
    tokenizer: Any
    num_mask_patterns: int | None
    seed: int | None

    def __post_init__(self) -> None:
        self._clock = Clock()
        _ = self._plan  # made now, so that construction raises all errors

    @cached_property
    def _plan(self) -> Any:
        """Everything that does not change between batches."""
        checked_tokenizer(self.tokenizer)
        check_not_a_factory(self.rate, self.rate_argument)
        self._check_rate()
        if self.num_mask_patterns is not None:
            checked_integer(self.num_mask_patterns, "num_mask_patterns", 1, "Pass None for a new mask in each epoch.")
            self._check_masks_return()
        return self._make_plan()

    def _check_masks_return(self) -> None:
        if isinstance(self.rate, RateDistribution) and self.rate.low_discrepancy:
            raise ValueError(
                f"`low_discrepancy` of `{self.rate_argument}` must be False with `num_mask_patterns`, because masks "
                "that return must not depend on the other sequences of a batch, but got True. Leave one of them out."
            )

    def _check_rate(self) -> None:
        if callable(self.rate):
            check_schedule(self.rate, self.rate_argument)
        else:
            checked_fixed_rate(self.rate, self.rate_argument)

    def _make_plan(self) -> Any:
        raise NotImplementedError

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return read_vocabulary(self.tokenizer)

    def _follow_tokenizer(self, is_current: Callable[[Vocabulary, Any], bool]) -> None:
        """Reads the tokenizer again if it has changed."""
        vocabulary = self.__dict__.get("_vocabulary")
        if vocabulary is not None and not is_current(vocabulary, self.tokenizer):
            self.tokenizer = self.tokenizer
            _ = self._plan  # made now, once for all workers that start later

    def __setattr__(self, name: str, value: Any) -> None:
        """Applies a new setting from the next batch on. The plan is then made and checked again."""
        if name == self.rate_argument and isinstance(value, bool):
            raise ValueError(
                f"`{name}` must be a number between 0 and 1, but got {value}. If you mean `mlm` or `whole_word_mask`, "
                "the second and third arguments in transformers, pass them by name: `mlm=True`."
            )
        if name == "strategy":
            # resolved once, so that copies share the losses of an adaptive strategy
            self._strategy = resolve_strategy(value)
        super().__setattr__(name, value)
        for made in self._made_from_settings:
            self.__dict__.pop(made, None)
        if name == "tokenizer":
            for read_off in self._read_off_tokenizer:
                self.__dict__.pop(read_off, None)

    @property
    def rate(self) -> Rate:
        """The mask rate: a number, a distribution or a schedule."""
        return getattr(self, self.rate_argument)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the examples that the strategy reads."""
        return self._strategy.columns if hasattr(self, "_strategy") else ()

    @property
    def losses(self) -> TokenLosses | None:
        """The losses that the strategy follows; None if it follows none."""
        return self._strategy.losses if hasattr(self, "_strategy") else None

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next pass over the data, for this collator and the workers of its `DataLoader`s.

        Call it before each pass, in the main process of each rank. With a schedule, call [`start_epoch`] instead, which
        also makes the optimizer steps known. Under `Trainer`, [`MaskRateCallback`] does both. To inspect a batch, call
        the collator with `epoch=`, which stores nothing.

        Args:
            epoch: from 0.

        Raises:
            ValueError: if `epoch` is not an integer of at least 0, or the rate is a schedule.
        """
        if callable(self.rate):
            raise ValueError(
                f"`set_epoch` must be used with a constant `{self.rate_argument}`, but got a schedule, which follows "
                "the optimizer step. Call `collator.start_epoch(loader, epoch, total_steps)`, or pass "
                "`callbacks=[MaskRateCallback()]` to `Trainer`."
            )
        self._follow_tokenizer(Vocabulary.is_current_in_full)
        self._clock.set_epoch(checked_epoch(epoch))
        if self.losses is not None:
            self.losses.start_epoch(epoch)

    def start_epoch(
        self,
        loader: Any,
        epoch: int,
        total_steps: int | None = None,
        gradient_accumulation_steps: int = 1,
        first_step: int | None = None,
    ) -> None:
        """Sets the epoch and the optimizer steps of the batches in the next pass over a loader.

        Call it before each pass, in the main process of each rank. The loader numbers its batches in the order in which
        it draws them, so the masks and the rate of a batch do not depend on workers, ranks or other calls of the
        collator. A pass that resumes through accelerate's `skip_first_batches` continues with the right numbers, except
        for a stream.

        Args:
            loader: a torch `DataLoader` that collates with this collator, or the loader that accelerate has prepared
                from it.
            epoch: from 0.
            total_steps: the number of optimizer steps of the whole training; required if the rate is a schedule.
            gradient_accumulation_steps: the number of batches of this rank in one optimizer step.
            first_step: the number of optimizer steps done before the epoch; None for `epoch` times the steps of an
                epoch. Under a schedule, None requires a loader with a length. Pass it if `epoch` goes on from an
                earlier training whose steps `total_steps` does not count.

        Raises:
            ValueError: if an argument is out of range, the loader collates with another collator, or it does not hold
                exactly one `DataLoader`; under a schedule, if the steps are unknown: without `total_steps`, with a
                loader whose batches come out of order, and for streamed data with several workers.
        """
        from hf_dynmask.loading.custom_loop import start_epoch  # not at import, as few need it

        self._follow_tokenizer(Vocabulary.is_current_in_full)
        start_epoch(self, loader, epoch, total_steps, gradient_accumulation_steps, first_step)
        if self.losses is not None:
            self.losses.start_epoch(epoch)

    def for_training(self, rate: Rate | None, seed: int) -> Any:
        """A copy with its own clock, at `rate` unless it is None. `seed` applies if this collator has none."""
        changes = {} if rate is None else {self.rate_argument: rate}
        return self._clone_with(seed=seed if self.seed is None else self.seed, **changes)

    def for_evaluation(self, mlm_probability: FixedRate = 0.15) -> Any:
        """The collator for evaluation."""
        raise NotImplementedError

    def _clone_with(self, **changes: Any) -> Any:
        """A copy with these attributes and its own clock, which shares the tables read from the tokenizer."""
        clone = copy.copy(self)
        for name, value in changes.items():
            setattr(clone, name, value)
        _ = clone._plan
        return clone

    def __copy__(self) -> Any:
        clone = object.__new__(type(self))
        clone.__dict__.update(self.__dict__, _clock=copy.copy(self._clock))
        clone.__dict__.pop("_clones", None)
        return clone

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_clones"}

    def __str__(self) -> str:
        from hf_dynmask.collators.summary import summarize  # not at import, as few need it

        return summarize(self, self._details())

    def _details(self) -> tuple[str, ...]:
        raise NotImplementedError

    def __call__(
        self,
        features: Any,
        return_tensors: str | None = None,
        *,
        epoch: int | None = None,
        progress: float | None = None,
    ) -> Any:
        """Collates examples to a masked batch.

        Args:
            features: a list of examples, a mapping of columns, or a `pyarrow.Table`: see the class.
            return_tensors: `"pt"` or `"np"`; None for the setting of the collator.
            epoch: the epoch whose masks to use, from 0, to inspect a batch. It is not stored.
            progress: with a schedule, the training progress whose rate to use, in [0, 1].

        Raises:
            ValueError: if the examples or an argument are invalid, or the rate is a schedule and the optimizer step is
                unknown.
        """
        self._follow_tokenizer(Vocabulary.is_current)
        position = current_position() if epoch is None and progress is None else None
        if position is not None and self._follows(position):
            return self._collate_at(position, features, return_tensors)
        known = self._clock.epoch() if epoch is None else checked_epoch(epoch)
        return self._collate(features, return_tensors, self._rate_after(progress), self._pattern(known))

    def _collate(self, features: Any, return_tensors: str | None, rate: FixedRate, pattern: int) -> Any:
        raise NotImplementedError

    def _follows(self, position: BatchPosition) -> bool:
        """Whether the position applies. It does not in a copy for evaluation, or after a later call of `set_epoch`."""
        if self.is_evaluation and position.is_evaluation:
            return False
        return position.set_epoch_calls is None or position.set_epoch_calls == self._clock.set_epoch_calls

    def _collate_at(self, position: BatchPosition, features: Any, return_tensors: str | None) -> Any:
        clone = self._clone_for(position)
        if not isinstance(clone, EpochAwareCollator):  # token dropout evaluates without masks
            return clone(features) if return_tensors is None else clone(features, return_tensors=return_tensors)
        rate = _in_step(clone._rate_at(position), position, clone.seed)
        batch = clone._collate(features, return_tensors, rate, clone._pattern(position.epoch))
        record_columns(column_names(features))
        return batch

    def _clone_for(self, position: BatchPosition) -> Any:
        """This collator, or a copy with the seed of the position if it has none, or one for evaluation."""
        is_evaluation = position.is_evaluation and not self.is_evaluation
        seed = position.seed if self.seed is None else self.seed
        if seed == self.seed and not is_evaluation:
            return self
        clones = self.__dict__.setdefault("_clones", {})
        if (seed, is_evaluation) not in clones:
            clone = self._clone_with(seed=seed)
            clones[seed, is_evaluation] = clone.for_evaluation() if is_evaluation else clone
        return clones[seed, is_evaluation]

    def _rate_at(self, position: BatchPosition) -> FixedRate:
        if isinstance(position.rate, Exception):
            raise position.rate
        if position.rate is not None:
            return position.rate
        if not callable(self.rate):
            return self.rate
        if position.total_steps is None:
            return self._rate_after(None)
        return rate_at(self.rate, position.step, position.total_steps)

    def _rate_after(self, progress: float | None) -> FixedRate:
        """The rate at this training progress. A constant rate needs no progress."""
        rate = self.rate
        if not callable(rate):
            return rate
        if progress is None:
            raise ValueError(
                f"`{self.rate_argument}` is a schedule, but the current optimizer step is unknown. Pass "
                "`callbacks=[MaskRateCallback()]` to `Trainer`; in a custom training loop, call `start_epoch` before "
                "each pass; for evaluation, use `collator.for_evaluation()`; to inspect a batch, pass `progress=`."
            )
        remedy = "Pass 0.0 for the start of training, and 1.0 for its end."
        return rate_at(rate, checked_fraction(progress, "progress", remedy), 1)

    def _pattern(self, epoch: int | None) -> int:
        if self.num_mask_patterns == 1:
            return 0
        if epoch is None:
            self._warn_unknown_epoch()
            epoch = self._clock.fresh_pattern(seeded=self.seed is not None)
        return epoch if self.num_mask_patterns is None else epoch % self.num_mask_patterns

    def _warn_unknown_epoch(self) -> None:
        if self._plan is None:
            return
        if self.seed is not None and not self._clock.epoch_is_known:
            warn_seed_without_epoch()
        if self._clock.is_evaluation():
            warn_unstable_evaluation()


def _in_step(rate: FixedRate, position: BatchPosition, seed: int | None) -> FixedRate:
    """The rate, whose low discrepancy extends to the whole optimizer step of a batch."""
    is_spread = isinstance(rate, RateDistribution) and rate.low_discrepancy
    if not is_spread or position.parts == 1:
        return rate
    key = stream_keys(seed or 0, np.array([position.step], dtype=np.uint64), position.epoch)
    return rate.for_part(StepPart(position.part, position.parts, key))  # type: ignore[union-attr]
