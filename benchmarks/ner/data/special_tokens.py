"""The special tokens that a tokenizer puts around a text, and the tokenizers that the harness can use."""

import json
from typing import Any

from transformers import PreTrainedTokenizerBase


def special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts before and after a text.

    Read off an example, because transformers 5 has no `build_inputs_with_special_tokens` for fast tokenizers.
    """
    example: Any = tokenizer("a", return_special_tokens_mask=True)
    ids, mask = example["input_ids"], example["special_tokens_mask"]
    text = mask.index(0), len(mask) - mask[::-1].index(0)
    return ids[: text[0]], ids[text[1] :]


def room_for_text(argument: str, length: int, frame: tuple[list[int], list[int]]) -> int:
    room = length - len(frame[0]) - len(frame[1])
    if room < 1:
        rule = f"{argument} must leave room for a subword beside {length - room} special tokens"
        raise ValueError(f"{rule}; got {length}; raise it to {length - room + 1} or more")
    return room


def separator_id(tokenizer: PreTrainedTokenizerBase) -> int:
    separator = tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
    if separator is None:
        raise ValueError("tokenizer must have a separator; it has neither sep_token nor eos_token; set one")
    return separator


def check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    kind = f"tokenizer {type(tokenizer).__name__}"
    if not tokenizer.is_fast:
        raise ValueError(f"{kind} must be a fast one, to tell words apart; it is slow; load the fast one")
    if tokenizer.padding_side != "right":
        raise ValueError(f"{kind} must pad on the right; it pads on the left; set padding_side='right'")
    state = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"] or {}
    for step in state.get("pretokenizers", [state]):
        if step.get("type") == "ByteLevel" and not step["add_prefix_space"]:
            rule = "must put a space before every word"
            raise ValueError(f"{kind} {rule}; its byte level does not; load it with add_prefix_space=True")
