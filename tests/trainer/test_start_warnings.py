"""Where users are fooled without a word by others, they are warned once, with the remedy."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from support.extended import every
from support.witness import witnessed
from support.worker_starts import workers_started_by

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorWithTokenDropout,
    MaskRateCallback,
    linear_schedule,
    uniform_rate,
)
from hf_dynmask.collators import epoch_warnings
from hf_dynmask.trainer import start_warnings


@pytest.fixture
def collator(wordpiece) -> DataCollatorForDynamicMasking:
    epoch_warnings.warn_unstable_evaluation.cache_clear()
    return DataCollatorForDynamicMasking(wordpiece, return_mask_rate=True)


@pytest.fixture
def run(wordpiece, tmp_path):
    data = Dataset.from_list([dict(wordpiece("the cat sat on a mat"))] * 4)

    def run(collator: Any, *callbacks: Any, is_evaluation: bool = True, **arguments: Any) -> list[str]:
        trainer = witnessed(collator, data, Path(tmp_path), list(callbacks), num_train_epochs=3, **arguments)
        trainer.eval_dataset = data if is_evaluation else None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trainer.train()
            if is_evaluation:
                trainer.evaluate()
                trainer.evaluate()
        return [str(each.message) for each in caught if each.category is UserWarning]

    return run


def test_patterns_that_never_come_again(collator, run) -> None:
    collator.num_mask_patterns = 5
    (said,) = run(collator, MaskRateCallback())
    assert said == (
        "`num_mask_patterns` should be below the number of epochs, 3, but is 5: no mask repeats, so this is "
        "dynamic masking. Pass fewer patterns, or None for dynamic masking."
    )


@pytest.mark.parametrize("patterns", [None, 1, 2])
def test_patterns_that_do(collator, run, patterns) -> None:
    collator.num_mask_patterns = patterns
    assert not run(collator, MaskRateCallback())


@pytest.mark.parametrize("rate", [0.4, linear_schedule(0.15, 0.4), uniform_rate(0.3, 0.5)])
def test_training_at_a_higher_rate_than_an_evaluation_that_nobody_chose(collator, run, rate) -> None:
    (said,) = run(collator, MaskRateCallback(rate))
    assert said == (
        "Evaluation masks 15 % of the tokens but training ends at 40 %, so the evaluation loss is lower because its "
        "task is easier. Pass `eval_mlm_probability=0.15` to `MaskRateCallback` to confirm this, or pass another rate."
    )
    assert not run(collator, MaskRateCallback(rate), is_evaluation=False)
    assert not run(collator, MaskRateCallback(rate, eval_mlm_probability=0.15))


@pytest.mark.parametrize(("views", "count"), [(1, 0), (2, 1), ("complementary", 1)])
def test_metrics_of_several_views(wordpiece, tmp_path, views, count) -> None:
    data = Dataset.from_list([dict(wordpiece("the cat sat on a mat"))] * 4)
    collator = DataCollatorForDynamicMasking(wordpiece, return_mask_rate=True, views=views)
    trainer = witnessed(collator, data, tmp_path, [MaskRateCallback()], num_train_epochs=1)
    trainer.compute_metrics = lambda prediction: {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.train()
    assert [str(each.message)[:17] for each in caught] == ["`compute_metrics`"] * count


@pytest.mark.parametrize("rate", [0.15, 0.1, linear_schedule(0.4, 0.15), uniform_rate(0.0, 0.3)])
def test_training_at_no_higher_rate(collator, run, rate) -> None:
    assert not run(collator, MaskRateCallback(rate))


def test_a_schedule_that_has_no_end_is_followed_as_far_as_it_goes(collator, run) -> None:
    assert not run(collator, MaskRateCallback(lambda progress: [0.3, 0.2, 0.1][int(3 * progress)]))


def test_two_schedules(collator, run) -> None:
    collator.mlm_probability = linear_schedule(0.5, 0.1)
    (said,) = run(collator, MaskRateCallback(linear_schedule(0.3, 0.15)))
    assert said == (
        "The collator and `MaskRateCallback` both have a mask rate schedule, and only the one of the callback is used. "
        "Pass one schedule: `MaskRateCallback()` follows the one of the collator."
    )
    assert not run(collator, MaskRateCallback())
    assert not run(collator, MaskRateCallback(collator.mlm_probability))


@pytest.mark.parametrize(("implementation", "warns"), [("sdpa", True), ("eager", True), ("flash_attention_2", False)])
def test_attention_that_sees_one_sequence_in_a_row_without_padding(implementation, warns) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start_warnings.warn_attention_across_sequences(implementation)
    assert [str(each.message).startswith("`padding_free=True` needs attention") for each in caught] == [True] * warns


def test_fine_tuning_is_evaluated_without_masks_and_needs_no_rate(wordpiece, run) -> None:
    inner = DataCollatorForDynamicMasking(wordpiece, return_mask_rate=True, num_mask_patterns=1)
    assert not run(DataCollatorWithTokenDropout(_Plain(inner), mlm_probability=0.4), MaskRateCallback())


class _Plain:
    """Another collator, whose batches the witness takes."""

    def __init__(self, collator: DataCollatorForDynamicMasking) -> None:
        self.collator, self.tokenizer = collator, collator.tokenizer

    def __call__(self, examples: Any) -> Any:
        return self.collator(examples)


def test_evaluation_with_the_collator_of_training(collator, run) -> None:
    assert run(collator) == [
        "Evaluation uses the training collator, which makes new masks at every evaluation, so evaluation losses are "
        "not comparable. Pass `callbacks=[MaskRateCallback()]` to `Trainer`; to evaluate alone, pass "
        "`collator.for_evaluation()` as its `data_collator`."
    ]


class WarningsAreErrors:
    """Examples of which each, once taken, makes warnings errors: also in a worker that is not forked."""

    def __init__(self, examples: list[Any]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Any:
        warnings.simplefilter("error")
        return self._examples[index]


@pytest.mark.parametrize("start", every(2, ["fork", "forkserver"]))
def test_evaluation_in_a_worker(collator, wordpiece, tmp_path, start) -> None:
    data = WarningsAreErrors([dict(wordpiece("the cat sat on a mat"))] * 4)
    trainer = witnessed(collator, data, tmp_path, [], num_train_epochs=1, dataloader_num_workers=1)
    with workers_started_by(start):
        trainer.train()
        with pytest.raises(UserWarning, match="Evaluation uses the training collator"):
            trainer.evaluate(data)


@pytest.mark.parametrize(("argument", "value"), [("num_mask_patterns", 1), ("mlm", False)])
def test_evaluation_with_fixed_masks_or_none(collator, run, argument, value) -> None:
    setattr(collator, argument, value)
    assert not run(collator)
