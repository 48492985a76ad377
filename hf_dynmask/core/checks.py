"""Checks of what users pass: each error names the argument, the rule, the value, and the remedy."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

INT64_MAX = (1 << 63) - 1  # the largest int64


def checked_rate(rate: object, argument: str, other: str = "") -> float:
    """`rate` as a float. `other` names the other types that the argument accepts.

    Raises:
        ValueError: if it is not a number in [0, 1]; NaN is not.
    """
    return checked_fraction(rate, argument, f"It is the fraction of tokens to mask: pass 0.15 for 15 %{other}.")


def checked_fraction(value: object, argument: str, remedy: str) -> float:
    """`value` as a float.

    Raises:
        ValueError: if it is not a number in [0, 1]; NaN is not.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ValueError(f"`{argument}` must be a number between 0 and 1, but got {value!r}. {remedy}")
    return float(value)


def checked_replacement_probs(mask_replace_prob: object, random_replace_prob: object) -> tuple[float, float]:
    """Both as floats.

    Raises:
        ValueError: if one is not a number in [0, 1], or they exceed 1 together.
    """
    remedy = "It is a share of the masked tokens: pass 0.8 and 0.1 as in BERT."
    mask = checked_fraction(mask_replace_prob, "mask_replace_prob", remedy)
    random = checked_fraction(random_replace_prob, "random_replace_prob", remedy)
    if mask + random > 1 + 1e-9:  # sums such as 0.7 + 0.2 + 0.1 exceed 1 by a rounding error
        raise ValueError(
            f"`mask_replace_prob` + `random_replace_prob` must not exceed 1, but got {mask} + {random}. "
            "The rest is the share of masked tokens that keep their id. Lower one of them."
        )
    return mask, random


def checked_flag(value: object, argument: str) -> bool:
    """`value` as a bool.

    Raises:
        ValueError: if it is neither True nor False, nor 1 or 0.
    """
    if not isinstance(value, Integral | np.bool_) or value not in (0, 1):
        raise ValueError(f"`{argument}` must be True or False, but got {value!r}. Pass a bool.")
    return bool(value)


def checked_integer(value: object, argument: str, minimum: int | None, remedy: str, maximum: int | None = None) -> int:
    """`value` as an int.

    Raises:
        ValueError: if it is not an integer, or is below `minimum` or above `maximum`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or (minimum is not None and value < minimum):
        rule = "an integer" if minimum is None else f"an integer of at least {minimum}"
        raise ValueError(f"`{argument}` must be {rule}, but got {value!r}. {remedy}")
    if maximum is not None and int(value) > maximum:
        raise ValueError(f"`{argument}` must be an integer of at most {maximum}, but got {value!r}. {remedy}")
    return int(value)


def checked_epoch(value: object) -> int:
    """`value` as an int.

    Raises:
        ValueError: if it is not an integer of int64, from 0.
    """
    return checked_integer(value, "epoch", 0, "Count epochs from 0.", INT64_MAX)


def checked_number(value: object, argument: str, remedy: str) -> float:
    """`value` as a float.

    Raises:
        ValueError: if it is not a number, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"`{argument}` must be a finite number, but got {value!r}. {remedy}")
    return float(value)


def checked_tokenizer(tokenizer: object) -> None:
    """Checks that a tokenizer has a vocabulary and roles of tokens.

    Raises:
        ValueError: if it is not a tokenizer of transformers.
    """
    if isinstance(tokenizer, type) or not all(hasattr(tokenizer, name) for name in ("get_vocab", "all_special_ids")):
        kind = type(tokenizer)
        got = repr(tokenizer) if kind.__module__ == "builtins" else f"a `{kind.__module__}.{kind.__qualname__}`"
        raise ValueError(f"`tokenizer` must be a transformers tokenizer, but got {got}. {_tokenizer_remedy(tokenizer)}")


def _tokenizer_remedy(value: object) -> str:
    library = type(value).__module__.split(".")[0]
    if isinstance(value, str):
        return f"Pass `AutoTokenizer.from_pretrained({value!r})`."
    if hasattr(getattr(value, "tokenizer", None), "get_vocab"):
        return "Pass its `tokenizer` attribute, such as `processor.tokenizer`."
    if library == "tokenizers":
        return (
            'Pass `PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", pad_token="[PAD]", ...)`, '
            "with the roles of its special tokens."
        )
    if library == "tiktoken":
        return (
            "Convert it with `transformers.integrations.tiktoken.convert_tiktoken_to_fast(encoding, folder)`, and pass "
            "`AutoTokenizer.from_pretrained(folder)`."
        )
    return "Pass the result of `AutoTokenizer.from_pretrained(...)`."


def checked_choice(value: object, argument: str, choices: Collection[str]) -> str:
    """`value` itself.

    Raises:
        ValueError: if it is not one of the choices.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            f"`{argument}` must be one of {', '.join(map(repr, choices))}, but got {value!r}. Pass one of these."
        )
    return str(value)


def checked_positive(value: object, argument: str) -> float:
    """`value` as a float.

    Raises:
        ValueError: if it is not a finite number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise ValueError(f"`{argument}` must be a finite number above 0, but got {value!r}. Pass 1.0, for example.")
    return float(value)


def checked_length_probs(probs: Sequence[float], argument: str) -> list[float]:
    """The probabilities of lengths 1, 2, 3, ..., scaled to sum to 1.

    Raises:
        ValueError: if there are none, one is negative or not finite, or all are 0.
    """
    values = list(probs) if isinstance(probs, Sequence) or (isinstance(probs, np.ndarray) and probs.ndim == 1) else []
    numbers = [float(value) for value in values if isinstance(value, Real)]
    total = sum(numbers)
    if len(numbers) < len(values) or not all(0 <= number < math.inf for number in numbers) or not 0 < total < math.inf:
        raise ValueError(
            f"`{argument}` must be finite, non-negative probabilities that are not all 0, but got {probs!r}. Pass the "
            "probabilities of lengths 1, 2, 3, ..., such as `fixed_lengths(3)`."
        )
    return [number / total for number in numbers]


def as_numbers(values: Any) -> np.ndarray | None:
    """The values as float64; None if they are not numbers."""
    try:
        numbers = np.asarray(values)
    except (ValueError, TypeError, RuntimeError):  # rows of different lengths, or tensors that numpy cannot read
        return None
    return numbers.astype(np.float64) if numbers.dtype.kind in "biuf" else None
