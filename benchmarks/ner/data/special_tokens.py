"""The special tokens that a tokenizer adds to a text, and checks of whether the harness supports the tokenizer."""

import json
from typing import Any

from transformers import PreTrainedTokenizerBase


def special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Returns the special tokens that the tokenizer adds before and after a text.

    They are read from an example because transformers 5 has no `build_inputs_with_special_tokens` for fast tokenizers.
    """
    example: Any = tokenizer("a", return_special_tokens_mask=True)
    ids, mask = example["input_ids"], example["special_tokens_mask"]
    text = mask.index(0), len(mask) - mask[::-1].index(0)
    return ids[: text[0]], ids[text[1] :]


def room_for_text(argument: str, length: int, frame: tuple[list[int], list[int]]) -> int:
    room = length - len(frame[0]) - len(frame[1])
    if room < 1:
        rule = f"{argument} must leave room for a subword next to {length - room} special tokens"
        raise ValueError(f"{rule}; got {length}; pass {length - room + 1} or more")
    return room


def separator_id(tokenizer: PreTrainedTokenizerBase) -> int:
    separator = tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
    if separator is None:
        raise ValueError("tokenizer must have a separator; it has neither sep_token nor eos_token; set one of them")
    return separator


def check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    kind = f"tokenizer {type(tokenizer).__name__}"
    if not tokenizer.is_fast:
        raise ValueError(f"{kind} must be a fast tokenizer, to map tokens to words; it is slow; load the fast version")
    if tokenizer.padding_side != "right":
        raise ValueError(f"{kind} must pad on the right; it pads on the left; set padding_side='right'")
    state = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"] or {}
    for step in state.get("pretokenizers", [state]):
        if step.get("type") == "ByteLevel" and not step["add_prefix_space"]:
            rule = "must add a space before every word"
            raise ValueError(f"{kind} {rule}; its byte-level step does not; load it with add_prefix_space=True")
