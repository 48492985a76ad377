"""What all collators here share: a clock that tells the epoch and the step, and what follows from them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch

from hf_dynmask import warned
from hf_dynmask.adaptive import TokenLosses
from hf_dynmask.arguments import checked_integer, checked_tokenizer
from hf_dynmask.callers import evaluating
from hf_dynmask.clock import MOST, Clock
from hf_dynmask.rates import FixedRate, Rate, checked_fixed_rate, rate_at
from hf_dynmask.strategies import Strategy, strategy_of
from hf_dynmask.turns import Turns, may_come_out_of_turn
from hf_dynmask.vocabulary import Vocabulary, vocabulary_of


class ClockedCollator:
    """A collator whose masks follow the epoch, and whose rate may follow the optimizer step.

    A dataclass that derives from it has the fields `tokenizer`, `num_mask_patterns`, `seed`, that of its rate, and
    `strategy` if there is a choice; and makes the plan of its masks, [`_make_plan`], the evaluation's twin,
    [`for_evaluation`], the batch, [`_collate`], and what is particular to it in words, [`_details`].
    """

    rate_argument: ClassVar[str] = "mlm_probability"
    _read_off_tokenizer: ClassVar[tuple[str, ...]] = ("_vocabulary",)
    _strategy: Strategy
    evaluates = False  # whether it is the twin for evaluation
    tokenizer: Any
    num_mask_patterns: int | None
    seed: int | None

    def __post_init__(self) -> None:
        self._clock = Clock()
        _ = self._plan  # made, and so checked, here and not at the first batch

    @cached_property
    def _plan(self) -> Any:
        """All that does not change between batches."""
        checked_tokenizer(self.tokenizer)
        self._check_rate()
        if self.num_mask_patterns is not None:
            checked_integer(self.num_mask_patterns, "num_mask_patterns", 1, "Pass None for a new mask every epoch.")
        return self._make_plan()

    def _check_rate(self) -> None:
        if not callable(self.rate):
            checked_fixed_rate(self.rate, self.rate_argument)

    def _make_plan(self) -> Any:
        raise NotImplementedError

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return vocabulary_of(self.tokenizer)

    def _follow_tokenizer(self, is_current: Callable[[Vocabulary, Any], bool]) -> None:
        """Reads the tokenizer anew if it has changed since it was read."""
        vocabulary = self.__dict__.get("_vocabulary")
        if vocabulary is not None and not is_current(vocabulary, self.tokenizer):
            self.tokenizer = self.tokenizer
            _ = self._plan  # here and now, so that workers that are about to begin need not

    def __setattr__(self, name: str, value: Any) -> None:
        """What is set later counts from the next batch on: the plan is made, and checked, anew."""
        if name == self.rate_argument and isinstance(value, bool):
            raise ValueError(
                f"`{name}` must be a number between 0 and 1, but got {value}. If that is `mlm` or `whole_word_mask`, "
                "which come second and third in transformers, pass it by name: `mlm=True`."
            )
        if name == "strategy":
            self._strategy = strategy_of(value)  # once: an adaptive one has losses, which twins share
        super().__setattr__(name, value)
        self.__dict__.pop("_plan", None)
        if name == "tokenizer":
            for read_off in self._read_off_tokenizer:
                self.__dict__.pop(read_off, None)

    @property
    def rate(self) -> Rate:
        """The mask rate: a number, a distribution or a schedule."""
        return getattr(self, self.rate_argument)

    @property
    def losses(self) -> TokenLosses | None:
        """The model's losses that the strategy follows, if it does."""
        return self._strategy.losses if hasattr(self, "_strategy") else None

    def set_epoch(
        self,
        epoch: int,
        first_step: int = 0,
        total_steps: int | None = None,
        gradient_accumulation_steps: int = 1,
    ) -> None:
        """Announces an epoch to this collator and to the workers of a `DataLoader` that has it.

        Call it in the main process, in each rank, before the loader is iterated; one call is for one pass over the
        loader. [`MaskRateCallback`] does so for `Trainer`.

        Masks follow the epoch alone. A schedule's rates also need batches in order (`in_order=True`) and a whole pass,
        or workers that are not persistent. Where accelerate dispatches batches, as it does for streams, rank 0 collates
        those of all ranks: multiply `gradient_accumulation_steps` by their number there.

        Args:
            epoch: from 0.
            first_step: the optimizer steps done before the first batch to come.
            total_steps: the optimizer steps of the whole training; needed if the rate is a schedule.
            gradient_accumulation_steps: batches that one optimizer step takes.

        Raises:
            ValueError: if an argument is out of its range, or `total_steps` is missing under a schedule.
        """
        if total_steps is None and callable(self.rate):
            raise ValueError(
                f"`total_steps` must be given when `{self.rate_argument}` is a schedule, but got None. "
                "Pass the number of optimizer steps of the whole training."
            )
        self._follow_tokenizer(Vocabulary.is_current_in_full)
        self._clock.start_epoch(
            checked_integer(epoch, "epoch", 0, "Count epochs from 0.", MOST),
            checked_integer(first_step, "first_step", 0, "Pass the optimizer steps done before this epoch.", MOST),
            checked_integer(gradient_accumulation_steps, "gradient_accumulation_steps", 1, "Pass 1 for none.", MOST),
            None if total_steps is None else checked_integer(total_steps, "total_steps", 1, "Pass all steps.", MOST),
        )
        if self.losses is not None:
            self.losses.start_epoch(epoch)

    def for_training(self, rate: Rate | None, seed: int) -> Any:
        """A twin with a clock of its own, at `rate` if one is given; `seed` counts where there is none yet."""
        changes = {self.rate_argument: self.rate if rate is None else rate}
        return self._twin(seed=seed if self.seed is None else self.seed, **changes)

    def tell_turns(self, turns: Turns) -> None:
        """Has this collator's workers note what `turns` checks."""
        self._clock.turns = turns

    def for_evaluation(self, mlm_probability: FixedRate = 0.15) -> Any:
        """The collator for evaluation."""
        raise NotImplementedError

    def _twin(self, **changes: Any) -> Any:
        """A copy with these attributes and a clock of its own; what was read off the tokenizer is shared."""
        twin = copy.copy(self)
        for name, value in changes.items():
            setattr(twin, name, value)
        ClockedCollator.__post_init__(twin)
        return twin

    def __str__(self) -> str:
        from hf_dynmask.described import described  # not at import: few ask

        return described(self, self._details())

    def _details(self) -> tuple[str, ...]:
        raise NotImplementedError

    def __call__(self, examples: Sequence[Any], return_tensors: str | None = None) -> Any:
        self._follow_tokenizer(Vocabulary.is_current)
        return self._collate(examples, return_tensors, *self._now())

    def _collate(self, examples: Sequence[Any], return_tensors: str | None, rate: FixedRate, pattern: int) -> Any:
        raise NotImplementedError

    def _now(self) -> tuple[FixedRate, int]:
        """The rate and the pattern of the batch about to be collated. Called once a batch."""
        moment = self._clock.tick()
        rate = self.rate
        if callable(rate):
            if moment is None or moment.total_steps is None:
                raise ValueError(
                    f"`{self.rate_argument}` is a schedule, and the optimizer step must be known to follow it, but "
                    "nobody told. Pass `callbacks=[MaskRateCallback()]` to `Trainer`; in a loop of your own, call "
                    "`set_epoch` with `total_steps`; for evaluation, take `collator.for_evaluation()`."
                )
            if self._clock.turns is None and may_come_out_of_turn():
                raise ValueError(
                    f"`num_workers` must be 0 or 1 for streamed data when `{self.rate_argument}` is a schedule, but is "
                    "more: workers whose shares end early leave their turns to others, and a batch's step is not "
                    "known. Take one worker, or `Trainer` with `MaskRateCallback`, which notices when it happens."
                )
            rate = rate_at(rate, moment.step, moment.total_steps)
        return rate, self._pattern(None if moment is None else moment.epoch)

    def _pattern(self, epoch: int | None) -> int:
        if self.num_mask_patterns == 1:
            return 0
        if epoch is None:
            self._warn_of_unknown_epoch()
            epoch = int(torch.randint(2**62, ()))
        return epoch if self.num_mask_patterns is None else epoch % self.num_mask_patterns

    def _warn_of_unknown_epoch(self) -> None:
        if self._plan is None:
            return
        if self.seed is not None and not self._clock.told:
            warned.of_seed()
        if evaluating():
            warned.of_evaluation()
