from __future__ import annotations

import inspect
import re
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import DataCollatorWithPadding

from hf_dynmask import (
    DataCollatorForDynamicMasking,
    DataCollatorForSpanCorruption,
    DataCollatorWithTokenDropout,
    MaskRateCallback,
    linear_schedule,
    with_warmup,
)
from hf_dynmask.on_device import device_plan

TAKERS = {
    "language modeling": DataCollatorForDynamicMasking,
    "span corruption": DataCollatorForSpanCorruption,
    "fine-tuning": lambda tokenizer: DataCollatorWithTokenDropout(DataCollatorWithPadding(None), tokenizer=tokenizer),
    "on a device": lambda tokenizer: device_plan(tokenizer, "cpu"),
}
Encoding = type("Encoding", (), {"__module__": "tiktoken.core"})
NO_TOKENIZERS: dict[str, tuple[Any, str]] = {
    "of the library tokenizers": (
        lambda tokenizer: tokenizer.backend_tokenizer,
        r"but got a `tokenizers\.Tokenizer`\. Pass `PreTrainedTokenizerFast\(tokenizer_object=tokenizer, mask_token=",
    ),
    "a name": (
        lambda _: "bert-base-cased",
        r"'bert-base-cased'\. Pass `AutoTokenizer.from_pretrained\('bert-base-cased'\)`",
    ),
    "a processor": (lambda tokenizer: SimpleNamespace(tokenizer=tokenizer), r"Pass its `tokenizer` attribute"),
    "of tiktoken": (lambda _: Encoding(), r"but got a `tiktoken\.core\.Encoding`\. Convert it with `transformers\."),
    "an object": (lambda _: object(), r"but got <object object .*>\. Pass the result of `AutoTokenizer"),
}


@pytest.mark.parametrize("name", NO_TOKENIZERS)
@pytest.mark.parametrize("taker", TAKERS)
def test_what_is_no_tokenizer_of_transformers_is_refused(wordpiece, taker, name) -> None:
    make, message = NO_TOKENIZERS[name]
    with pytest.raises(
        ValueError, match=f"^`tokenizer` must be a transformers tokenizer, but got.*{message.removeprefix('but got')}"
    ):
        TAKERS[taker](make(wordpiece))


def test_the_remedy_for_a_tokenizer_of_the_library_tokenizers_works(wordpiece) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=wordpiece.backend_tokenizer, mask_token="[MASK]", pad_token="[PAD]"
    )
    assert DataCollatorForDynamicMasking(tokenizer)([[5, 6], [7]])["labels"].shape == (2, 2)


def collator_arguments(wordpiece: Any, kind: type) -> list[Any]:
    return [DataCollatorWithPadding(wordpiece) if kind is DataCollatorWithTokenDropout else wordpiece, 0.15]


COLLATORS = [DataCollatorForDynamicMasking, DataCollatorForSpanCorruption, DataCollatorWithTokenDropout]


@pytest.mark.parametrize("kind", COLLATORS)
def test_a_third_argument_by_position_is_refused_in_words(with_sentinels, kind) -> None:
    first_two = list(inspect.signature(kind).parameters)[:2]
    with pytest.raises(
        TypeError, match=f"^{kind.__name__} takes `{first_two[0]}` and `{first_two[1]}` by position"
    ) as e:
        kind(*collator_arguments(with_sentinels, kind), "token", 0.8)
    assert "but got 4." in str(e.value)
    assert all(each.kind is each.KEYWORD_ONLY for each in list(inspect.signature(kind).parameters.values())[2:])
    kind(*collator_arguments(with_sentinels, kind))


@pytest.mark.parametrize("order", [(True, 0.15), (True, False, 0.15), (False, False)])
def test_the_order_of_the_stock_collator_is_explained(wordpiece, order) -> None:
    with pytest.raises(TypeError, match=r"the second and third arguments are `mlm` and .*: pass `mlm=True`"):
        DataCollatorForDynamicMasking(wordpiece, *order)


