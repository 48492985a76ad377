from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from transformers import DataCollatorWithPadding

from hf_dynmask import DataCollatorForDynamicMasking, DataCollatorForSpanCorruption, DataCollatorWithTokenDropout
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
    "an object": (lambda _: object(), r"but got <object object .*>\. Pass what `AutoTokenizer"),
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