@pytest.mark.parametrize(
    ("kind", "slip", "meant"),
    [
        (DataCollatorForDynamicMasking, "mlm_prob", "Did you mean `mlm_probability`?"),
        (DataCollatorForDynamicMasking, "masking_probability", "Did you mean `mlm_probability`?"),
        (DataCollatorForDynamicMasking, "mask_prob", "The mask rate is `mlm_probability`"),
        (DataCollatorForDynamicMasking, "noise_density", "The mask rate is `mlm_probability`"),
        (DataCollatorForDynamicMasking, "random_prob", "Did you mean `random_replace_prob`?"),
        (DataCollatorForDynamicMasking, "pad_to_multiple", "Did you mean `pad_to_multiple_of`?"),
        (DataCollatorForSpanCorruption, "mlm_probability", "The mask rate is `noise_density`"),
        (DataCollatorForSpanCorruption, "mean_span_length", "Did you mean `mean_noise_span_length`?"),
        (DataCollatorWithTokenDropout, "dropout_prob", "The mask rate is `mlm_probability`"),
    ],
)
def test_an_unknown_name_gets_the_one_that_was_meant(with_sentinels, kind, slip, meant) -> None:
    with pytest.raises(TypeError, match=f"^{kind.__name__} takes no argument `{slip}`. .*{re.escape(meant)}"):
        kind(collator_arguments(with_sentinels, kind)[0], **{slip: 0.3})


def test_a_subclass_has_a_constructor_of_its_own(wordpiece) -> None:
    class Mine(DataCollatorForDynamicMasking):
        def __init__(self, tokenizer: Any, one: int, two: int, *, three: int) -> None:
            super().__init__(tokenizer, (one + two + three) / 10)

    assert Mine(wordpiece, 1, 2, three=3).mlm_probability == 0.6


def test_an_error_of_the_constructor_itself_is_left_as_it_is(wordpiece) -> None:
    class Odd(DataCollatorForDynamicMasking):
        def __post_init__(self) -> None:
            raise TypeError("of its own")

    with pytest.raises(TypeError, match=r"^of its own$"):
        Odd(wordpiece)


BAD_SCHEDULES: dict[str, tuple[Any, str]] = {
    "no argument": (lambda: 0.3, r"must be a function from training progress.* fails at 0: TypeError"),
    "two arguments": (lambda step, total: 0.3, r"must be a function from training progress.* fails at 0: TypeError"),
    "a class": (MaskRateCallback, r"\(progress=0\)` must be a number between 0 and 1, but got <hf_dynmask"),
    "in percent": (lambda progress: 30 - 15 * progress, r"\(progress=0\)` must be a number .*, but got 30"),
    "no return": (lambda progress: None, r"\(progress=0\)` must be a number .*, but got None"),
}


@pytest.mark.parametrize("name", BAD_SCHEDULES)
def test_a_callable_that_is_no_schedule_is_refused_at_once(with_sentinels, name) -> None:
    schedule, message = BAD_SCHEDULES[name]
    for kind in COLLATORS:
        with pytest.raises(ValueError, match=f"^`{list(inspect.signature(kind).parameters)[1]}.*{message}"):
            kind(collator_arguments(with_sentinels, kind)[0], schedule)
    with pytest.raises(ValueError, match=f"^`schedule.*{message}"):
        MaskRateCallback(schedule)
    with pytest.raises(ValueError, match=f"^`schedule.*{message}"):
        with_warmup(schedule, 0.1)
    DataCollatorForDynamicMasking(with_sentinels, schedule, mlm=False)


def test_a_tokenizer_as_schedule_is_refused(wordpiece) -> None:
    with pytest.raises(ValueError, match=r"^`schedule"):
        MaskRateCallback(wordpiece)


@pytest.mark.parametrize("rate", ["15%", linear_schedule(0.3, 0.1)])
def test_no_schedule_is_offered_where_none_is_taken(wordpiece, rate) -> None:
    for call in (
        lambda: DataCollatorForDynamicMasking(wordpiece).for_evaluation(rate),
        lambda: MaskRateCallback(0.3, eval_mlm_probability=rate),
    ):
        with pytest.raises(ValueError, match=r"pass 0\.15 for 15 %\.$"):
            call()


def test_a_tokenizer_or_a_class_is_no_collator(wordpiece) -> None:
    for given, got in ((wordpiece, f"a {type(wordpiece).__name__}"), (DataCollatorWithPadding, "<class ")):
        with pytest.raises(ValueError, match=f"^`collator` must be a data collator, but got {got}.*Pass the one that"):
            DataCollatorWithTokenDropout(given, tokenizer=wordpiece)
